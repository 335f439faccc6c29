//! From recordings to a task: one rate, windows, splits, and the classes a model can learn.
//!
//! Sources carry labels, targets do not: what a target's label says stands apart in [`Truth`], which only scoring takes.

use rayon::prelude::*;
use signal_conditioning::{Meta, window_starts};
use signal_domains::{
    Family, Fractions, Item, LabelledItem, Part, Split, SplitKind, SplitPlan, default_kind, split_source, split_target,
};

use crate::corpus::{Corpus, DomainSignals, Globs, Signal, data_error};
use crate::error::{Error, Result};
use crate::physics::{SpeedNote, check_known, settle_speed};
use crate::settings::{Settings, SignalSettings};

/// One window of a domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowRef {
    /// Number of the recording in its domain.
    pub recording: usize,
    /// First sample.
    pub start: usize,
    /// Number of samples.
    pub length: usize,
}

/// The windows of whole recordings, at the rate of use.
///
/// # Errors
/// Windows of revolutions, and a recording whose shaft speed is not known.
pub fn windows_of(signals: &[Signal], settings: &SignalSettings) -> Result<Vec<WindowRef>> {
    let mut windows = Vec::new();
    for (recording, s) in signals.iter().enumerate() {
        let windowing = settings.windowing(&s.meta)?;
        let starts = window_starts(s.samples.len(), &windowing).map_err(|e| Error::Machine(e.to_string()))?;
        windows.extend(starts.into_iter().map(|start| WindowRef {
            recording,
            start,
            length: windowing.length,
        }));
    }
    Ok(windows)
}

/// A domain cut into windows and parts. It knows no class.
#[derive(Clone, Debug)]
pub struct Domain {
    /// Name of the domain.
    pub name: String,
    /// Its recordings, at the task's rate.
    pub signals: Vec<Signal>,
    /// Windows to train on.
    pub train: Vec<WindowRef>,
    /// Windows to watch training by.
    pub validation: Vec<WindowRef>,
    /// Windows that training never sees.
    pub test: Vec<WindowRef>,
}

/// A source: a domain and the class of each recording.
#[derive(Clone, Debug)]
pub struct Source {
    /// The windows.
    pub domain: Domain,
    /// Class of each recording, as a number into [`Task::classes`].
    pub classes: Vec<usize>,
}

/// What a run trains on.
#[derive(Clone, Debug)]
pub struct Task {
    /// Classes that the sources have; their order fixes the label numbers.
    pub classes: Vec<String>,
    /// What each of them damages, where the data set says it.
    pub families: Vec<Option<Family>>,
    /// Sampling rate of every recording; `None`: only samples exist.
    pub rate_hz: Option<f64>,
    /// Channels of every recording.
    pub channels: usize,
    /// Samples in a window; in the shortest, where windows are turns of a shaft.
    pub window: usize,
    /// Kind of split of every domain.
    pub split: SplitKind,
    /// Labelled domains.
    pub sources: Vec<Source>,
    /// Unlabelled domains.
    pub targets: Vec<Domain>,
    /// SHA-256 over names and contents of the recordings.
    pub digest: String,
    /// What the signals say of the shaft speeds that were given: file and note.
    pub speeds: Vec<(String, SpeedNote)>,
    /// The target's machine in known good state, at the task's rate.
    pub reference: Option<Signal>,
}

/// The labels of the targets, for scoring alone.
#[derive(Clone, Debug)]
pub struct Truth {
    /// The task's classes, then those that only targets have.
    pub classes: Vec<String>,
    /// For each target, the class of each recording; `None`: no label, or not asked for.
    pub targets: Vec<Vec<Option<usize>>>,
}

