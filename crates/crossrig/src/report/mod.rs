//! `report.html`: what a run came to, on one page that opens anywhere.
//!
//! One self-contained file: inline CSS and SVG, no script, no link, prints well. It is made from plain data ([`Report`])
//! and shows what is there: without target labels there is no confusion matrix, and the page says so; without a
//! source-only twin there is one column instead of two. Nothing carries its meaning by colour alone.

mod axis;
mod bars;
mod envelope;
mod evidence;
mod figures;
mod html;
mod lines;
mod map;
mod matrix;
mod palette;
mod sections;
mod svg;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

/// Everything a report shows.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Labelled domains.
    pub sources: Vec<String>,
    /// Unlabelled domains.
    pub targets: Vec<String>,
    /// The split and the part that is scored, in words.
    pub split: String,
    /// Whether the split lets windows of one recording stand on both sides at random.
    pub leaky: bool,
    /// What the scores mean, one plain sentence each.
    pub verdicts: Vec<String>,
    /// Remarks that a reader of the scores should see.
    pub warnings: Vec<String>,
    /// Class names; their order is that of every recall, confusion matrix and mix.
    pub classes: Vec<String>,
    /// Number of leading entries of `classes` that the model knows; the others occur in a target only.
    pub known_classes: usize,
    /// The adapted network.
    pub adapted: Option<Model>,
    /// The network trained on source rows alone.
    pub source_only: Option<Model>,
    /// Majority class and the simple methods.
    pub simple: Vec<Method>,
    /// Recordings that were scored; empty: the table of recordings is made from the scores alone.
    pub recordings: Vec<Recording>,
    /// Envelope spectra of some recordings of the targets; empty where no bearing or speed is known.
    pub evidence: Vec<EvidencePanel>,
    /// Settings with every default filled in, as key and value.
    pub settings: Vec<(String, String)>,
    /// Digest of the data, versions, threads, times: what it takes to repeat the run, as key and value.
    pub provenance: Vec<(String, String)>,
    /// The command line.
    pub command: String,
}

/// Scores of one way to predict the targets: a row of the table.
#[derive(Clone, Debug, Default)]
pub struct Method {
    /// Name for the table and the legends.
    pub name: String,
    /// Accuracy over all scored windows, 0 to 1; `None` without labels.
    pub accuracy: Option<f64>,
    /// Macro-F1 over all scored windows, 0 to 1; `None` without labels.
    pub macro_f1: Option<f64>,
    /// Each target domain by itself.
    pub domains: Vec<DomainScores>,
}

/// Scores on one target domain.
#[derive(Clone, Debug, Default)]
pub struct DomainScores {
    /// Name of the domain.
    pub domain: String,
    /// Accuracy, 0 to 1; `None` without labels.
    pub accuracy: Option<f64>,
    /// Macro-F1, 0 to 1; `None` without labels.
    pub macro_f1: Option<f64>,
    /// Number of windows scored.
    pub windows: usize,
    /// Number of recordings they come from.
    pub recordings: usize,
    /// Accuracy by file.
    pub accuracy_by_recording: BTreeMap<String, f64>,
    /// Counts, row: truth, column: prediction; `None` without labels.
    pub confusion: Option<Vec<Vec<u64>>>,
}

/// A trained network: scores and how it came about.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Its row of the table.
    pub method: Method,
    /// One record an epoch.
    pub history: Vec<Epoch>,
    /// Accuracy on the source's validation windows, 0 to 1.
    pub source_validation: Option<f64>,
    /// Accuracy of the domain head on scored windows, 0 to 1.
    pub domain_accuracy: Option<f64>,
    /// Proxy A-distance of its features, 0 to 2.
    pub a_distance: Option<f64>,
    /// Share of each class among its predictions for the targets, 0 to 1; empty: unknown.
    pub predicted_mix: Vec<f64>,
    /// Maps of its features.
    pub maps: Vec<FeatureMap>,
    /// Share of scored windows of at least some confidence and accuracy among them, 0 to 1, the surest first; empty without labels.
    pub coverage: Vec<[f64; 2]>,
}

/// One epoch of training.
#[derive(Clone, Copy, Debug, Default)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: usize,
    /// Mean label loss.
    pub label_loss: f64,
    /// Mean domain loss; `None` in the warm-up.
    pub domain_loss: Option<f64>,
    /// Lambda at the last step; `None` in the warm-up.
    pub lambda: Option<f64>,
    /// Accuracy of the domain head on the rows of the steps, 0 to 1; `None` in the warm-up.
    pub domain_accuracy: Option<f64>,
    /// Accuracy on the source's validation windows, 0 to 1.
    pub source_validation: Option<f64>,
}

