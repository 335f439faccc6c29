//! Progress on stderr, on a terminal only.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::training::{EpochRecord, Watcher};

/// A bar of training steps with the running epoch's figures.
pub struct TrainingBar {
    bar: ProgressBar,
    chance: f64,
}

impl TrainingBar {
    /// A bar named `what`; domain accuracy is shown beside `chance`.
    pub fn new(what: &str, chance: f64) -> Self {
        let bar = bar(what, "{prefix:>12} {bar:24} {pos}/{len} steps  {msg}  {eta} left");
        Self { bar, chance }
    }
}

impl Watcher for TrainingBar {
    fn step(&self, step: u64, total: u64, r: &EpochRecord) {
        self.bar.set_length(total);
        self.bar.set_position(step);
        if self.bar.is_hidden() {
            return;
        }
        let mut text = format!("epoch {} label {:.3}", r.epoch, r.label_loss);
        if let (Some(d), Some(l), Some(a)) = (r.domain_loss, r.lambda, r.domain_accuracy) {
            text += &format!(
                " domain {d:.3} lambda {l:.2} domain acc {:.0} % (chance {:.0} %)",
                100.0 * a,
                100.0 * self.chance
            );
        }
        match r.source_validation {
            Some(v) => text += &format!(" source val {:.1} %", 100.0 * v),
            None => text += &format!(" source train {:.1} %", 100.0 * r.source_accuracy),
        }
        self.bar.set_message(text);
    }
}

impl Drop for TrainingBar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A bar on stderr; hidden where stderr is no terminal or `CROSSRIG_NO_PROGRESS` is set.
pub fn bar(what: &str, template: &str) -> ProgressBar {
    let shown = std::io::stderr().is_terminal() && std::env::var_os("CROSSRIG_NO_PROGRESS").is_none();
    let target = if shown {
        ProgressDrawTarget::stderr_with_hz(8)
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(None, target).with_prefix(what.to_owned());
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}
