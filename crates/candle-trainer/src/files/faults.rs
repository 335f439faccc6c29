//! Calls that fail, processes that end and power that goes in the middle of durable writing.
//!
//! The calls of a job are made on a real folder, and recorded. What a power failure leaves is worked out from the record
//! under no more than POSIX promises: data that were not synced may vanish or arrive in part; an entry of a folder that
//! was not synced since may be there or not, each by itself. A rename itself is one step.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A call of the system.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Create(PathBuf),
    Write(PathBuf, Vec<u8>),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    MakeFolder(PathBuf),
    SyncFolder(PathBuf),
}

/// What happens at one of the calls. A write that fails has written half of its bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fault {
    /// The call fails with this error of the system; those after it work.
    Once(i32),
    /// The call fails, and so does every one after it.
    FromHere(i32),
    /// The process ends: neither this call nor any after it is made.
    Death,
}

/// The calls of a job.
#[derive(Debug)]
pub(super) struct Record {
    /// Those that were made.
    pub(super) made: Vec<Call>,
    /// The one that met the fault, unless the job ended before.
    pub(super) failed: Option<Call>,
}

thread_local! {
    static ARMED: RefCell<Option<(usize, Fault, Record)>> = const { RefCell::new(None) };
}

/// Does `job` and lets `fault` happen at its call number `at`, counted from 0.
pub(super) fn with_fault<T>(at: usize, fault: Fault, job: impl FnOnce() -> T) -> (T, Record) {
    let record = Record {
        made: Vec::new(),
        failed: None,
    };
    ARMED.set(Some((at, fault, record)));
    let result = job();
    let (_, _, record) = ARMED.take().unwrap();
    (result, record)
}

/// To be told of each call before it is made; an error says that it is not.
pub(super) fn announce(call: Call) -> io::Result<()> {
    ARMED.with_borrow_mut(|armed| {
        let Some((left, fault, Record { made, failed })) = armed else {
            return Ok(());
        };
        let first = *left == 0 && failed.is_none();
        let fails = first || (failed.is_some() && !matches!(fault, Fault::Once(_)));
        *left = left.saturating_sub(1);
        if !fails {
            made.push(call);
            return Ok(());
        }
        if first {
            *failed = Some(call.clone());
            if let Call::Write(path, mut bytes) = call {
                bytes.truncate(bytes.len() / 2);
                OpenOptions::new().append(true).open(&path)?.write_all(&bytes)?;
                made.push(Call::Write(path, bytes));
            }
        }
        Err(match fault {
            Fault::Once(error) | Fault::FromHere(error) => io::Error::from_raw_os_error(*error),
            Fault::Death => io::Error::other("this process has ended"),
        })
    })
}

/// What a power failure does to what was not synced.
#[derive(Clone, Copy, Debug)]
pub(super) enum Loss {
    /// It is gone.
    Everything,
    /// Entries made it, data did not: files are there, and empty.
    Data,
    /// Everything made it.
    Nothing,
    /// Drawn anew for each entry and each file.
    Random(u64),
}

impl Loss {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::Everything, Self::Data, Self::Nothing]
            .into_iter()
            .chain((0..9).map(Self::Random))
    }
}

/// A change of entries: what goes, what comes.
type Change = (Option<PathBuf>, Option<(PathBuf, usize)>);

#[derive(Clone, Debug)]
enum Node {
    Folder,
    File { synced: Vec<u8>, now: Vec<u8> },
}

/// What is found in `root` after the power failed at the end of `calls`, before which `old` lay there safely: the paths
/// of folders (`None`) and of files.
pub(super) fn after_power_failure(
    root: &Path,
    old: &[(PathBuf, Vec<u8>)],
    calls: &[Call],
    loss: Loss,
) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut nodes = vec![Node::Folder];
    let mut now = BTreeMap::from([(root.to_path_buf(), 0)]);
    for (path, bytes) in old {
        now.insert(path.clone(), nodes.len());
        let (synced, now) = (bytes.clone(), bytes.clone());
        nodes.push(Node::File { synced, now });
    }
    let mut durable = now.clone();
    let mut pending: Vec<Change> = Vec::new();
    let apply = |(gone, come): &Change, entries: &mut BTreeMap<PathBuf, usize>| {
        if let Some(path) = gone {
            entries.remove(path);
        }
        entries.extend(come.clone());
    };
    for call in calls {
        let change: Change = match call {
            Call::Write(path, bytes) => {
                if let Node::File { now, .. } = &mut nodes[now[path]] {
                    now.extend(bytes);
                }
                continue;
            }
            Call::Sync(path) => {
                if let Node::File { synced, now } = &mut nodes[now[path]] {
                    synced.clone_from(now);
                }
                continue;
            }
            Call::SyncFolder(folder) => {
                pending.retain(|change| {
                    let path = change.0.as_ref().or(change.1.as_ref().map(|(path, _)| path)).unwrap();
                    let here = path.parent() == Some(folder);
                    if here {
                        apply(change, &mut durable);
                    }
                    !here
                });
                continue;
            }
            Call::Create(path) => {
                let (synced, now) = (Vec::new(), Vec::new());
                nodes.push(Node::File { synced, now });
                (None, Some((path.clone(), nodes.len() - 1)))
            }
            Call::MakeFolder(path) => {
                nodes.push(Node::Folder);
                (None, Some((path.clone(), nodes.len() - 1)))
            }
            Call::Rename(from, to) => (Some(from.clone()), Some((to.clone(), now[from]))),
            Call::Remove(path) => (Some(path.clone()), None),
        };
        apply(&change, &mut now);
        pending.push(change);
    }

    let mut random = Random(if let Loss::Random(seed) = loss { seed } else { 0 });
    for change in &pending {
        let survives = match loss {
            Loss::Everything => false,
            Loss::Data | Loss::Nothing => true,
            Loss::Random(_) => random.below(2) == 0,
        };
        if survives {
            apply(change, &mut durable);
        }
    }
    let mut found: BTreeMap<PathBuf, Option<Vec<u8>>> = BTreeMap::new();
    for (path, node) in durable {
        let content = match &nodes[node] {
            Node::Folder => None,
            Node::File { synced, now } => Some(match loss {
                Loss::Everything | Loss::Data => synced.clone(),
                Loss::Nothing => now.clone(),
                Loss::Random(_) => random.remains(synced, now),
            }),
        };
        // what lies in a folder that is gone is gone; a folder comes before what lies in it
        if path == root || found.contains_key(path.parent().unwrap()) {
            found.insert(path, content);
        }
    }
    found
}

/// Lays out in the folder `new` what [`after_power_failure`] found in `root`.
pub(super) fn restart(root: &Path, found: &BTreeMap<PathBuf, Option<Vec<u8>>>, new: &Path) {
    for (path, content) in found.iter().filter(|(path, _)| *path != root) {
        let path = new.join(path.strip_prefix(root).unwrap());
        match content {
            None => fs::create_dir(path).unwrap(),
            Some(bytes) => fs::write(path, bytes).unwrap(),
        }
    }
}

/// `SplitMix64`.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// What the disk holds of a file that was written and not synced.
    fn remains(&mut self, synced: &[u8], now: &[u8]) -> Vec<u8> {
        if synced == now {
            return now.to_vec();
        }
        match self.below(4) {
            0 => synced.to_vec(),
            1 => now.to_vec(),
            // cut off
            2 => now[..self.below(now.len())].to_vec(),
            // the length arrived, the data did not
            _ => vec![0; now.len()],
        }
    }
}
