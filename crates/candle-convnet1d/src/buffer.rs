//! Contiguous buffers on the CPU: tensors read as slices, results written in parallel.
//!
//! Every function that writes gives each output element to one task, and each task does the same
//! whatever the number of threads: results never depend on it.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::ops::Range;

use candle_core::{CpuStorage, DType, Layout, Result, Shape, Storage, StorageRef, Tensor, WithDType};
use rayon::prelude::*;

use crate::prefetch;
use crate::shares::threads;

/// The number types that the kernels are written for.
pub(crate) trait Float: WithDType {
    fn is_nan(self) -> bool;

    /// `self * factor + term`, rounded once.
    fn times_plus(self, factor: Self, term: Self) -> Self;
}

macro_rules! float {
    ($value:ident) => {
        impl Float for $value {
            fn is_nan(self) -> bool {
                $value::is_nan(self)
            }

            #[allow(
                clippy::inline_always,
                reason = "one instruction, where the function around it has it"
            )]
            #[inline(always)]
            fn times_plus(self, factor: Self, term: Self) -> Self {
                self.mul_add(factor, term)
            }
        }
    };
}
float!(f32);
float!(f64);

/// `$body` with `$T` standing for the number type of a dtype for which there are kernels.
macro_rules! for_float {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            candle_core::DType::F64 => {
                type $T = f64;
                $body
            }
            // any other dtype than f32 meets an error in `as_slice`
            _ => {
                type $T = f32;
                $body
            }
        }
    };
}
pub(crate) use for_float;

thread_local! {
    /// Whether candle keeps the graph of a backward pass, so that gradients can be derived again. Read as candle reads it.
    static GRAPH_IS_KEPT: bool = std::env::var("CANDLE_GRAD_DO_NOT_DETACH").is_ok_and(|s| !s.is_empty() && s != "0");
}

/// Whether the CPU kernels of this crate run on `x`; where no kernels do, compositions of candle's operations do.
///
/// Gradients of the kernels are constants to candle. Where it keeps the graph, a second derivative would silently lack
/// all that passes through them, so that there the compositions run.
pub(crate) fn has_kernels(x: &Tensor) -> bool {
    x.device().is_cpu() && matches!(x.dtype(), DType::F32 | DType::F64) && !GRAPH_IS_KEPT.with(|&kept| kept)
}

/// The same of the kernels for CUDA devices.
pub(crate) fn has_cuda_kernels(x: &Tensor) -> bool {
    cfg!(feature = "cuda")
        && x.device().is_cuda()
        && x.dtype() == DType::F32
        && x.elem_count() > 0
        && !GRAPH_IS_KEPT.with(|&kept| kept)
}

/// The values of a contiguous tensor inside a forward pass.
pub(crate) fn values<'a, T: Float>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [T]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<T>()?[start..end]),
        None => Err(candle_core::Error::RequiresContiguous { op: "candle-convnet1d" }.bt()),
    }
}

/// A contiguous CPU tensor opened for reading.
pub(crate) struct Reader<'a> {
    storage: StorageRef<'a>,
    layout: &'a Layout,
}

impl<'a> Reader<'a> {
    pub fn new(tensor: &'a Tensor) -> Self {
        let (storage, layout) = tensor.storage_and_layout();
        Self { storage, layout }
    }

    pub fn values<T: Float>(&self) -> Result<&[T]> {
        match &*self.storage {
            Storage::Cpu(storage) => values(storage, self.layout),
            _ => Err(candle_core::Error::Msg("expected a tensor on the CPU".into()).bt()),
        }
    }
}

/// What a forward pass on the CPU returns.
pub(crate) fn output<T: Float>(values: Vec<T>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (T::to_cpu_storage_owned(values), shape.into())
}

/// Elements of a task.
const TASK: usize = 16 * 1024;
/// Work for fewer elements than this stays on the calling thread: it takes about as long as waking another.
const FEW: usize = 4 * TASK;

