//! The gradient of the weight where a group has few channels: the lanes of a vector are positions.
//!
//! With channels as lanes ([`super::weight`]) most lanes would be empty, and both sides are transposed for them. Here a row of
//! the output gradient is multiplied with the rows of the input that its taps saw as they lie; each pair of rows has a vector
//! of sums of its own, and some of them stay in registers while positions and samples run.
#![allow(unsafe_code)]
#![allow(
    clippy::needless_range_loop,
    reason = "indices in step unroll; iterators over arrays of registers do not always"
)]

use std::ops::Range;

use rayon::prelude::*;

use super::Sizes;
use super::panel::Rows;
use super::real::Real;
use super::vector::Vector;
use crate::InstructionSet;
use crate::buffer::Float;
use crate::lanes::{self, LANES};
use crate::prefetch;
use crate::scratch::Scratch;
use crate::values::Input;

/// Tasks, at least, of a gradient. Fixed, so that the order of summation does not depend on the number of threads.
const TASKS: usize = 8;
/// Positions, at least, that run while sums stay in registers.
const POSITIONS: usize = 512;
/// So many columns, or so many rows, at most, have their gradient made here.
const COLUMNS: usize = 24;
const ROWS: usize = 4;
/// Rows of sums of a tile, best first.
const HEIGHTS: [usize; 3] = [4, 6, 2];

/// Vectors of sums that stay in registers.
fn in_registers(isa: InstructionSet) -> usize {
    match isa {
        InstructionSet::Avx512 | InstructionSet::Neon => 24,
        InstructionSet::Avx2 | InstructionSet::Scalar => 12,
    }
}

/// What one tile of sums is computed from: rows of gradients and columns, which are rows of a panel from some place on.
pub(crate) struct Factors<'a, T> {
    /// From the first of the rows on.
    dy: &'a [T],
    /// From one row to the next; 0 if there is one only.
    row: usize,
    panel: &'a [T],
    columns: &'a [usize],
    /// From one sample to the next, of both.
    sample: (usize, usize),
    samples: usize,
    length: usize,
}

/// Rows and columns that are cut into tiles of one size, the last of which begins where it ends with them.
#[derive(Clone, Copy)]
struct Cut {
    count: usize,
    size: usize,
}

impl Cut {
    fn tiles(self) -> usize {
        self.count.div_ceil(self.size)
    }

    fn start(self, tile: usize) -> usize {
        (tile * self.size).min(self.count.saturating_sub(self.size))
    }

    /// The tile of a row or column, and its place in it.
    fn place(self, index: usize) -> (usize, usize) {
        let tile = index / self.size;
        (tile, index - self.start(tile))
    }
}

/// How the sums of a group are cut.
struct Tiles {
    rows: Cut,
    columns: Cut,
}

impl Tiles {
    fn new(isa: InstructionSet, rows: usize, columns: usize) -> Self {
        let of_height = |height: usize| Self {
            rows: Cut {
                count: rows,
                size: height,
            },
            columns: Cut {
                count: columns,
                size: in_registers(isa) / height,
            },
        };
        // one row is taken twice; where there are fewer rows than a tile has otherwise, it is no choice
        let fitting = HEIGHTS.into_iter().filter(|&height| height == 2 || height <= rows);
        let best = fitting.map(of_height).min_by_key(Self::count);
        best.unwrap_or_else(|| of_height(2))
    }

    fn count(&self) -> usize {
        self.rows.tiles() * self.columns.tiles()
    }

    /// Sums of a tile.
    fn size(&self) -> usize {
        self.rows.size * self.columns.size
    }

    /// The sums of vectors that tiles hold, by row, then column.
    fn totals<T: Float>(&self, sums: &[T]) -> Vec<f64> {
        let (whole, _) = sums.as_chunks();
        let pairs = (0..self.rows.count).flat_map(|row| (0..self.columns.count).map(move |column| (row, column)));
        pairs
            .map(|(row, column)| lanes::total(&whole[self.index(row, column)]))
            .collect()
    }

