use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use crate::atomic::is_scratch_of;
use crate::error::{Error, Result};
use crate::files::{create_folder, machine};
use crate::{files, sealed};

/// A folder of numbered [sealed](crate::sealed) files, `step-00000042.safetensors`, of which the last few are kept.
///
/// ```
/// # use std::collections::BTreeMap;
/// # use candle_core::{DType, Device};
/// # use candle_trainer::{Checkpoints, Optimiser, OptimiserKind, ParameterStore};
/// # let folder = tempfile::tempdir()?;
/// # let store = ParameterStore::new(0, DType::F32, Device::Cpu);
/// # store.builder().get((2, 2), "weight")?;
/// # let mut optimiser = Optimiser::new(OptimiserKind::ADAM, 0.0, store.trainable())?;
/// let checkpoints = Checkpoints::new(folder.path().join("checkpoints"), "mynetwork")?;
/// // at step 100: parameters and optimiser side by side, told apart by a prefix
/// let prefixed = |prefix, tensors: BTreeMap<_, _>| tensors.into_iter().map(move |(k, t)| (format!("{prefix}{k}"), t));
/// let mut tensors: BTreeMap<_, _> = prefixed("network.", store.tensors()?).collect();
/// tensors.extend(prefixed("optimiser.", optimiser.state()?));
/// checkpoints.save(100, &tensors, &BTreeMap::from([("epoch".into(), "3".into())]))?;
///
/// // in the next process
/// let latest = checkpoints.latest(&Device::Cpu)?;
/// for damaged in &latest.damaged {
///     eprintln!("passed over: {damaged}");
/// }
/// if let Some(found) = latest.checkpoint {
///     let part = |prefix| found.tensors.iter().filter_map(move |(k, t)| Some((k.strip_prefix(prefix)?.into(), t.clone())));
///     store.load(&part("network.").collect())?;
///     optimiser.load_state(&part("optimiser.").collect())?;
///     assert_eq!((found.step, found.metadata["epoch"].as_str()), (100, "3")); // go on from here
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A checkpoint is safe when [`save`](Self::save) returns. A process killed at any instant leaves whole files (and at
/// most a scratch file, which the next save removes).
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
    prefix: String,
    keep: usize,
}

/// One checkpoint, read and verified.
#[derive(Debug)]
pub struct Checkpoint {
    /// The number it was saved under.
    pub step: u64,
    /// Its file.
    pub path: PathBuf,
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The metadata by key.
    pub metadata: BTreeMap<String, String>,
}

/// What [`Checkpoints::latest`] found.
#[derive(Debug, Default)]
pub struct Latest {
    /// The newest valid checkpoint; none in an empty folder, or where all are damaged.
    pub checkpoint: Option<Checkpoint>,
    /// Newer files that were passed over because they are damaged: tell the user.
    pub damaged: Vec<Error>,
}

impl Checkpoints {
    /// Checkpoints in `folder`, made if absent, whose checksum is called `PREFIX.sha256`; the last two are kept.
    pub fn new(folder: impl Into<PathBuf>, prefix: impl Into<String>) -> Result<Self> {
        let folder = folder.into();
        create_folder(&folder)?;
        Ok(Self {
            folder,
            prefix: prefix.into(),
            keep: 2,
        })
    }

    /// Keeps the last `keep` checkpoints (at least one).
    #[must_use]
    pub fn keep(mut self, keep: usize) -> Self {
        self.keep = keep.max(1);
        self
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Saves checkpoint `step`, which becomes the latest, and returns its file.
    ///
    /// Then older ones beyond the last few go, and so do any with a higher number: they belong to a future that was
    /// abandoned, or are damaged. If saving fails, nothing is removed.
    pub fn save(
        &self,
        step: u64,
        tensors: &BTreeMap<String, Tensor>,
        metadata: &BTreeMap<String, String>,
    ) -> Result<PathBuf> {
        let path = self.folder.join(format!("step-{step:08}.safetensors"));
        sealed::save(&path, tensors, metadata, &self.prefix)?;
        let Listing { saved, scratch } = self.list()?;
        let (older, newer): (Vec<_>, Vec<_>) = saved.into_iter().partition(|(number, _)| *number <= step);
        let surplus = older.len().saturating_sub(self.keep);
        let gone = older.into_iter().take(surplus).chain(newer).map(|(_, path)| path);
        for path in gone.chain(scratch) {
            files::remove(&path).map_err(machine(&path, "removing (the new checkpoint is saved)"))?;
        }
        Ok(path)
    }

    /// The newest checkpoint that is whole, its tensors on `device`, and what is wrong with newer ones.
    pub fn latest(&self, device: &Device) -> Result<Latest> {
        let mut latest = Latest::default();
        for (step, path) in self.list()?.saved.into_iter().rev() {
            match sealed::load(&path, &self.prefix, device) {
                Ok((tensors, metadata)) => {
                    latest.checkpoint = Some(Checkpoint {
                        step,
                        path,
                        tensors,
                        metadata,
                    });
                    break;
                }
                Err(error @ Error::Damaged { .. }) => latest.damaged.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(latest)
    }

    fn list(&self) -> Result<Listing> {
        let failed = "listing the folder";
        let (mut saved, mut scratch) = (Vec::new(), Vec::new());
        for entry in fs::read_dir(&self.folder).map_err(machine(&self.folder, failed))? {
            let path = entry.map_err(machine(&self.folder, failed))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if let Some(step) = step_of(name) {
                saved.push((step, path));
            } else if is_scratch(name) {
                scratch.push(path);
            }
        }
        saved.sort();
        Ok(Listing { saved, scratch })
    }
}

/// What lies in the folder.
struct Listing {
    /// Checkpoints by ascending number.
    saved: Vec<(u64, PathBuf)>,
    /// Scratch files of saves that never finished.
    scratch: Vec<PathBuf>,
}

/// Whether a save of a checkpoint left this file.
fn is_scratch(name: &str) -> bool {
    let end = name.find(".safetensors").map(|at| at + ".safetensors".len());
    end.is_some_and(|end| step_of(&name[..end]).is_some() && is_scratch_of(name, &name[..end]))
}

fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?.strip_suffix(".safetensors")?;
    let all_digits = digits.len() >= 8 && digits.bytes().all(|b| b.is_ascii_digit());
    digits.parse().ok().filter(|_| all_digits)
}
