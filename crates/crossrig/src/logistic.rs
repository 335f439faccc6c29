//! Logistic regression on what a network would see of a window: no epochs, the same windows and statistics.

use std::collections::BTreeMap;

use adaptation_metrics::{LogisticConfig, LogisticRegression};
use candle_core::{DType, Device, Tensor};

use crate::baselines::{MOST_WINDOWS, sample, score_targets};
use crate::error::{Error, Result};
use crate::metrics::Scores;
use crate::network::{Outputs, Shape};
use crate::pieces::Probabilities;
use crate::preprocess::DomainInput;
use crate::rows::Rows;
use crate::settings::Settings;
use crate::task::{Task, Truth, WindowRef};
use crate::training::{Validation, training_classes};

/// Name of `--method logistic` among the scores.
pub const LOGISTIC: &str = "logistic";

const WEIGHTS: &str = "logistic.weights";
const INTERCEPTS: &str = "logistic.intercepts";
const PRESENT: &str = "logistic.present";

/// The penalty of every logistic regression of this program: C 0.1.
pub fn config() -> LogisticConfig {
    LogisticConfig {
        c: 0.1,
        ..LogisticConfig::default()
    }
}

/// A logistic regression on the rows of windows, all channels side by side.
#[derive(Clone, Debug, PartialEq)]
pub struct Logistic {
    regression: LogisticRegression,
    classes: usize,
}

impl Logistic {
    /// Fits the training windows of all sources, of each at most [`MOST_WINDOWS`].
    pub fn fit(task: &Task, inputs: &[DomainInput], seed: u64) -> Result<Self> {
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for (source, input) in task.sources.iter().zip(inputs) {
            let classes = training_classes(source);
            let rows = sample(classes.len(), MOST_WINDOWS, seed);
            y.extend(rows.iter().map(|&r| classes[r]));
            x.extend(flat(&input.train.select(&rows)?)?);
        }
        let classes = task.classes.len();
        let regression = LogisticRegression::fit(&x, &y, classes, &config()).map_err(machine)?;
        Ok(Self { regression, classes })
    }

    /// Probabilities for windows `(n, channels, length)`. It has no features, and names no domain.
    pub fn run(&self, x: &Tensor) -> Result<Outputs> {
        let p = self.regression.predict_proba(&flat(x)?).map_err(machine)?;
        Ok(Outputs {
            probabilities: p.iter().map(|&p| p as f32).collect(),
            classes: self.classes,
            features: Vec::new(),
            width: 0,
            domain: Vec::new(),
        })
    }

    /// Its parts by name, f64 and u32.
    pub fn tensors(&self) -> Result<BTreeMap<String, Tensor>> {
        let r = &self.regression;
        let rows = r.intercepts().len();
        let present: Vec<u32> = r.present().iter().map(|&c| c as u32).collect();
        Ok(BTreeMap::from([
            (
                WEIGHTS.to_owned(),
                Tensor::from_slice(r.weights(), (rows, r.columns()), &Device::Cpu)?,
            ),
            (INTERCEPTS.to_owned(), Tensor::new(r.intercepts(), &Device::Cpu)?),
            (PRESENT.to_owned(), Tensor::new(present, &Device::Cpu)?),
        ]))
    }

    /// From its parts.
    ///
    /// # Errors
    /// A part that is missing, superfluous, of another type, or does not fit the others or the sizes.
    pub fn of_tensors(shape: Shape, tensors: &BTreeMap<String, Tensor>) -> Result<Self> {
        let part = |name: &str, dtype: DType| {
            let tensor = tensors
                .get(name)
                .ok_or_else(|| Error::input(format!("no tensor {name}")))?;
            if tensor.dtype() != dtype {
                return Err(Error::input(format!(
                    "{name} is {:?}, expected {dtype:?}",
                    tensor.dtype()
                )));
            }
            Ok(tensor.flatten_all()?)
        };
        if tensors.len() != 3 {
            return Err(Error::input(format!(
                "{} tensors, a logistic regression has 3",
                tensors.len()
            )));
        }
        let present = part(PRESENT, DType::U32)?.to_vec1::<u32>()?;
        let regression = LogisticRegression::from_parts(
            shape.classes,
            present.iter().map(|&c| c as usize).collect(),
            part(WEIGHTS, DType::F64)?.to_vec1()?,
            part(INTERCEPTS, DType::F64)?.to_vec1()?,
        )
        .map_err(|e| Error::input(e.to_string()))?;
        if shape.channels.checked_mul(shape.length) != Some(regression.columns()) {
            return Err(Error::input(format!(
                "weights for {} values, a window has {} x {}",
                regression.columns(),
                shape.channels,
                shape.length
            )));
        }
        Ok(Self {
            regression,
            classes: shape.classes,
        })
    }
}

/// A logistic regression and what it says about the windows that are scored.
pub struct LogisticResult {
    /// The regression.
    pub model: Logistic,
    /// Scores on the targets.
    pub scores: Scores,
    /// Accuracy on the source's validation windows.
    pub source_validation: Option<f64>,
    /// Predicted class of each scored window of each target.
    pub predicted: Vec<Vec<usize>>,
    /// Class probabilities of each scored window of each target.
    pub probabilities: Probabilities,
}

/// Fits and scores a logistic regression on the inputs of a run.
pub fn logistic(
    task: &Task,
    truth: &Truth,
    scored: &[Vec<WindowRef>],
    settings: &Settings,
    inputs: &[DomainInput],
    validation: &Validation,
) -> Result<LogisticResult> {
    let model = Logistic::fit(task, inputs, settings.seed)?;
    let outputs: Vec<Outputs> = task
        .targets
        .iter()
        .zip(scored)
        .zip(&inputs[task.sources.len()..])
        .map(|((d, windows), input)| {
            let mut all = Outputs::default();
            Rows::new(&d.signals, windows, &settings.signal).inputs(input.train.standardiser(), |x| {
                all.extend(model.run(x)?, |_| false);
                Ok(())
            })?;
            Ok(all)
        })
        .collect::<Result<_>>()?;
    let predicted: Vec<Vec<usize>> = outputs.iter().map(Outputs::labels).collect();
    Ok(LogisticResult {
        scores: score_targets(task, truth, scored, &predicted, None)?,
        source_validation: validation.accuracy(|x, _| model.run(x))?,
        predicted,
        probabilities: outputs.into_iter().map(|o| o.probabilities).collect(),
        model,
    })
}

fn flat(x: &Tensor) -> Result<Vec<f64>> {
    Ok(x.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?)
}

fn machine(e: adaptation_metrics::Error) -> Error {
    Error::Machine(e.to_string())
}