    /// The number of the sum of a row and a column.
    fn index(&self, row: usize, column: usize) -> usize {
        let ((tile_row, row), (tile_column, column)) = (self.rows.place(row), self.columns.place(column));
        (tile_row * self.columns.tiles() + tile_column) * self.size() + row * self.columns.size + column
    }
}

/// Whether a gradient is made here. Measured, cold, on AVX-512: from 2.2 times as fast as by channels (2 channels to 16, one
/// tap) to as fast (16 to 32, one tap; 16 to 16, three taps, which is left to those).
pub(super) fn serves(s: &Sizes) -> bool {
    let (c, o) = s.group();
    c * s.kernel <= COLUMNS || o <= ROWS
}

struct Work<'a, T> {
    s: &'a Sizes,
    isa: InstructionSet,
    rows: Rows,
    /// Where in a panel the column of each channel and tap starts, the last one again to the end of the last tile.
    columns: Vec<usize>,
    tiles: Tiles,
    x: Input<'a, T>,
    dy: &'a [T],
    with_bias: bool,
}

/// The gradients of the weight and, if `with_bias`, of the bias.
pub(super) fn weight_gradient<T: Real>(
    s: &Sizes,
    isa: InstructionSet,
    x: Input<'_, T>,
    dy: &[T],
    with_bias: bool,
) -> (Vec<T>, Option<Vec<T>>) {
    let work = Work::new(s, isa, x, dy, with_bias);
    let samples = s.n.div_ceil(TASKS.div_ceil(s.groups));
    let chunks = s.n.div_ceil(samples);
    let parts: Vec<Part> = (0..s.groups * chunks)
        .into_par_iter()
        .map_init(
            || [(); 2].map(|()| Scratch::new()),
            |scratch, number| {
                let (group, chunk) = (number / chunks, number % chunks);
                work.sums(group, chunk * samples..((chunk + 1) * samples).min(s.n), scratch)
            },
        )
        .collect();
    // the chunks of a group, in order
    let added = |of: fn(&Part) -> &[f64]| {
        let sum = |chunks: &[Part], i: usize| T::from_f64(chunks.iter().map(|part| of(part)[i]).sum());
        let groups = parts.chunks(chunks);
        groups
            .flat_map(|chunks| (0..of(&chunks[0]).len()).map(move |i| sum(chunks, i)))
            .collect()
    };
    (added(|part| &part.weights), with_bias.then(|| added(|part| &part.bias)))
}

/// Sums of products of some rows with some columns, one pair of matrices after another, on this thread.
pub(crate) struct Products<T> {
    isa: InstructionSet,
    tiles: Tiles,
    /// Of vectors, for each tile.
    sums: Vec<T>,
}

impl<T: Real> Products<T> {
    pub fn new(isa: InstructionSet, rows: usize, columns: usize) -> Self {
        let tiles = Tiles::new(isa, rows, columns);
        Self {
            isa,
            sums: vec![T::zero(); tiles.count() * tiles.size() * LANES],
            tiles,
        }
    }

    /// Adds those of rows and columns of `length` values, both with a distance from one to the next.
    pub fn add(&mut self, rows: (&[T], usize), columns: (&[T], usize), length: usize) {
        let tiles = &self.tiles;
        let (count, last) = (tiles.columns.count, tiles.columns.count.saturating_sub(1));
        let starts: Vec<usize> = (0..count.max(tiles.columns.size))
            .map(|column| column.min(last) * columns.1)
            .collect();
        let mut places = self.sums.chunks_exact_mut(tiles.size() * LANES);
        for row in (0..tiles.rows.tiles()).map(|tile| tiles.rows.start(tile)) {
            for column in (0..tiles.columns.tiles()).map(|tile| tiles.columns.start(tile)) {
                let factors = Factors {
                    dy: &rows.0[row * rows.1..],
                    row: if tiles.rows.count == 1 { 0 } else { rows.1 },
                    panel: columns.0,
                    columns: &starts[column..][..tiles.columns.size],
                    sample: (0, 0),
                    samples: 1,
                    length,
                };
                if let Some(place) = places.next() {
                    add_products(self.isa, tiles.rows.size, &factors, place);
                }
            }
        }
    }

