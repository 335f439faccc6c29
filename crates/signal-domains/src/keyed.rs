//! Random choices that depend on what is chosen from, not on the order it came in.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use sha2::{Digest, Sha256};

/// SHA-256 of the parts, each with its length before it, so that no two lists of parts look alike.
pub(crate) fn digest(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// A seeded permutation of `0..n` (Fisher and Yates; unbiased), the same on every machine and with every version of
/// the random number crates: the stream of `ChaCha8` is fixed, and the shuffle is written out here.
pub(crate) fn permutation(n: usize, parts: &[&[u8]]) -> Vec<usize> {
    let mut rng = ChaCha8Rng::from_seed(digest(parts));
    let mut order: Vec<usize> = (0..n).collect();
    for i in (1..n).rev() {
        order.swap(i, below(&mut rng, i as u64 + 1) as usize);
    }
    order
}

/// A number below `n`, each equally likely: values of the last, incomplete round of `n` are drawn again.
fn below(rng: &mut ChaCha8Rng, n: u64) -> u64 {
    let rest = (u64::MAX % n + 1) % n;
    loop {
        let x = rng.next_u64();
        if x <= u64::MAX - rest {
            return x % n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permutation_holds_every_index_once_and_depends_on_every_part() {
        for n in [0, 1, 2, 17, 1000] {
            let mut order = permutation(n, &[b"a", b"bc"]);
            order.sort_unstable();
            assert_eq!(order, (0..n).collect::<Vec<_>>());
        }
        assert_ne!(permutation(50, &[b"a", b"bc"]), permutation(50, &[b"ab", b"c"]));
    }

    #[test]
    fn below_hits_every_value_about_equally_often() {
        let mut rng = ChaCha8Rng::from_seed([7; 32]);
        let mut counts = [0u32; 6];
        for _ in 0..6000 {
            counts[below(&mut rng, 6) as usize] += 1;
        }
        // 5 standard deviations of a binomial(6000, 1/6)
        assert!(counts.iter().all(|&c| c.abs_diff(1000) < 145), "{counts:?}");
    }
}
