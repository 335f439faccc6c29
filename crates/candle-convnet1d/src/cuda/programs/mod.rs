//! What runs on a device, as data: buffers, and the kernels launched on them, in order.
//!
//! Nothing here knows a device or a tensor. `run` carries a program out on a GPU; the tests carry the same
//! program out on the CPU, with the same `.cu` files compiled as C++.

mod batch_norm;
mod conv1d;

pub(crate) use batch_norm::BatchNorm;
pub(crate) use conv1d::Conv1d;

/// A file of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Module {
    Conv1d,
    Sums,
    BatchNorm,
}

/// The number type of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    F32,
    F64,
}

/// A place inside a buffer, from which a kernel counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub buffer: usize,
    pub offset: usize,
}

impl Place {
    /// So many elements further on.
    fn plus(self, elements: usize) -> Self {
        Self {
            offset: self.offset + elements,
            ..self
        }
    }
}

/// An argument of a kernel, in C: a pointer, a `long long` or a `double`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Arg {
    Place(Place),
    Int(usize),
    Double(f64),
}

impl From<Place> for Arg {
    fn from(place: Place) -> Self {
        Self::Place(place)
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Arg {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f64> for Arg {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

/// A kernel and what it is called with.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub module: Module,
    pub kernel: &'static str,
    /// Numbers that the threads share among them: more threads would idle.
    pub work: usize,
    pub args: Vec<Arg>,
}

/// Buffers and launches. The first buffers are the inputs; all others are uninitialised at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub inputs: usize,
    pub buffers: Vec<(Kind, usize)>,
    pub launches: Vec<Launch>,
    /// The buffers that are returned.
    pub results: Vec<usize>,
}

impl Program {
    fn input(&mut self, kind: Kind, len: usize) -> Place {
        self.inputs += 1;
        self.buffer(kind, len)
    }

    fn buffer(&mut self, kind: Kind, len: usize) -> Place {
        self.buffers.push((kind, len));
        Place {
            buffer: self.buffers.len() - 1,
            offset: 0,
        }
    }

    fn result(&mut self, kind: Kind, len: usize) -> Place {
        let place = self.buffer(kind, len);
        self.results.push(place.buffer);
        place
    }

    fn launch<const N: usize>(&mut self, module: Module, kernel: &'static str, work: usize, args: [Arg; N]) {
        self.launches.push(Launch {
            module,
            kernel,
            work,
            args: args.into(),
        });
    }
}

/// Elements that a thread takes along an axis, as in `common.cuh`.
const TILE: usize = 4;

/// Threads along an axis of so many elements.
fn tiles(count: usize) -> usize {
    count.div_ceil(TILE)
}

/// Parts that a sum of `terms` is cut into, where `sums` threads are busy with each part.
///
/// Enough to keep a large GPU busy, few enough that the parts take little memory; a function of the sizes
/// alone, so that results do not depend on the device.
fn lanes(sums: usize, terms: usize) -> usize {
    const THREADS: usize = 1 << 18;
    (THREADS / sums.max(1)).clamp(8, 1024).min(terms)
}
