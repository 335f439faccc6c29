//! Shares of whole things.

/// Shares out `n` things by the largest remainder. If there are enough, each part with a share gets at least one,
/// taken from the largest part; the earlier part wins a tie.
pub(super) fn apportion(n: usize, fractions: [f64; 3]) -> [usize; 3] {
    // a hair above, so that 0.6 * 5 is 3 and not 2.999..
    let exact = fractions.map(|f| f * n as f64 + 1e-9);
    let mut counts = exact.map(|x| x.floor() as usize);
    while counts.iter().sum::<usize>() < n {
        let rest = |i: usize| exact[i] - counts[i] as f64;
        let next = (1..3).fold(0, |best, i| if rest(i) > rest(best) + 1e-9 { i } else { best });
        counts[next] += 1;
    }
    if n >= fractions.iter().filter(|f| **f > 0.0).count() {
        for part in 0..3 {
            if fractions[part] > 0.0 && counts[part] == 0 {
                let largest = (1..3).fold(0, |best, i| if counts[i] > counts[best] { i } else { best });
                counts[largest] -= 1;
                counts[part] += 1;
            }
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::apportion;

    #[test]
    fn shares_sum_to_the_whole_and_leave_no_part_empty_that_could_have_one() {
        let cases = [
            [0.6, 0.2, 0.2],
            [0.8, 0.0, 0.2],
            [1.0, 0.0, 0.0],
            [0.98, 0.01, 0.01],
            [1.0 / 3.0; 3],
        ];
        for fractions in cases {
            let parts = fractions.iter().filter(|f| **f > 0.0).count();
            for n in 0..200 {
                let counts = apportion(n, fractions);
                assert_eq!(counts.iter().sum::<usize>(), n);
                for i in 0..3 {
                    assert!(counts[i] == 0 || fractions[i] > 0.0);
                    assert!(
                        n < parts || (counts[i] > 0) == (fractions[i] > 0.0),
                        "{n} {fractions:?} {counts:?}"
                    );
                }
            }
        }
        assert_eq!(apportion(5, [0.6, 0.2, 0.2]), [3, 1, 1]);
        assert_eq!(apportion(119, [0.8, 0.0, 0.2]), [95, 0, 24]);
        assert_eq!(apportion(3, [0.6, 0.2, 0.2]), [1, 1, 1]);
    }
}