/// `rows` rows of `width` elements. `fill` is handed each row's number and the row, all zeros.
pub(crate) fn write_rows<T: Float>(rows: usize, width: usize, fill: impl Fn(usize, &mut [T]) + Sync) -> Vec<T> {
    write_rows_and(rows, width, width, |row, out, (): &mut ()| fill(row, out)).0
}

/// As [`write_rows`], with one more value for each row. `work` is the number of elements that a
/// row costs, which may be more than it has.
pub(crate) fn write_rows_and<T: Float, V: Clone + Default + Send>(
    rows: usize,
    width: usize,
    work: usize,
    fill: impl Fn(usize, &mut [T], &mut V) + Sync,
) -> (Vec<T>, Vec<V>) {
    let mut extra = vec![V::default(); rows];
    let mut out = Vec::with_capacity(rows * width);
    if rows * width == 0 {
        return (out, extra);
    }
    let spare = &mut out.spare_capacity_mut()[..rows * width];
    let rows_per_task = (TASK / work.max(1)).max(1);
    let task = |(number, (chunk, extra)): (usize, (&mut [MaybeUninit<T>], &mut [V]))| {
        for (i, (row, extra)) in chunk.chunks_mut(width).zip(extra).enumerate() {
            fill(number * rows_per_task + i, zeroed(row), extra);
        }
    };
    if rows * work < FEW || threads() == 1 {
        let tasks = spare.chunks_mut(rows_per_task * width);
        tasks.zip(extra.chunks_mut(rows_per_task)).enumerate().for_each(task);
    } else {
        spare
            .par_chunks_mut(rows_per_task * width)
            .zip(extra.par_chunks_mut(rows_per_task))
            .enumerate()
            .for_each(task);
    }
    // SAFETY: the chunks of all tasks make up the first `rows * width` elements, and each row of
    // each chunk was zeroed.
    unsafe { out.set_len(rows * width) };
    (out, extra)
}

/// `count` elements. `make` is handed the numbers of a stretch of elements and returns them. `work` is the number of elements
/// that each of them costs.
pub(crate) fn write_elements<T: Float, I: Iterator<Item = T>>(
    count: usize,
    work: usize,
    make: impl Fn(Range<usize>) -> I + Sync,
) -> Vec<T> {
    let mut out = Vec::with_capacity(count);
    let spare = &mut out.spare_capacity_mut()[..count];
    let per_task = (TASK / work.max(1)).max(1);
    let task = |(number, chunk): (usize, &mut [MaybeUninit<T>])| {
        let first = number * per_task;
        let end = first + chunk.len();
        write_all(chunk, make(first..end));
    };
    if count * work < FEW || threads() == 1 {
        spare.chunks_mut(per_task).enumerate().for_each(task);
    } else {
        spare.par_chunks_mut(per_task).enumerate().for_each(task);
    }
    // SAFETY: the chunks of all tasks make up the first `count` elements, and `write_all` wrote
    // all of each chunk.
    unsafe { out.set_len(count) };
    out
}

