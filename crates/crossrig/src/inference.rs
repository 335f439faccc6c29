//! A saved model on recordings: windows and preparation as in training.

use signal_conditioning::Standardiser;

use crate::class_mix::{histogram, mix_differs};
use crate::corpus::Signal;
use crate::error::{Error, Result};
use crate::model_file::{Model, Role};
use crate::network::Outputs;
use crate::options::{BatchNorm, Standardise};
use crate::physics::{check_known, settle_speed};
use crate::rows::Rows;
use crate::task::{WindowRef, at_rate, windows_of};

/// Whose statistics prepare the signals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Statistics {
    /// Those the model holds of its domain of this number.
    Of(usize),
    /// Estimated from the very recordings; running statistics of batch norm are those of the numbered domain.
    Themselves(usize),
}

/// What the flags ask for: a domain by name, the only target, or the files themselves.
///
/// A model without statistics per domain has nothing to choose from, and takes any.
pub fn choose_statistics(model: &Model, name: Option<&str>, restandardise: bool) -> Result<Statistics> {
    let recipe = &model.recipe;
    let same_everywhere =
        recipe.settings.batch_norm == BatchNorm::Joint && !recipe.settings.signal.standardise.per_domain();
    let number = match name {
        None if same_everywhere || restandardise => recipe.statistics(None).unwrap_or(0),
        _ => recipe.statistics(name)?,
    };
    Ok(if restandardise {
        Statistics::Themselves(number)
    } else {
        Statistics::Of(number)
    })
}

/// Brings a recording to the model's rate, settles its shaft speed where one is of use, and checks its channels.
///
/// # Errors
/// Another number of channels, a recording shorter than a window, something unknown that the model's input needs.
pub fn prepare(model: &Model, signal: &mut Signal) -> Result<()> {
    let expected = model.recipe.recording_channels();
    if signal.samples.channels() != expected {
        return Err(Error::input_with_hint(
            format!(
                "{}: {} channel{}, the model was trained on {expected}",
                signal.file,
                signal.samples.channels(),
                if signal.samples.channels() == 1 { "" } else { "s" }
            ),
            "name the variable of each channel: --key of predict, `channels` of a manifest",
        ));
    }
    let settings = &model.recipe.settings.signal;
    let needs = settings.needs();
    let who = format!(
        "the model's input, {}{},",
        settings.recipe().kind(),
        settings.in_windows()
    );
    check_known(signal, needs, &who)?;
    at_rate(signal, model.recipe.rate_hz)?;
    if needs.shaft_speed || signal.meta.geometry.is_some() {
        settle_speed(signal);
    }
    let (have, need) = (signal.samples.len(), settings.window.samples(&signal.meta)?);
    if have < need {
        return Err(Error::input(format!(
            "{}: {have} samples, shorter than the model's window of {need}",
            signal.file
        )));
    }
    Ok(())
}

/// What a model says of recordings.
pub struct Classified {
    /// Windows of all recordings.
    pub windows: Vec<WindowRef>,
    /// What the model says of them.
    pub outputs: Outputs,
    /// Where statistics of these very recordings were asked for: why they are not to be trusted, if so.
    pub distrust: Option<String>,
}

/// Cuts prepared recordings into windows and runs the model on them.
pub fn classify(model: &Model, signals: &[Signal], statistics: Statistics) -> Result<Classified> {
    let settings = &model.recipe.settings.signal;
    let windows = windows_of(signals, settings)?;
    let mut rows = Rows::new(signals, &windows, settings);
    let mut distrust = None;
    let outputs = match statistics {
        Statistics::Of(i) => run(model, &rows, model.recipe.domains[i].standardiser.as_ref(), i)?,
        Statistics::Themselves(i) if settings.standardise == Standardise::None => run(model, &rows, None, i)?,
        Statistics::Themselves(i) => {
            rows = rows.hold()?;
            let own = rows.statistics()?;
            distrust = distrust_of(model, &rows, &own, i)?;
            run(model, &rows, Some(&own), i)?
        }
    };
    drop(rows);
    Ok(Classified {
        windows,
        outputs,
        distrust,
    })
}

fn run(model: &Model, rows: &Rows, by: Option<&Standardiser>, domain: usize) -> Result<Outputs> {
    let mut outputs = Outputs::default();
    rows.inputs(by, |x| {
        outputs.extend(model.classifier.run(x, domain)?, |_| false);
        Ok(())
    })?;
    if outputs.probabilities.iter().any(|p| !p.is_finite()) {
        return Err(Error::input(
            "what the model computes of these recordings is not a number",
        ));
    }
    Ok(outputs)
}

/// Why statistics of these recordings are not to be trusted, by the rule of [`mix_differs`] with what the
/// model itself predicts; `None` where they are, or where the model holds no source to compare with.
fn distrust_of(model: &Model, rows: &Rows, own: &Standardiser, domain: usize) -> Result<Option<String>> {
    let source = model.recipe.domains.iter().find(|d| d.role == Role::Source);
    let Some((of_source, variance)) = source.and_then(|s| Some((s.standardiser.as_ref()?, s.variance?))) else {
        return Ok(None);
    };
    let classes = model.recipe.classes.len();
    let by = |statistics: &Standardiser| -> Result<Vec<f64>> {
        Ok(histogram(
            &run(model, rows, Some(statistics), domain)?.labels(),
            classes,
        ))
    };
    let spread = variance.spread(own);
    Ok(mix_differs(spread, &by(of_source)?, &by(own)?).then(|| {
        format!(
            "the recordings seem to show few of the conditions that the model knows (spread {spread:.2} of 1): statistics of \
             their own are misleading"
        )
    }))
}

/// Number of the domain whose statistics serve where those of the recordings themselves are not to be trusted: the first
/// source.
pub fn source_statistics(model: &Model) -> Statistics {
    let source = model.recipe.domains.iter().position(|d| d.role == Role::Source);
    Statistics::Of(source.unwrap_or(0))
}
