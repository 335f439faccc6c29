//! Labelled and unlabelled rows: two types, so that a target label has no way into the loss.

use candle_core::{DType, Device, Result, Tensor};

use crate::{Error, Labels};

/// Windows of a source domain and their labels.
///
/// Only such rows reach the label loss. Rows without labels are another type, and so
///
/// ```compile_fail,E0308
/// # use candle_core::{Device, DType, Tensor};
/// # use candle_dann::{Batch, LabelledRows, UnlabelledRows};
/// let windows = Tensor::zeros((4, 1, 64), DType::F32, &Device::Cpu)?;
/// let target = UnlabelledRows::new(windows)?;
/// let batch = Batch { sources: vec![target], targets: vec![] }; // expected `LabelledRows`
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// does not compile, while this does:
///
/// ```
/// # use candle_core::{Device, DType, Tensor};
/// # use candle_dann::{Batch, LabelledRows, UnlabelledRows};
/// let windows = Tensor::zeros((4, 1, 64), DType::F32, &Device::Cpu)?;
/// let target = UnlabelledRows::new(windows)?;
/// let batch = Batch { sources: vec![], targets: vec![target] };
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// Neither does the reverse, so a target's labels cannot be carried along by mistake, whether they are classes or values:
///
/// ```compile_fail,E0308
/// # use candle_core::{Device, DType, Tensor};
/// # use candle_dann::{Batch, LabelledRows, UnlabelledRows};
/// let windows = Tensor::zeros((4, 1, 64), DType::F32, &Device::Cpu)?;
/// let labels = Tensor::zeros(4, DType::U32, &Device::Cpu)?;
/// let rows = LabelledRows::new(windows, labels)?;
/// let batch = Batch { sources: vec![], targets: vec![rows] }; // expected `UnlabelledRows`
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// ```compile_fail,E0308
/// # use candle_core::{Device, DType, Tensor};
/// # use candle_dann::{Batch, LabelledRows, UnlabelledRows};
/// let windows = Tensor::zeros((4, 1, 64), DType::F32, &Device::Cpu)?;
/// let values = Tensor::zeros((4, 2), DType::F32, &Device::Cpu)?;
/// let rows = LabelledRows::with_values(windows, values)?;
/// let batch = Batch { sources: vec![], targets: vec![rows] }; // expected `UnlabelledRows`
/// # Ok::<(), candle_core::Error>(())
/// ```
///
/// And there is no constructor that takes both windows and labels of a target:
///
/// ```compile_fail,E0061
/// # use candle_core::{Device, DType, Tensor};
/// # use candle_dann::UnlabelledRows;
/// let windows = Tensor::zeros((4, 1, 64), DType::F32, &Device::Cpu)?;
/// let labels = Tensor::zeros(4, DType::U32, &Device::Cpu)?;
/// let target = UnlabelledRows::new(windows, labels)?; // takes the windows alone
/// # Ok::<(), candle_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LabelledRows {
    windows: Tensor,
    labels: Tensor,
}

impl LabelledRows {
    /// Windows `(n, channels, length)`, at least one, and their class numbers `(n,)` in u32.
    pub fn new(windows: Tensor, classes: Tensor) -> Result<Self> {
        let n = rows_of(&windows, "labelled windows")?;
        if classes.dims() != [n] || classes.dtype() != DType::U32 {
            let expected = format!("u32 of shape ({n},), one for each window");
            return Err(wrong_labels("labels", expected, &classes));
        }
        let labels = classes;
        Ok(Self { windows, labels })
    }

    /// Windows `(n, channels, length)`, at least one, and the values to be learnt of each, `(n, outputs)` in f32 or f64.
    pub fn with_values(windows: Tensor, values: Tensor) -> Result<Self> {
        let n = rows_of(&windows, "labelled windows")?;
        if !(matches!(*values.dims(), [rows, outputs] if rows == n && outputs > 0) && is_value(&values)) {
            let expected = format!("f32 or f64 of shape ({n}, outputs), one row for each window");
            return Err(wrong_labels("values", expected, &values));
        }
        let labels = values;
        Ok(Self { windows, labels })
    }

    /// The windows `(n, channels, length)`.
    pub fn windows(&self) -> &Tensor {
        &self.windows
    }

    /// The class numbers `(n,)` or values `(n, outputs)`.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }
}

