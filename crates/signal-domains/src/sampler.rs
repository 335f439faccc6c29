//! Batches: the same number of rows from every domain, at each step.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::keyed::permutation;

/// Whether a source's rows are drawn as they are or class by class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Balance {
    /// Every row equally often.
    #[default]
    None,
    /// Every class equally often, and within a class every row equally often. For sources only: a target has no
    /// classes to balance by.
    Class,
}

impl std::fmt::Display for Balance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::None { "none" } else { "class" })
    }
}

impl std::str::FromStr for Balance {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self> {
        match s {
            "none" => Ok(Self::None),
            "class" => Ok(Self::Class),
            _ => Err(Error::Argument(format!("balance {s:?}: expected none or class"))),
        }
    }
}

/// Training windows of a source domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRows {
    /// The domain's name; part of the seed.
    pub domain: String,
    /// The class of each training window.
    pub classes: Vec<usize>,
}

/// Training windows of a target domain: a number of them and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TargetRows {
    /// The domain's name; part of the seed.
    pub domain: String,
    /// How many training windows there are.
    pub rows: usize,
}

/// Row numbers of one step, per domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchRows {
    /// For each source, in the order given.
    pub sources: Vec<Vec<usize>>,
    /// For each target, in the order given; empty in a step of sources alone.
    pub targets: Vec<Vec<usize>>,
}

/// How many rows each domain has given so far: all there is to save for a resume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SamplerState {
    /// Rows drawn from each source.
    pub sources: Vec<u64>,
    /// Rows drawn from each target.
    pub targets: Vec<u64>,
}

/// Draws batches of `batch` rows from each domain.
///
/// Each domain is an endless stream: one seeded permutation of its rows after another, a new one only when the last is
/// used up, so that over time every row is used equally often. Every batch is full: one that reaches the end of a
/// permutation is filled up from the next, and a domain with fewer rows than `batch` repeats rows within a batch. The
/// k-th row of a domain is a pure function of (seed, domain name, k); what one domain gives does not depend on the
/// others, so a run without targets sees the same source rows in the same order.
#[derive(Clone, Debug)]
pub struct Sampler {
    batch: usize,
    largest_source: usize,
    sources: Vec<Stream>,
    targets: Vec<Stream>,
}

impl Sampler {
    /// A sampler at the start of training. Errors: no source, a domain without rows, a batch of 0.
    pub fn new(
        seed: u64,
        batch: usize,
        balance: Balance,
        sources: &[SourceRows],
        targets: &[TargetRows],
    ) -> Result<Self> {
        if batch == 0 {
            return Err(Error::Argument("a batch of 0 rows: expected at least 1".into()));
        }
        let Some(largest_source) = sources.iter().map(|s| s.classes.len()).max() else {
            return Err(Error::Argument("no source domain to draw batches from".into()));
        };
        let sizes = sources.iter().map(|s| (&s.domain, s.classes.len()));
        if let Some((domain, _)) = sizes
            .chain(targets.iter().map(|t| (&t.domain, t.rows)))
            .find(|(_, n)| *n == 0)
        {
            return Err(Error::Argument(format!("domain {domain} has no training windows")));
        }
        Ok(Self {
            batch,
            largest_source,
            sources: sources.iter().map(|s| Stream::of_source(seed, s, balance)).collect(),
            targets: targets
                .iter()
                .map(|t| Stream::new(seed, &t.domain, vec![(0..t.rows).collect()]))
                .collect(),
        })
    }

    /// Steps of an epoch: one pass over the largest source, rounded up to full batches.
    pub fn steps_per_epoch(&self) -> usize {
        self.largest_source.div_ceil(self.batch)
    }

    /// Rows of the next step from all domains.
    pub fn next_batch(&mut self) -> BatchRows {
        let mut rows = self.next_source_batch();
        rows.targets = self.targets.iter_mut().map(|s| s.draw(self.batch)).collect();
        rows
    }

    /// Rows of the next step from the sources alone (warm-up, source-only training); the targets stand still.
    pub fn next_source_batch(&mut self) -> BatchRows {
        let sources = self.sources.iter_mut().map(|s| s.draw(self.batch)).collect();
        BatchRows {
            sources,
            targets: Vec::new(),
        }
    }

    /// What to save with a checkpoint.
    pub fn state(&self) -> SamplerState {
        let drawn = |streams: &[Stream]| streams.iter().map(|s| s.drawn).collect();
        SamplerState {
            sources: drawn(&self.sources),
            targets: drawn(&self.targets),
        }
    }

    /// Continues from a saved state. Errors where the state is of another number of domains.
    pub fn restore(&mut self, state: &SamplerState) -> Result<()> {
        if state.sources.len() != self.sources.len() || state.targets.len() != self.targets.len() {
            return Err(Error::Argument(format!(
                "the saved position is of {} source and {} target domains, this run has {} and {}",
                state.sources.len(),
                state.targets.len(),
                self.sources.len(),
                self.targets.len()
            )));
        }
        let streams = self.sources.iter_mut().chain(&mut self.targets);
        for (stream, &drawn) in streams.zip(state.sources.iter().chain(&state.targets)) {
            stream.drawn = drawn;
        }
        Ok(())
    }
}

/// One domain's endless stream of rows, taken from its groups in turn: one group, or one a class.
#[derive(Clone, Debug)]
struct Stream {
    seed: u64,
    domain: String,
    groups: Vec<Group>,
    drawn: u64,
}

#[derive(Clone, Debug)]
struct Group {
    rows: Vec<usize>,
    /// The permutation in use and the number of its pass.
    order: Vec<usize>,
    pass: Option<u64>,
}

impl Stream {
    fn new(seed: u64, domain: &str, groups: Vec<Vec<usize>>) -> Self {
        let groups = groups
            .into_iter()
            .map(|rows| Group {
                rows,
                order: Vec::new(),
                pass: None,
            })
            .collect();
        Self {
            seed,
            domain: domain.into(),
            groups,
            drawn: 0,
        }
    }

    fn of_source(seed: u64, source: &SourceRows, balance: Balance) -> Self {
        let rows = 0..source.classes.len();
        let groups = match balance {
            Balance::None => vec![rows.collect()],
            Balance::Class => {
                let mut classes = source.classes.clone();
                classes.sort_unstable();
                classes.dedup();
                let of = |class| rows.clone().filter(|&r| source.classes[r] == class).collect();
                classes.into_iter().map(of).collect()
            }
        };
        Self::new(seed, &source.domain, groups)
    }

    fn draw(&mut self, n: usize) -> Vec<usize> {
        (0..n).map(|_| self.next()).collect()
    }

    fn next(&mut self) -> usize {
        let turn = self.drawn % self.groups.len() as u64;
        let within = self.drawn / self.groups.len() as u64;
        let group = &mut self.groups[turn as usize];
        let (pass, at) = (within / group.rows.len() as u64, within % group.rows.len() as u64);
        if group.pass != Some(pass) {
            group.order = permutation(
                group.rows.len(),
                &[
                    b"batches",
                    &self.seed.to_le_bytes(),
                    self.domain.as_bytes(),
                    &turn.to_le_bytes(),
                    &pass.to_le_bytes(),
                ],
            );
            group.pass = Some(pass);
        }
        self.drawn += 1;
        group.rows[group.order[at as usize]]
    }
}
