//! The one inner loop of the convolution: weighted sums of shifted rows, a block of rows at a time.
//!
//! `out[m][j] = bias[m] + sum over k of weights[k][m] * panel[offsets[k] + j]`. A tile of m rows by
//! a few vectors of positions stays in registers while k runs. Forward, input gradient, weight
//! gradient, strides, dilations and groups differ only in what lies in `weights`, `panel` and
//! `offsets`.
#![allow(unsafe_code)]
#![allow(
    clippy::inline_always,
    reason = "code takes its instruction set from the function that it is inlined into"
)]
#![allow(
    clippy::needless_range_loop,
    reason = "indices in step unroll; iterators over arrays of registers do not always"
)]

use std::ops::Range;

use super::real::Real;
use super::vector::Vector;

use crate::InstructionSet;
use crate::prefetch;

/// Whole vectors are read: of a row of values as many as the next multiple of this.
pub(super) const SLACK: usize = 16;
/// Rows of a block: with two vectors of positions, 24 of the 32 registers of AVX-512 are sums.
pub(super) const TALL: usize = 12;
/// Rows of the last block, where fewer exist.
pub(super) const MIDDLE: usize = 8;
/// Rows of the last block, where still fewer exist.
pub(super) const LOW: usize = 4;

/// Terms whose weights are asked for ahead of their use.
const AHEAD: usize = 24;

/// Part of the rows of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub first: usize,
    /// [`TALL`], [`MIDDLE`] or [`LOW`].
    pub height: usize,
    /// Rows that exist, at most `height`.
    pub rows: usize,
}

/// The blocks that `rows` rows are cut into.
pub(super) fn spans(rows: usize) -> impl Iterator<Item = Span> + Clone {
    (0..rows).step_by(TALL).map(move |first| {
        let left = rows - first;
        let height = if left <= LOW {
            LOW
        } else if left <= MIDDLE {
            MIDDLE
        } else {
            TALL
        };
        Span {
            first,
            height,
            rows: left.min(height),
        }
    })
}

/// Rows of all blocks together, those that do not exist included.
pub(super) fn padded(rows: usize) -> usize {
    spans(rows).map(|span| span.height).sum()
}

/// Places in a panel.
pub(crate) struct Offsets {
    starts: Vec<usize>,
    /// The largest of them.
    last: usize,
}

impl Offsets {
    pub fn new(starts: Vec<usize>) -> Self {
        let last = starts.iter().copied().max().unwrap_or(0);
        Self { starts, last }
    }

    pub fn len(&self) -> usize {
        self.starts.len()
    }
}

/// What a block is computed from.
pub(crate) struct Terms<'a, T> {
    /// For each term one factor for each row of the block.
    pub weights: &'a [T],
    /// For each term where in the panel it starts.
    pub offsets: &'a Offsets,
    /// How many of the terms there are, the first ones.
    pub count: usize,
    /// The values that are summed, to the next multiple of [`SLACK`] from where the last term starts.
    pub panel: &'a [T],
    pub finish: Finish<'a, T>,
}

/// What becomes of sums on their way out: `(bias + sum) scale + shift`, and a `ReLU`. One value for each row; an empty slice
/// where there is none.
#[derive(Clone, Copy)]
pub(crate) struct Finish<'a, T> {
    pub bias: &'a [T],
    pub scale: &'a [T],
    /// As long as `scale`.
    pub shift: &'a [T],
    pub relu: bool,
}

impl<'a, T> Finish<'a, T> {
    /// The sums as they are.
    pub const NONE: Self = Self {
        bias: &[],
        scale: &[],
        shift: &[],
        relu: false,
    };

    /// Plus a bias, if there is one.
    pub fn bias(bias: Option<&'a [T]>) -> Self {
        Self {
            bias: bias.unwrap_or(&[]),
            ..Self::NONE
        }
    }

    /// That of some rows.
    pub fn rows(self, rows: Range<usize>) -> Self {
        let part = |all: &'a [T]| all.get(rows.clone()).unwrap_or(&[]);
        Self {
            bias: part(self.bias),
            scale: part(self.scale),
            shift: part(self.shift),
            relu: self.relu,
        }
    }
}

/// Where a block is written to.
pub(crate) struct Place<T> {
    pub first: *mut T,
    /// From one row to the next.
    pub stride: usize,
    /// Values of a row.
    pub width: usize,
    pub put: Put,
}

/// What becomes of the memory that a block is written to.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Put {
    /// Written, and asked for first.
    Write,
    /// Written, being in a cache.
    Near,
    /// Added to.
    Add,
}