/// Windows of a target domain. There is nothing else in it.
#[derive(Clone, Debug)]
pub struct UnlabelledRows {
    windows: Tensor,
}

impl UnlabelledRows {
    /// Windows `(n, channels, length)`, at least one.
    pub fn new(windows: Tensor) -> Result<Self> {
        rows_of(&windows, "unlabelled windows")?;
        Ok(Self { windows })
    }

    /// The windows `(n, channels, length)`.
    pub fn windows(&self) -> &Tensor {
        &self.windows
    }
}

/// The rows of one adversarial step. Domains are numbered sources first, then targets, in this order.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// One entry for each source domain.
    pub sources: Vec<LabelledRows>,
    /// One entry for each target domain.
    pub targets: Vec<UnlabelledRows>,
}

impl Batch {
    /// Rows of each domain.
    pub fn rows(&self) -> Vec<usize> {
        self.windows().map(row_count).collect()
    }

    /// Share of the largest domain among all rows: the domain accuracy of always naming that one, and so the level
    /// at which the domain head knows nothing. 1 / D for D equal domains.
    pub fn domain_chance(&self) -> f64 {
        let rows = self.rows();
        let largest = rows.iter().max().copied().unwrap_or(0);
        largest as f64 / rows.iter().sum::<usize>().max(1) as f64
    }

    pub(crate) fn windows(&self) -> impl Iterator<Item = &Tensor> {
        let sources = self.sources.iter().map(LabelledRows::windows);
        sources.chain(self.targets.iter().map(UnlabelledRows::windows))
    }

    /// The domain number of each row, in batch order.
    pub(crate) fn domain_numbers(&self, device: &Device) -> Result<Tensor> {
        let numbers: Vec<u32> = (0..).zip(self.rows()).flat_map(|(domain, n)| vec![domain; n]).collect();
        Tensor::new(numbers, device)
    }
}

/// All windows as one batch.
pub(crate) fn joined<'a>(windows: impl Iterator<Item = &'a Tensor>) -> Result<Tensor> {
    let windows: Vec<_> = windows.collect();
    if let Some((domain, odd)) = windows
        .iter()
        .enumerate()
        .find(|(_, w)| w.dims()[1..] != windows[0].dims()[1..])
    {
        return Err(Error::Rows {
            what: format!("windows of domain {domain}"),
            expected: format!("(channels, length) = {:?} as in domain 0", &windows[0].dims()[1..]),
            found: format!("{:?}", &odd.dims()[1..]),
        }
        .into());
    }
    Tensor::cat(&windows, 0)
}

/// All labels, in batch order: class numbers, or values in f64.
pub(crate) fn joined_labels(sources: &[LabelledRows], kind: Labels) -> Result<Tensor> {
    let mut all = Vec::with_capacity(sources.len());
    for (domain, source) in sources.iter().enumerate() {
        let labels = source.labels();
        let what = || format!("labels of source domain {domain}");
        match kind {
            Labels::Classes(_) if is_value(labels) => {
                let expected = "class numbers (u32), as the label head classifies".into();
                return Err(wrong_labels(&what(), expected, labels));
            }
            Labels::Values(n) if !is_value(labels) || labels.dims()[1] != n => {
                let expected = format!("values of shape (rows, {n}), as the label head gives");
                return Err(wrong_labels(&what(), expected, labels));
            }
            Labels::Classes(_) => all.push(labels.clone()),
            Labels::Values(_) => all.push(labels.to_dtype(DType::F64)?),
        }
    }
    Tensor::cat(&all, 0)
}

fn is_value(labels: &Tensor) -> bool {
    matches!(labels.dtype(), DType::F32 | DType::F64)
}

fn wrong_labels(what: &str, expected: String, found: &Tensor) -> candle_core::Error {
    let what = what.to_owned();
    let found = format!("{} of shape {:?}", found.dtype().as_str(), found.dims());
    Error::Rows { what, expected, found }.into()
}

pub(crate) fn row_count(windows: &Tensor) -> usize {
    windows.dims().first().copied().unwrap_or(0)
}

fn rows_of(windows: &Tensor, what: &str) -> Result<usize> {
    match *windows.dims() {
        [n, _, _] if n > 0 => Ok(n),
        _ => Err(Error::Rows {
            what: what.into(),
            expected: "shape (rows, channels, length) with at least one row".into(),
            found: format!("{:?}", windows.dims()),
        }
        .into()),
    }
}