impl Task {
    /// Builds the task from recordings, and keeps the truth about the targets apart.
    ///
    /// # Errors
    /// Rates or channels that do not go together, a source with one class only, windows longer than every recording, a
    /// split that the recordings do not allow.
    pub fn new(corpus: Corpus, settings: &Settings) -> Result<(Self, Truth, Vec<String>)> {
        let mut warnings = corpus.warnings.clone();
        let digest = corpus.digest();
        let wanted = Globs::new(&settings.classes, "classes")?;
        let (classes, truth) = class_lists(&corpus, &wanted, &mut warnings)?;
        let channels = common_channels(&corpus)?;
        let signals = corpus.sources.iter().chain(&corpus.targets).flat_map(|d| &d.signals);
        let rate_hz = common_rate(signals, settings.signal.rate)?;

        let families = classes
            .iter()
            .map(|name| corpus.classes.iter().position(|c| c == name))
            .map(|c| c.and_then(|c| corpus.families.get(c).copied().flatten()))
            .collect();
        let mut speeds = Vec::new();
        let needs = settings.needs();
        let mut resampled = |mut d: DomainSignals| -> Result<DomainSignals> {
            let notes: Vec<Option<SpeedNote>> = d
                .signals
                .par_iter_mut()
                .map(|s| {
                    check_known(s, needs, &settings.who_needs())?;
                    at_rate(s, rate_hz)?;
                    let of_use = needs.shaft_speed || s.meta.geometry.is_some();
                    Ok(of_use.then(|| settle_speed(s)).flatten())
                })
                .collect::<Result<_>>()?;
            speeds.extend(
                d.signals
                    .iter()
                    .zip(notes)
                    .filter_map(|(s, n)| Some((s.file.clone(), n?))),
            );
            Ok(d)
        };
        let sources: Vec<DomainSignals> = corpus.sources.into_iter().map(&mut resampled).collect::<Result<_>>()?;
        let targets: Vec<DomainSignals> = corpus.targets.into_iter().map(&mut resampled).collect::<Result<_>>()?;
        let window = shortest_window(sources.iter().chain(&targets), &settings.signal)?;

        let labels: Vec<Vec<usize>> = sources
            .iter()
            .map(|d| {
                d.classes
                    .iter()
                    .flatten()
                    .map(|&c| classes.iter().position(|n| *n == corpus.classes[c]).unwrap_or_default())
                    .collect()
            })
            .collect();
        let (split, source_splits, target_splits) = split(&sources, &labels, &targets, settings)?;
        let sources: Vec<Source> = sources
            .into_iter()
            .zip(labels)
            .zip(&source_splits)
            .map(|((d, classes), split)| {
                let domain = Domain::new(d, split, &settings.signal)?;
                Ok(Source { domain, classes })
            })
            .collect::<Result<_>>()?;
        let targets: Vec<Domain> = targets
            .into_iter()
            .zip(&target_splits)
            .map(|(d, split)| Domain::new(d, split, &settings.signal))
            .collect::<Result<_>>()?;
        let task = Self {
            classes,
            families,
            rate_hz,
            channels,
            window,
            split,
            sources,
            targets,
            digest,
            speeds,
            reference: None,
        };
        Ok((task, truth, warnings))
    }

    /// Takes up a recording of the target's machine in known good state; its bearing and speed are those of the target's first
    /// recording, and so is a rate that it does not state.
    ///
    /// # Errors
    /// Other channels than the target's, a recording that cannot be resampled, more than one target.
    pub fn take_reference(&mut self, mut reference: Signal, target_rate_hz: Option<f64>) -> Result<()> {
        let [Domain { signals, .. }] = &self.targets[..] else {
            return Err(Error::input("--reference is of one machine: give one --target"));
        };
        if reference.samples.channels() != self.channels {
            return Err(Error::input(format!(
                "--reference {}: {} channels, the recordings have {}",
                reference.file,
                reference.samples.channels(),
                self.channels
            )));
        }
        let first = signals.first().map(|s| s.meta).unwrap_or_default();
        reference.meta = Meta {
            rate_hz: reference.meta.rate_hz.or(target_rate_hz),
            ..first
        };
        at_rate(&mut reference, self.rate_hz)?;
        self.reference = Some(reference);
        Ok(())
    }

    /// All domains, sources first: their order is their number.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.sources.iter().map(|s| &s.domain).chain(&self.targets)
    }
}

impl Domain {
    fn new(d: DomainSignals, split: &Split, settings: &SignalSettings) -> Result<Self> {
        let lengths: Vec<usize> = d
            .signals
            .iter()
            .map(|s| settings.window.samples(&s.meta))
            .collect::<Result<_>>()?;
        let part = |part: Part| -> Vec<WindowRef> {
            split
                .windows(part)
                .into_iter()
                .map(|(recording, start)| WindowRef {
                    recording,
                    start,
                    length: lengths[recording],
                })
                .collect()
        };
        let (train, validation, test) = (part(Part::Train), part(Part::Validation), part(Part::Test));
        Ok(Self {
            name: d.name,
            signals: d.signals,
            train,
            validation,
            test,
        })
    }