/// `count` elements, stretch by stretch: `fill` is handed the numbers of a stretch and the place for it. `work` is the number
/// of elements that each element costs.
pub(crate) fn write_stretches<T: Float>(
    count: usize,
    work: usize,
    fill: impl Fn(Range<usize>, Place<'_, T>) + Sync,
) -> Vec<T> {
    let mut out = Vec::with_capacity(count);
    let spare = &mut out.spare_capacity_mut()[..count];
    let per_task = (TASK / work.max(1)).max(1);
    let task = |(number, place): (usize, &mut [MaybeUninit<T>])| {
        let (first, length) = (number * per_task, place.len());
        let written = Cell::new(0);
        fill(
            first..first + length,
            Place {
                place,
                written: &written,
            },
        );
        assert_eq!(written.get(), length, "a stretch is written in full");
    };
    if count * work < FEW || threads() == 1 {
        spare.chunks_mut(per_task).enumerate().for_each(task);
    } else {
        spare.par_chunks_mut(per_task).enumerate().for_each(task);
    }
    // SAFETY: the stretches make up the first `count` elements, and each says that it was written.
    unsafe { out.set_len(count) };
    out
}

/// `rows` rows of `width` elements each. `make` is handed the number of a row and returns its elements; what it leaves
/// out at the end is 0.
pub(crate) fn write_row_iters<T: Float, I: Iterator<Item = T>>(
    rows: usize,
    width: usize,
    make: impl Fn(usize) -> I + Sync,
) -> Vec<T> {
    let mut out = Vec::with_capacity(rows * width);
    if rows * width == 0 {
        return out;
    }
    let spare = &mut out.spare_capacity_mut()[..rows * width];
    let rows_per_task = (TASK / width).max(1);
    let task = |(number, chunk): (usize, &mut [MaybeUninit<T>])| {
        for (i, row) in chunk.chunks_mut(width).enumerate() {
            write_all(row, make(number * rows_per_task + i));
        }
    };
    if rows * width < FEW || threads() == 1 {
        spare.chunks_mut(rows_per_task * width).enumerate().for_each(task);
    } else {
        spare.par_chunks_mut(rows_per_task * width).enumerate().for_each(task);
    }
    // SAFETY: the chunks of all tasks make up the first `rows * width` elements, and `write_all` wrote all of each row.
    unsafe { out.set_len(rows * width) };
    out
}

/// Rows of a task of [`write_channels`] where each row is a channel: 16 KiB of f32 together.
pub(crate) fn rows_per_task(length: usize) -> usize {
    (4096 / length.max(1)).max(1)
}

/// A `(rows, channels, length)` buffer written by tasks that own `block` adjacent channels each.
///
/// A task first calls `prepare` with its channels, then `fill` with what that returned and the places of its rows. Returns
/// the buffer and what `fill` returned, in the order of the channels.
pub(crate) fn write_channels<T: Float, P, R: Send>(
    (rows, channels, length): (usize, usize, usize),
    block: usize,
    prepare: impl Fn(Range<usize>) -> P + Sync,
    fill: impl Fn(P, Places<'_, T>) -> R + Sync,
) -> (Vec<T>, Vec<R>) {
    /// The start of the buffer, shared between tasks.
    struct Start<T>(*mut T);
    // SAFETY: tasks write to disjoint places behind the pointer, see below.
    unsafe impl<T: Send> Sync for Start<T> {}
    impl<T> Start<T> {
        fn get(&self) -> *mut T {
            self.0
        }
    }

    let total = rows * channels * length;
    let mut out: Vec<T> = Vec::with_capacity(total);
    let start = Start(out.as_mut_ptr());
    let task = |number: usize| {
        let owned = number * block..((number + 1) * block).min(channels);
        let prepared = prepare(owned.clone());
        let written = Cell::new(0);
        // channels of different tasks are different
        let places = Places {
            start: start.get().cast(),
            rows,
            channels,
            length,
            at: (0, owned.start),
            owned: owned.clone(),
            written: &written,
        };
        let filled = fill(prepared, places);
        assert_eq!(
            written.get(),
            rows * owned.len() * length,
            "all rows are written in full"
        );
        filled
    };
    let tasks = channels.div_ceil(block);
    let filled = if total < FEW || tasks == 1 || threads() == 1 {
        (0..tasks).map(task).collect()
    } else {
        (0..tasks).into_par_iter().map(task).collect()
    };
    // SAFETY: rows, channels and lengths of all tasks make up the whole buffer, and each task says that all of its part was
    // written.
    unsafe { out.set_len(total) };
    (out, filled)
}

/// The places of a task's rows in a `(rows, channels, length)` buffer: those of some channels, which no other task has.
pub(crate) struct Places<'a, T> {
    start: *mut MaybeUninit<T>,
    rows: usize,
    channels: usize,
    length: usize,
    owned: Range<usize>,
    /// Row and channel of the next place.
    at: (usize, usize),
    written: &'a Cell<usize>,
}

impl<'a, T: Float> Iterator for Places<'a, T> {
    /// A row's number, its channel and its place, in the order in which they lie.
    type Item = (usize, usize, Place<'a, T>);

    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        let (row, channel) = self.at;
        if row == self.rows || self.owned.is_empty() {
            return None;
        }
        self.at = if channel + 1 == self.owned.end {
            (row + 1, self.owned.start)
        } else {
            (row, channel + 1)
        };
        // SAFETY: the offset plus `length` is at most the buffer's size; this task alone has the channel, and each pair of
        // row and channel comes once; `MaybeUninit` may be uninitialised; the buffer outlives the task.
        let place = unsafe {
            let begin = self.start.add((row * self.channels + channel) * self.length);
            // of the next row, which lies elsewhere
            if row + 1 < self.rows {
                prefetch::row_to_write(begin.wrapping_add(self.channels * self.length), self.length);
            }
            std::slice::from_raw_parts_mut(begin, self.length)
        };
        let written = self.written;
        Some((row, channel, Place { place, written }))
    }
}

/// Room for the elements of a row, which the one that is handed it fills.
pub(crate) struct Place<'a, T> {
    place: &'a mut [MaybeUninit<T>],
    /// Of all rows of the task.
    written: &'a Cell<usize>,
}