/// Computes one block.
///
/// # Safety
/// This machine has `isa`. The rows of `place` that exist may be written, and read if
/// `add`, and nobody else uses them meanwhile.
pub(super) unsafe fn block<T: Real>(isa: InstructionSet, span: Span, terms: &Terms<'_, T>, place: &Place<T>) {
    assert!(span.rows <= span.height && [TALL, MIDDLE, LOW].contains(&span.height));
    assert!(terms.count <= terms.offsets.len() && terms.count * span.height <= terms.weights.len());
    assert!(terms.finish.bias.len() <= span.rows && terms.finish.scale.len() <= span.rows);
    assert_eq!(
        terms.finish.scale.len(),
        terms.finish.shift.len(),
        "a shift for each scale"
    );
    assert!(terms.count == 0 || terms.offsets.last + place.width.next_multiple_of(SLACK) <= terms.panel.len());
    // SAFETY: the caller's promise, and the assertions above: tiles begin at multiples of their vectors' lengths, which
    // divide `SLACK`, and the last vector begins below `width`.
    unsafe { T::compute(isa, span, terms, place) }
}

/// A block of any height: tiles of J vectors, of K where it is low.
///
/// # Safety
/// As for [`block`], which checks the lengths first; this machine has the instruction set of V.
#[inline(always)]
pub(super) unsafe fn of_height<V: Vector, const J: usize, const K: usize>(
    span: Span,
    terms: &Terms<'_, V::Value>,
    place: &Place<V::Value>,
) {
    // SAFETY: what is asked for here is what the caller promises
    unsafe {
        match span.height {
            TALL => rows::<V, TALL, J>(span, terms, place),
            MIDDLE => rows::<V, MIDDLE, J>(span, terms, place),
            _ => rows::<V, LOW, K>(span, terms, place),
        }
    }
}

/// All tiles of a block: J vectors wide, one vector wide where that is enough for the rest.
#[inline(always)]
unsafe fn rows<V: Vector, const M: usize, const J: usize>(
    span: Span,
    terms: &Terms<'_, V::Value>,
    place: &Place<V::Value>,
) {
    // for all rows, so that the sums of a tile begin in registers
    let mut start = [<V::Value as candle_core::WithDType>::from_f64(0.0); M];
    start
        .iter_mut()
        .zip(terms.finish.bias)
        .for_each(|(to, &bias)| *to = bias);
    let mut at = 0;
    while at < place.width {
        // SAFETY: `at` is below the width
        unsafe {
            if place.width - at > (J - 1) * V::LANES {
                tile::<V, M, J>(span, &start, terms, place, at);
                at += J * V::LANES;
            } else if J > 2 && place.width - at > V::LANES {
                tile::<V, M, 2>(span, &start, terms, place, at);
                at += 2 * V::LANES;
            } else {
                tile::<V, M, 1>(span, &start, terms, place, at);
                at += V::LANES;
            }
        }
    }
}