/// How features came to two dimensions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Layout {
    /// By their first two principal components.
    Principal {
        /// shares of the variance that the two hold, 0 to 1
        explained: [f64; 2],
    },
    /// By t-SNE: neighbours stay neighbours, distances mean nothing.
    Neighbours,
}

/// Features in two dimensions.
#[derive(Clone, Debug)]
pub struct FeatureMap {
    /// What the coordinates are.
    pub layout: Layout,
    /// Coordinates of each window.
    pub points: Vec<[f64; 2]>,
    /// Number of the domain of each point: sources first, then targets, as in the report.
    pub domain: Vec<usize>,
    /// Class of each point; `None` where it has no label.
    pub class: Vec<Option<usize>>,
}

/// A recording of a target.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Its domain.
    pub domain: String,
    /// Its file.
    pub file: String,
    /// Its class, where it has a label.
    pub class: Option<String>,
    /// Number of its windows that are scored.
    pub windows: usize,
    /// Class that the adapted (else the source-only) network predicts for the whole recording.
    pub predicted: Option<String>,
    /// Share of its windows predicted as that class, 0 to 1.
    pub agreement: Option<f64>,
}

/// What physics says of a recording of a target, and the spectrum that says it.
#[derive(Clone, Debug)]
pub struct EvidencePanel {
    /// Its domain.
    pub domain: String,
    /// Its file.
    pub file: String,
    /// What the rule says of it.
    pub verdict: String,
    /// What the network says, where that is something else.
    pub network: Option<String>,
    /// Where the second that is shown begins, s.
    pub shown_s: f64,
    /// What the spectrum shows, a sentence for each family.
    pub words: Vec<String>,
    /// The spectrum and its lines.
    pub evidence: signal_conditioning::Evidence,
}

/// An envelope spectrum with the lines of each defect: a whole SVG file.
pub fn evidence_svg(evidence: &signal_conditioning::Evidence, title: &str) -> String {
    envelope::draw(evidence, title).replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1)
}

/// The page.
pub fn render(report: &Report) -> String {
    let title = format!("{} \u{2192} {}", report.sources.join(" + "), report.targets.join(" + "));
    let mut body = String::new();
    for section in [
        sections::header(report, &title),
        sections::scores(report),
        figures::training(report),
        figures::confusion(report),
        figures::coverage(report),
        figures::classes(report),
        figures::maps(report),
        evidence::section_of(report),
        sections::recordings(report),
        sections::settings(report),
    ] {
        body += &section;
    }
    html::page(&title, &body)
}

impl Report {
    /// The networks with the style of each, source-only first: before, after.
    fn models(&self) -> impl Iterator<Item = (&Model, palette::Style)> {
        let source_only = self.source_only.iter().map(|m| (m, palette::SOURCE_ONLY));
        source_only.chain(self.adapted.iter().map(|m| (m, palette::ADAPTED)))
    }

    /// All methods, networks first.
    fn methods(&self) -> impl Iterator<Item = &Method> {
        let networks = self.adapted.iter().chain(&self.source_only).map(|m| &m.method);
        networks.chain(&self.simple)
    }

    /// Whether any target window has a label.
    fn has_labels(&self) -> bool {
        self.methods().any(|m| m.accuracy.is_some())
    }

    /// Names of all domains, sources first.
    fn domains(&self) -> impl Iterator<Item = &String> {
        self.sources.iter().chain(&self.targets)
    }

    /// What guessing the domain gives.
    fn chance(&self) -> Option<f64> {
        let domains = self.domains().count();
        (domains > 0).then(|| 1.0 / domains as f64)
    }
}

impl Method {
    /// Counts over all domains, row: truth, column: prediction; `None` without labels.
    fn confusion(&self, classes: usize) -> Option<Vec<Vec<u64>>> {
        let mut sum = vec![vec![0; classes]; classes];
        let mut any = false;
        for counts in self.domains.iter().filter_map(|d| d.confusion.as_ref()) {
            any = true;
            for (row, more) in sum.iter_mut().zip(counts) {
                for (n, m) in row.iter_mut().zip(more) {
                    *n += m;
                }
            }
        }
        any.then_some(sum)
    }

    /// Recall of each class over all domains; `None` for a class that is absent.
    fn recall(&self, classes: usize) -> Option<Vec<Option<f64>>> {
        let share = |(k, row): (usize, &Vec<u64>)| {
            let all: u64 = row.iter().sum();
            (all > 0).then(|| row[k] as f64 / all as f64)
        };
        Some(self.confusion(classes)?.iter().enumerate().map(share).collect())
    }

    fn windows(&self) -> usize {
        self.domains.iter().map(|d| d.windows).sum()
    }

    fn recordings(&self) -> usize {
        self.domains.iter().map(|d| d.recordings).sum()
    }
}