    /// By row, then column.
    pub fn totals(&self) -> Vec<f64> {
        self.tiles.totals(&self.sums)
    }
}

/// The sums of one task.
struct Part {
    /// `(output, channel, tap)`
    weights: Vec<f64>,
    /// One for each output, if wanted.
    bias: Vec<f64>,
}

impl<'a, T: Real> Work<'a, T> {
    fn new(s: &'a Sizes, isa: InstructionSet, x: Input<'a, T>, dy: &'a [T], with_bias: bool) -> Self {
        let (c, o) = s.group();
        let shifts = (0..s.kernel).map(|tap| (tap * s.dilation) as isize - s.padding as isize);
        let rows = Rows::new(c, s.l_in, s.stride, s.l_out, shifts.clone());
        let tiles = Tiles::new(isa, o, c * s.kernel);
        let channels = (0..c).map(|channel| channel * rows.channel_stride());
        let mut columns: Vec<usize> = channels
            .flat_map(|start| shifts.clone().map(move |shift| (start, shift)))
            .map(|(start, shift)| start + rows.offset(shift))
            .collect();
        if let Some(&last) = columns.last() {
            columns.resize(columns.len().max(tiles.columns.size), last);
        }
        Self {
            s,
            isa,
            rows,
            columns,
            tiles,
            x,
            dy,
            with_bias,
        }
    }

    /// The sums of some samples of a group.
    fn sums(&self, group: usize, mut samples: Range<usize>, [panels, sums]: &mut [Scratch<T>; 2]) -> Part {
        let (s, tiles) = (self.s, &self.tiles);
        let (c, o) = s.group();
        let mut bias = vec![0.0; if self.with_bias { o } else { 0 }];
        let at_once = (POSITIONS / s.l_out.max(1)).max(1);
        let size = self.rows.size();
        let panels = panels.take(at_once * size);
        let sums = sums.take(tiles.count() * tiles.size() * LANES);
        sums.fill(T::zero());
        let x_row = |sample: usize| (sample * s.groups + group) * c;
        let dy_at = |sample: usize| (sample * s.groups + group) * o * s.l_out;
        while !samples.is_empty() {
            let these = samples.start..(samples.start + at_once).min(samples.end);
            samples.start = these.end;
            for (panel, sample) in panels.chunks_exact_mut(size).zip(these.clone()) {
                self.rows.pack(self.x, x_row(sample), 0, panel);
            }
            // what comes from memory meanwhile
            for sample in samples.clone().take(at_once) {
                self.x.ask(x_row(sample) * s.l_in..(x_row(sample) + c) * s.l_in);
                prefetch::to_read_later(&self.dy[dy_at(sample)..][..o * s.l_out]);
            }
            let dy = &self.dy[dy_at(these.start)..dy_at(these.end - 1) + o * s.l_out];
            let mut places = sums.chunks_exact_mut(tiles.size() * LANES);
            for row in (0..tiles.rows.tiles()).map(|tile| tiles.rows.start(tile)) {
                for column in (0..tiles.columns.tiles()).map(|tile| tiles.columns.start(tile)) {
                    let factors = Factors {
                        dy: &dy[row * s.l_out..],
                        row: if o == 1 { 0 } else { s.l_out },
                        panel: &*panels,
                        columns: &self.columns[column..][..tiles.columns.size],
                        sample: (s.c_out * s.l_out, size),
                        samples: these.len(),
                        length: s.l_out,
                    };
                    if let Some(place) = places.next() {
                        add_products(self.isa, tiles.rows.size, &factors, place);
                    }
                }
            }
            for (sum, output) in bias.iter_mut().zip(0..o) {
                let rows = dy[output * s.l_out..].chunks(s.c_out * s.l_out);
                *sum += rows.map(|row| lanes::sum(&row[..s.l_out])).sum::<f64>();
            }
        }
        Part {
            weights: tiles.totals(sums),
            bias,
        }
    }
}

