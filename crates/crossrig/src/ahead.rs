//! What comes next is made while the present is in use.

use std::sync::mpsc::{IntoIter, sync_channel};
use std::thread;

/// Items that wait to be taken, at most; one more is in the making.
const AHEAD: usize = 2;

/// Has a thread of its own make the items of an iterator, a few ahead of the one that `take` asks for. Their order and what
/// they are is that of the iterator.
pub fn ahead<T: Send, R>(items: impl Iterator<Item = T> + Send, take: impl FnOnce(IntoIter<T>) -> R) -> R {
    thread::scope(|scope| {
        let (send, receive) = sync_channel(AHEAD);
        scope.spawn(move || {
            for item in items {
                if send.send(item).is_err() {
                    // nobody takes any more
                    break;
                }
            }
        });
        take(receive.into_iter())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn items_come_in_order_and_no_more_are_made_than_a_few_ahead() {
        let made = AtomicUsize::new(0);
        let items = (0..100).inspect(|_| {
            made.fetch_add(1, Ordering::Relaxed);
        });
        let taken: Vec<i32> = ahead(items, |items| items.take(10).collect());
        assert_eq!(taken, (0..10).collect::<Vec<_>>());
        assert!((10..=10 + AHEAD + 1).contains(&made.load(Ordering::Relaxed)));
        assert_eq!(ahead(0..3, Iterator::collect::<Vec<_>>), [0, 1, 2]);
        assert_eq!(ahead(0..3, |_| "nothing taken"), "nothing taken");
    }
}