    /// Training, validation and test windows together.
    pub fn all(&self) -> Vec<WindowRef> {
        let mut all: Vec<WindowRef> = self
            .train
            .iter()
            .chain(&self.validation)
            .chain(&self.test)
            .copied()
            .collect();
        all.sort_by_key(|w| (w.recording, w.start));
        all
    }
}

/// One kind of split for all domains; the targets are split without their classes.
fn split(
    sources: &[DomainSignals],
    labels: &[Vec<usize>],
    targets: &[DomainSignals],
    settings: &Settings,
) -> Result<(SplitKind, Vec<Split>, Vec<Split>)> {
    let shares = |[a, b, c]: [f64; 3]| Fractions::new(a, b, c).map_err(data_error);
    let fractions = shares(settings.fractions)?;
    let source_fractions = shares(settings.source_fractions.unwrap_or(settings.fractions))?;
    let item = |s| item(s, &settings.signal);
    let source_items: Vec<Vec<LabelledItem>> = sources
        .iter()
        .zip(labels)
        .map(|(d, l)| {
            d.signals
                .iter()
                .zip(l)
                .map(|(s, &class)| Ok(LabelledItem { item: item(s)?, class }))
                .collect()
        })
        .collect::<Result<_>>()?;
    let target_items: Vec<Vec<Item>> = targets
        .iter()
        .map(|d| d.signals.iter().map(item).collect())
        .collect::<Result<_>>()?;
    let kind = settings.split_kind()?.unwrap_or_else(|| {
        let s: Vec<&[LabelledItem]> = source_items.iter().map(Vec::as_slice).collect();
        let t: Vec<&[Item]> = target_items.iter().map(Vec::as_slice).collect();
        // the demand of the one that has more parts
        let most = if source_fractions.parts() > fractions.parts() {
            &source_fractions
        } else {
            &fractions
        };
        default_kind(&s, &t, most)
    });
    let plan = SplitPlan {
        kind,
        fractions,
        // each recording states its own
        window: 0,
        hop: 0,
        seed: settings.seed,
    };
    let source_plan = SplitPlan {
        fractions: source_fractions,
        ..plan
    };
    let source_splits = sources
        .iter()
        .zip(&source_items)
        .map(|(d, items)| split_source(&d.name, items, &source_plan).map_err(data_error))
        .collect::<Result<_>>()?;
    let target_splits = targets
        .iter()
        .zip(&target_items)
        .map(|(d, items)| split_target(&d.name, items, &plan).map_err(data_error))
        .collect::<Result<_>>()?;
    Ok((kind, source_splits, target_splits))
}

fn item<'a>(s: &'a Signal, settings: &SignalSettings) -> Result<Item<'a>> {
    let windows = settings.windowing(&s.meta)?;
    Ok(Item {
        file: &s.file,
        unit: s.unit.as_deref(),
        samples: s.samples.len(),
        windows: Some((windows.length, windows.hop)),
    })
}

/// The model's classes, and the truth over those and the ones only targets have.
fn class_lists(corpus: &Corpus, wanted: &Globs, warnings: &mut Vec<String>) -> Result<(Vec<String>, Truth)> {
    let has = |domains: &[DomainSignals], class: usize| domains.iter().any(|d| d.classes.contains(&Some(class)));
    let mut classes = Vec::new();
    let mut only_target = Vec::new();
    for (c, name) in corpus.classes.iter().enumerate() {
        if !wanted.pass(name) {
            continue;
        }
        if has(&corpus.sources, c) {
            classes.push(name.clone());
        } else if has(&corpus.targets, c) {
            only_target.push(name.clone());
        }
    }
    if classes.len() < 2 {
        return Err(Error::input_with_hint(
            format!(
                "the source has {} only: a diagnosis needs at least two",
                classes
                    .first()
                    .map_or_else(|| "no class".into(), |c| format!("the class `{c}`"))
            ),
            "give more source domains or recordings, or widen --classes",
        ));
    }
    for d in &corpus.sources {
        let missing: Vec<&str> = classes
            .iter()
            .filter(|n| !d.classes.iter().flatten().any(|&c| corpus.classes[c] == **n))
            .map(String::as_str)
            .collect();
        if !missing.is_empty() {
            warnings.push(format!(
                "source `{}` has no recording of {}",
                d.name,
                missing.join(", ")
            ));
        }
    }
    if !only_target.is_empty() {
        warnings.push(format!(
            "the target has {} that no source has: every window of it is scored as wrong",
            only_target.join(", ")
        ));
    }
    let mut all = classes.clone();
    all.extend(only_target);
    let targets = corpus
        .targets
        .iter()
        .map(|d| {
            d.classes
                .iter()
                .map(|c| c.and_then(|c| all.iter().position(|n| *n == corpus.classes[c])))
                .collect()
        })
        .collect();
    Ok((classes, Truth { classes: all, targets }))
}

