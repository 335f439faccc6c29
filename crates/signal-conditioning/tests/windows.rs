//! Windowing: where windows begin.
use proptest::prelude::*;
use signal_conditioning::{Error, Tail, Windowing, window_starts};

fn starts(samples: usize, length: usize, hop: usize, tail: Tail) -> Vec<usize> {
    window_starts(samples, &Windowing { length, hop, tail }).unwrap()
}

#[test]
fn windows_of_known_recordings_begin_where_expected() {
    assert_eq!(starts(10, 4, 4, Tail::Drop), [0, 4]);
    assert_eq!(starts(10, 4, 4, Tail::Overlap), [0, 4, 6]);
    assert_eq!(starts(12, 4, 4, Tail::Overlap), [0, 4, 8]);
    assert_eq!(starts(10, 4, 2, Tail::Drop), [0, 2, 4, 6]);
    assert_eq!(starts(10, 2, 5, Tail::Overlap), [0, 5, 8]);
    assert_eq!(starts(4, 4, 9, Tail::Overlap), [0]);
    assert_eq!(starts(3, 4, 1, Tail::Overlap), [0; 0]);
    assert_eq!(starts(0, 1, 1, Tail::Overlap), [0; 0]);
    assert_eq!(starts(usize::MAX, usize::MAX, usize::MAX, Tail::Drop), [0]);
}

#[test]
fn a_length_or_hop_of_zero_is_an_error() {
    for (length, hop) in [(0, 1), (1, 0), (0, 0)] {
        let windowing = Windowing {
            length,
            hop,
            tail: Tail::Drop,
        };
        assert_eq!(window_starts(5, &windowing), Err(Error::Windowing { length, hop }));
    }
}

proptest! {
    /// The oracle asks of every position whether a window begins there.
    #[test]
    fn starts_equal_a_search_over_every_position(samples in 0_usize..300, length in 1_usize..40, hop in 1_usize..50) {
        let fits = |start: &usize| start + length <= samples;
        let whole: Vec<usize> = (0..samples).filter(|start| start % hop == 0).filter(fits).collect();
        prop_assert_eq!(&starts(samples, length, hop, Tail::Drop), &whole);
        let with_tail: Vec<usize> = (0..samples).filter(|s| s % hop == 0 || s + length == samples).filter(fits).collect();
        prop_assert_eq!(starts(samples, length, hop, Tail::Overlap), with_tail);
    }
}