impl<'a, T: Float> Place<'a, T> {
    /// Writes `f(a[i], b[i])` and returns them; `a` and `b` are at least as long as the row.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn fill(self, a: &[T], b: &[T], f: impl Fn(T, T) -> T) -> &'a mut [T] {
        let length = self.place.len();
        let (a, b) = (&a[..length], &b[..length]);
        // one loop without structure: blocks of a vector in it come out as gathers
        for (slot, (&a, &b)) in self.place.iter_mut().zip(a.iter().zip(b)) {
            slot.write(f(a, b));
        }
        self.end()
    }

    /// Writes `f(a[i], b[i], c[i])` and returns them; all three are at least as long as the row.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn fill3(self, a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T) -> &'a mut [T] {
        let length = self.place.len();
        let (a, b, c) = (&a[..length], &b[..length], &c[..length]);
        for (slot, (&a, (&b, &c))) in self.place.iter_mut().zip(a.iter().zip(b.iter().zip(c))) {
            slot.write(f(a, b, c));
        }
        self.end()
    }

    /// After all of it was written.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    fn end(self) -> &'a mut [T] {
        self.written.set(self.written.get() + self.place.len());
        // SAFETY: the callers have written all of it
        unsafe { &mut *(std::ptr::from_mut(self.place) as *mut [T]) }
    }

    /// Writes `values`, which are as many as the row has; zeros should they be too few.
    #[allow(clippy::inline_always, reason = "part of vector loops")]
    #[inline(always)]
    pub fn fill_with(self, values: impl Iterator<Item = T>) {
        write_all(self.place, values);
        self.written.set(self.written.get() + self.place.len());
    }
}

/// Writes all of `place`: what `values` yields, and zeros should it yield too few.
#[allow(clippy::inline_always, reason = "part of vector loops")]
#[inline(always)]
fn write_all<T: Float>(place: &mut [MaybeUninit<T>], values: impl Iterator<Item = T>) {
    let mut written = 0;
    for (slot, value) in place.iter_mut().zip(values) {
        slot.write(value);
        written += 1;
    }
    place[written..].fill(MaybeUninit::new(T::zero()));
}

/// The same memory, set to zero. It is about to be written anyway and small enough to stay in the
/// first-level cache in between, so this costs next to nothing and spares the callers `unsafe`.
fn zeroed<T: Float>(place: &mut [MaybeUninit<T>]) -> &mut [T] {
    place.fill(MaybeUninit::new(T::zero()));
    // SAFETY: every element has just been initialised, and `MaybeUninit<T>` has the layout of `T`.
    unsafe { &mut *(std::ptr::from_mut(place) as *mut [T]) }
}
