//! The paired measurement of one layer.

use std::time::Duration;

use benches::{elapsed, median};
use candle_core::{Device, Result, Tensor};
use serde::Serialize;

use crate::layers::Case;
use crate::pair::Pair;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Times that ours and candle's alternate.
    pub rounds: usize,
    /// A sample is as many calls as take about this long, at least one.
    pub sample: Duration,
}

/// One layer and pass: milliseconds a call, medians and round by round.
#[derive(Debug, Serialize)]
pub struct Row {
    pub layer: String,
    pub input: Vec<usize>,
    /// How often each network has the layer.
    pub networks: Vec<(char, usize)>,
    pub pass: &'static str,
    pub ours_ms: f64,
    pub candle_ms: Option<f64>,
    /// Median over the rounds of ours / candle's: what slows the machine down for a while cancels.
    pub ratio: Option<f64>,
    pub note: Option<&'static str>,
    pub ours_rounds_ms: Vec<f64>,
    pub candle_rounds_ms: Vec<f64>,
}

/// Measures a layer's forward pass, and its forward and backward pass.
pub fn measure(case: &Case, plan: Plan) -> Result<[Row; 2]> {
    let pair = Pair::new(case)?;
    let x = &pair.input;
    if pair.differs.is_none() {
        agree(&(pair.ours)(x)?, &(pair.candle)(x)?)
            .map_err(|e| e.context(format!("{} {:?}", case.layer, case.input)))?;
    }
    let row = |pass, ours: &dyn Fn() -> Result<()>, candle: Option<&dyn Fn() -> Result<()>>, note| {
        let (ours, candle) = alternate(plan, ours, candle)?;
        let ratios: Vec<f64> = ours.iter().zip(&candle).map(|(a, b)| a / b).collect();
        Ok::<_, candle_core::Error>(Row {
            layer: case.layer.to_string(),
            input: case.input.clone(),
            networks: case.uses.clone(),
            pass,
            ours_ms: median(&ours).unwrap_or(f64::NAN),
            candle_ms: median(&candle),
            ratio: median(&ratios),
            note,
            ours_rounds_ms: ours,
            candle_rounds_ms: candle,
        })
    };
    let forward = row(
        "forward",
        &|| (pair.ours)(x).map(drop),
        Some(&|| (pair.candle)(x).map(drop)),
        None,
    )?;
    // candle's backward of a tensor that is no scalar starts from a gradient of ones
    let candle_both = || (pair.candle)(x)?.backward().map(drop);
    let both = row(
        "forward+backward",
        &|| (pair.ours)(x)?.backward().map(drop),
        pair.no_backward.is_none().then_some(&candle_both),
        pair.no_backward,
    )?;
    Ok([forward, both])
}

/// Samples of ours and of candle's in turn, after one call of each that is not counted. Milliseconds a call.
fn alternate(
    plan: Plan,
    ours: &dyn Fn() -> Result<()>,
    candle: Option<&dyn Fn() -> Result<()>>,
) -> Result<(Vec<f64>, Vec<f64>)> {
    let calls = |f| -> Result<u64> {
        let one = elapsed(&Device::Cpu, 1, f)?;
        let calls = plan.sample.as_secs_f64() / one.as_secs_f64().max(1e-7);
        Ok(calls.clamp(1.0, 1e5) as u64)
    };
    let sample =
        |f, calls| Ok::<_, candle_core::Error>(elapsed(&Device::Cpu, calls, f)?.as_secs_f64() * 1e3 / calls as f64);
    let ours_calls = calls(ours)?;
    let candle_calls = candle.map(calls).transpose()?;
    let (mut ours_ms, mut candle_ms) = (Vec::new(), Vec::new());
    for _ in 0..plan.rounds {
        ours_ms.push(sample(ours, ours_calls)?);
        if let (Some(candle), Some(calls)) = (candle, candle_calls) {
            candle_ms.push(sample(candle, calls)?);
        }
    }
    Ok((ours_ms, candle_ms))
}

/// That both computed the same, within the rounding of sums of some thousand f32 products.
fn agree(ours: &Tensor, candle: &Tensor) -> Result<()> {
    let largest = |x: &Tensor| x.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
    let (difference, scale) = (largest(&(ours - candle)?)?, largest(candle)?);
    if difference > 1e-4 * scale {
        candle_core::bail!("the two differ by {difference} on values up to {scale}");
    }
    Ok(())
}