fn common_channels(corpus: &Corpus) -> Result<usize> {
    let mut all = corpus
        .sources
        .iter()
        .chain(&corpus.targets)
        .flat_map(|d| d.signals.iter().map(move |s| (d, s)));
    let Some((_, first)) = all.next() else {
        return Err(Error::input("there is no recording"));
    };
    for (d, s) in all {
        if s.samples.channels() != first.samples.channels() {
            return Err(Error::input_with_hint(
                format!(
                    "{} of `{}` has {} channels, {} has {}",
                    s.file,
                    d.name,
                    s.samples.channels(),
                    first.file,
                    first.samples.channels()
                ),
                "choose the same number with --channels",
            ));
        }
    }
    Ok(first.samples.channels())
}

/// The rate asked for, else the lowest in use; `None` where no recording states one.
fn common_rate<'a>(signals: impl Iterator<Item = &'a Signal>, asked: Option<f64>) -> Result<Option<f64>> {
    let (with, without): (Vec<&Signal>, Vec<&Signal>) = signals.partition(|s| s.meta.rate_hz.is_some());
    match (with.first(), without.first()) {
        (Some(a), Some(b)) => Err(Error::input_with_hint(
            format!(
                "{} has no sampling rate, {} has {} Hz",
                b.file,
                a.file,
                a.meta.rate_hz.unwrap_or(0.0)
            ),
            "state `rate_hz` for every recording in the manifest, or for none",
        )),
        (None, Some(b)) if asked.is_some() => Err(Error::input_with_hint(
            format!("--rate needs recordings with a sampling rate, {} has none", b.file),
            "state `rate_hz` in the manifest; without a rate only samples exist",
        )),
        (None, _) => Ok(None),
        (Some(_), None) => {
            let lowest = with.iter().filter_map(|s| s.meta.rate_hz).fold(f64::INFINITY, f64::min);
            Ok(Some(asked.unwrap_or(lowest)))
        }
    }
}

/// Resamples a signal to the task's rate.
pub fn at_rate(s: &mut Signal, rate_hz: Option<f64>) -> Result<()> {
    if let (Some(from), Some(to)) = (s.meta.rate_hz, rate_hz)
        && from != to
    {
        let resampled = s.samples.resampled(from, to);
        s.samples = resampled.map_err(|e| Error::input(format!("{}: {e}", s.file)))?;
        s.meta.rate_hz = Some(to);
    }
    Ok(())
}

/// Samples of the shortest window of all recordings.
///
/// # Errors
/// A domain no recording of which is as long as a window.
fn shortest_window<'a>(domains: impl Iterator<Item = &'a DomainSignals>, settings: &SignalSettings) -> Result<usize> {
    let mut shortest = usize::MAX;
    for d in domains {
        let mut fits = false;
        for s in &d.signals {
            let window = settings.window.samples(&s.meta)?;
            fits |= window <= s.samples.len();
            shortest = shortest.min(window);
        }
        if !fits {
            let longest = d.signals.iter().map(|s| s.samples.len()).max().unwrap_or(0);
            return Err(Error::input_with_hint(
                format!(
                    "a window of {} is longer than every recording of `{}`; the longest has {longest} samples",
                    settings.window, d.name
                ),
                "give a shorter --window",
            ));
        }
    }
    Ok(shortest)
}