/// Adds to the sums of a tile of `height` rows, [`LANES`] numbers each, of which vectors of fewer use the first ones.
fn add_products<T: Real>(isa: InstructionSet, height: usize, factors: &Factors<'_, T>, sums: &mut [T]) {
    let Factors {
        dy,
        row,
        panel,
        columns,
        sample,
        samples,
        length,
    } = *factors;
    assert!(isa.is_available() && HEIGHTS.contains(&height));
    assert_eq!(columns.len(), in_registers(isa) / height);
    assert!(sums.len() >= height * columns.len() * LANES && samples > 0);
    assert!((samples - 1) * sample.0 + (height - 1) * row + length <= dy.len());
    let last = columns.iter().copied().max().unwrap_or(0);
    assert!((samples - 1) * sample.1 + last + length <= panel.len());
    // SAFETY: the assertions
    unsafe { T::add_products(isa, height, factors, sums) }
}

/// A tile of any height, with as many columns as its sums leave room for: A of four rows, B of six, C of two.
///
/// # Safety
/// As for [`tile`]; this machine has the instruction set of V.
#[allow(
    clippy::inline_always,
    reason = "code takes its instruction set from the function that it is inlined into"
)]
#[inline(always)]
pub(super) unsafe fn of_height<V: Vector, const A: usize, const B: usize, const C: usize>(
    height: usize,
    factors: &Factors<'_, V::Value>,
    sums: &mut [V::Value],
) {
    // SAFETY: what is asked for here is what the caller promises
    unsafe {
        match height {
            4 => tile::<V, 4, A>(factors, sums),
            6 => tile::<V, 6, B>(factors, sums),
            _ => tile::<V, 2, C>(factors, sums),
        }
    }
}

/// One tile.
///
/// # Safety
/// `factors` has M rows and P columns of its length in each of its samples, `sums` has M times P times [`LANES`] numbers.
#[allow(
    clippy::inline_always,
    reason = "code takes its instruction set from the function that it is inlined into"
)]
#[inline(always)]
unsafe fn tile<V: Vector, const M: usize, const P: usize>(factors: &Factors<'_, V::Value>, sums: &mut [V::Value]) {
    let f = factors;
    // SAFETY: the caller's promise; of the last positions of a row only those are read that exist
    unsafe {
        let place = sums.as_mut_ptr();
        let mut sums = [[V::zero(); P]; M];
        for m in 0..M {
            for p in 0..P {
                sums[m][p] = V::load(place.add((m * P + p) * LANES));
            }
        }
        let whole = f.length / V::LANES * V::LANES;
        let left = f.length - whole;
        for sample in 0..f.samples {
            let dy = f.dy.as_ptr().add(sample * f.sample.0);
            let x = f.panel.as_ptr().add(sample * f.sample.1);
            let mut at = 0;
            while at < whole {
                let mut g = [V::zero(); M];
                for m in 0..M {
                    g[m] = V::load(dy.add(m * f.row + at));
                }
                for p in 0..P {
                    let x = V::load(x.add(f.columns[p] + at));
                    for m in 0..M {
                        sums[m][p] = g[m].times_plus(x, sums[m][p]);
                    }
                }
                at += V::LANES;
            }
            if left > 0 {
                let mut g = [V::zero(); M];
                for m in 0..M {
                    g[m] = V::load_first(dy.add(m * f.row + at), left);
                }
                for p in 0..P {
                    let x = V::load_first(x.add(f.columns[p] + at), left);
                    for m in 0..M {
                        sums[m][p] = g[m].times_plus(x, sums[m][p]);
                    }
                }
            }
        }
        for m in 0..M {
            for p in 0..P {
                sums[m][p].store(place.add((m * P + p) * LANES));
            }
        }
    }
}