/// The values of a block from position `at` on, as many as J vectors hold.
#[inline(always)]
unsafe fn tile<V: Vector, const M: usize, const J: usize>(
    span: Span,
    start: &[V::Value; M],
    terms: &Terms<'_, V::Value>,
    place: &Place<V::Value>,
    at: usize,
) {
    // SAFETY: `block` has checked the lengths of all slices; the last vector begins below the
    // width and so ends at most at the next multiple of `SLACK`. Rows are written where they exist.
    unsafe {
        if place.put == Put::Write {
            // results come from memory before they can be written: by the time the sums are there, they have come
            for m in 0..M.min(span.rows) {
                let out = place.first.wrapping_add(m * place.stride + at);
                for j in 1..=J {
                    prefetch::to_write(out.wrapping_add(j * V::LANES - 1));
                }
            }
        }
        let mut sums = [[V::zero(); J]; M];
        for m in 0..M {
            sums[m] = [V::splat(start[m]); J];
        }
        let mut weight = terms.weights.as_ptr();
        let panel = terms.panel.as_ptr().add(at);
        for &offset in &terms.offsets.starts[..terms.count] {
            let values = panel.add(offset);
            let mut x = [V::zero(); J];
            for j in 0..J {
                x[j] = V::load(values.add(j * V::LANES));
            }
            for m in 0..M {
                let w = V::splat(*weight.add(m));
                for j in 0..J {
                    sums[m][j] = w.times_plus(x[j], sums[m][j]);
                }
            }
            // weights of one window come from memory, once: the processor by itself asks for them too late
            if M == TALL {
                prefetch::to_read(weight.wrapping_add(M * AHEAD));
            }
            weight = weight.add(M);
        }
        let Finish { scale, shift, relu, .. } = terms.finish;
        let add = place.put == Put::Add;
        let whole = place.width - at >= J * V::LANES;
        if whole && span.rows == M && scale.is_empty() && !relu && !add {
            // what nearly all tiles are: without branches, the sums never leave their registers
            let out = place.first.add(at);
            for m in 0..M {
                for j in 0..J {
                    let out = out.add(m * place.stride + j * V::LANES);
                    sums[m][j].store(out);
                }
            }
            return;
        }
        for m in 0..M {
            if m == span.rows {
                break;
            }
            let out = place.first.add(m * place.stride + at);
            let line = scale.get(m).zip(shift.get(m));
            for j in 0..J {
                // here and not in a loop of its own: the sums are to stay in registers until they are stored
                let mut sum = sums[m][j];
                if let Some((&scale, &shift)) = line {
                    sum = sum.times_plus(V::splat(scale), V::splat(shift));
                }
                if relu {
                    sum = sum.above_zero();
                }
                let out = out.add(j * V::LANES);
                if whole {
                    let sum = if add { V::load(out).plus(sum) } else { sum };
                    sum.store(out);
                } else {
                    let left = (place.width - at).saturating_sub(j * V::LANES).min(V::LANES);
                    let sum = if add { V::load_first(out, left).plus(sum) } else { sum };
                    sum.store_first(out, left);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each instruction set against plain sums, over all widths around whole vectors.
    fn holds<T: Real>(eps: f64) {
        let value = |i: usize| T::from_f64(((i * 2654435761) % 1000) as f64 / 500.0 - 1.0);
        for isa in InstructionSet::available() {
            for (rows, width, count) in
                (1..=12).flat_map(|rows| (1..=70).map(move |width| (rows, width, (rows * width) % 9)))
            {
                let span = spans(rows).next().expect("a block");
                let panel: Vec<T> = (0..200).map(value).collect();
                let weights: Vec<T> = (0..count * span.height).map(|i| value(i + 77)).collect();
                let bias: Vec<T> = (0..rows).map(value).collect();
                let starts: Vec<usize> = (0..count).map(|k| (k * 31) % 97).collect();
                let none: &[T] = &[];
                for (add, bias, scale, relu) in [
                    (false, &bias[..], none, false),
                    (false, &bias[..], none, true),
                    (false, none, &bias[..], true),
                    (false, &bias[..], &bias[..], false),
                    (true, none, none, false),
                ] {
                    let mut out = vec![T::one(); rows * (width + 3)];
                    let terms = Terms {
                        weights: &weights,
                        offsets: &Offsets::new(starts.clone()),
                        count,
                        panel: &panel,
                        finish: Finish {
                            bias,
                            scale,
                            shift: &panel[..scale.len()],
                            relu,
                        },
                    };
                    let place = Place {
                        first: out.as_mut_ptr(),
                        stride: width + 3,
                        width,
                        put: if add { Put::Add } else { Put::Write },
                    };
                    // SAFETY: `out` holds all rows
                    unsafe { block(isa, span, &terms, &place) };
                    for (m, row) in out.chunks(width + 3).enumerate() {
                        for (j, &found) in row[..width].iter().enumerate() {
                            let of_row = |all: &[T], none: f64| all.get(m).map_or(none, |x| x.to_f64());
                            let start = of_row(bias, if add { 1.0 } else { 0.0 });
                            let products = (0..count)
                                .map(|k| weights[k * span.height + m].to_f64() * panel[starts[k] + j].to_f64());
                            let sum = start + products.sum::<f64>();
                            let shift = if scale.is_empty() { 0.0 } else { panel[m].to_f64() };
                            let sum = sum * of_row(scale, 1.0) + shift;
                            let expected = if relu { sum.max(0.0) } else { sum };
                            // ten sums of values of at most 1
                            assert!(
                                (found.to_f64() - expected).abs() <= 100.0 * eps,
                                "{isa:?} {rows} {width} {count}"
                            );
                        }
                        assert!(
                            row[width..].iter().all(|&x| x == T::one()),
                            "{isa:?}: written behind the row"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a_relu_behind_the_sums_lets_nan_through() {
        for isa in InstructionSet::available() {
            let mut out = [1f32; 40];
            let terms = Terms {
                weights: &[],
                offsets: &Offsets::new(Vec::new()),
                count: 0,
                panel: &[],
                finish: Finish {
                    relu: true,
                    ..Finish::bias(Some(&[f32::NAN, -1.0]))
                },
            };
            let place = Place {
                first: out.as_mut_ptr(),
                stride: 20,
                width: 20,
                put: Put::Write,
            };
            let span = spans(2).next().expect("a block");
            // SAFETY: `out` holds both rows
            unsafe { block(isa, span, &terms, &place) };
            assert!(
                out[..20].iter().all(|x| x.is_nan()) && out[20..] == [0.0; 20],
                "{isa}: {out:?}"
            );
        }
    }

    #[test]
    fn every_instruction_set_computes_the_sums_and_writes_nothing_else() {
        holds::<f32>(f64::from(f32::EPSILON));
        holds::<f64>(f64::EPSILON);
    }
}
