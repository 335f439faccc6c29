//! Windows read from files while others are in use, in memory that does not grow with the data set.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::dataset::RecordingEntry;
use crate::error::{Error, Result};
use crate::formats::Sample;
use crate::recording::OpenRecording;

/// How [`WindowStream`] reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamOptions {
    /// Samples of a window.
    pub window: usize,
    /// Threads that read.
    pub workers: usize,
    /// Windows that are read ahead of the one asked for, at most.
    pub ahead: usize,
    /// Recordings that a thread keeps open, at most; several of one file share it.
    pub open_files: usize,
}

impl Default for StreamOptions {
    /// Windows of 1024 samples, 2 threads, 512 windows ahead (2 MB for each channel as `f32`), 64 files a thread.
    fn default() -> Self {
        Self {
            window: 1024,
            workers: 2,
            ahead: 512,
            open_files: 64,
        }
    }
}

/// A window: its samples, channel by channel, as `f64` or `f32`.
pub type Window<S = f64> = Vec<Vec<S>>;

/// Windows of recordings, in the order asked for, read from the files by threads a bounded number ahead, as `f64` or `f32`.
///
/// Memory is that of the windows ahead and of the open files' descriptions, whatever the recordings' number and length.
/// (A file packed as a whole, by gzip or as a deflated MAT or NPZ array, is inflated up to the window each time: pack such
/// data by [`pack`](crate::pack) first.) An error takes the place of its window, and the stream goes on. Recordings are
/// opened when their first window is read; see [`RecordingEntry::open`] for what is checked.
///
/// ```
/// use signal_domains::{Dataset, OpenOptions, StreamOptions, WindowStream};
/// # let dir = tempfile::tempdir()?;
/// # std::fs::create_dir(dir.path().join("pump"))?;
/// # std::fs::write(dir.path().join("pump/a.csv"), (0..100).map(|i| format!("{i}\n")).collect::<String>())?;
/// let dataset = Dataset::open(dir.path(), &OpenOptions::default())?;
/// // windows by the number of their recording and their first sample
/// let windows = vec![(0, 50), (0, 0)];
/// let options = StreamOptions { window: 3, ..StreamOptions::default() };
/// let mut stream = WindowStream::<_, f32>::new(&dataset.recordings, windows, &options)?;
/// assert_eq!(stream.next().unwrap()?, [[50.0, 51.0, 52.0]]);
/// assert_eq!(stream.next().unwrap()?, [[0.0, 1.0, 2.0]]);
/// assert!(stream.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowStream<Windows, S = f64> {
    windows: Windows,
    ahead: usize,
    /// Windows that a worker is asked for at once: half of its share of those ahead, so that it reads while others are used.
    batch: usize,
    /// Windows that were asked for and have not been handed out.
    under_way: usize,
    /// The worker of each batch that is to come, in the order asked for.
    batches: VecDeque<usize>,
    /// What is left of the batch that came last.
    ready: std::vec::IntoIter<Result<Window<S>>>,
    /// Windows that were given back, at most as many as are ahead.
    used: Vec<Window<S>>,
    workers: Vec<Worker<S>>,
    /// The worker that is asked next.
    turn: usize,
}

/// Recordings of which those that were read last are open: any number of them, by any number of threads, with no more than a
/// few files open.
///
/// ```
/// use std::sync::Arc;
/// use signal_domains::{OpenRecordings, RecordingEntry};
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path().join("a.csv");
/// # std::fs::write(&path, (0..100).map(|i| format!("{i}\n")).collect::<String>())?;
/// let entry = Arc::new(RecordingEntry::of_file(&path, &[]));
/// let open = OpenRecordings::new(64);
/// assert_eq!(open.read::<f64>(&entry, 50, 3)?, [[50.0, 51.0, 52.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpenRecordings {
    open: Mutex<Vec<Open>>,
    most: usize,
}

/// A recording that is open.
struct Open {
    entry: Arc<RecordingEntry>,
    recording: Arc<OpenRecording>,
    /// Which use of any of them was its last one.
    used: u64,
}

/// Windows are asked for and handed over several at a time, at most so many: waking a thread costs more than reading a window.
const BATCH: usize = 128;

/// A window that is to be read: its recording, its first sample, and where it is put.
struct Asked<S> {
    recording: usize,
    start: usize,
    into: Window<S>,
}

struct Worker<S> {
    /// `None` once no more is to be read.
    ask: Option<Sender<Vec<Asked<S>>>>,
    answers: Receiver<Vec<Result<Window<S>>>>,
    thread: Option<JoinHandle<()>>,
}

impl<Windows: Iterator<Item = (usize, usize)>, S: Sample> WindowStream<Windows, S> {
    /// `windows` are numbers of recordings and of first samples. They are asked for as the stream goes on: an endless
    /// iterator gives an endless stream.
    ///
    /// Errors: an option that is 0; the machine starts no thread.
    pub fn new(
        recordings: &[RecordingEntry],
        windows: impl IntoIterator<IntoIter = Windows>,
        options: &StreamOptions,
    ) -> Result<Self> {
        if [options.window, options.workers, options.ahead, options.open_files].contains(&0) {
            return Err(Error::Argument(format!("{options:?}: expected at least 1 of each")));
        }
        let shared: Arc<[Arc<RecordingEntry>]> = recordings.iter().cloned().map(Arc::new).collect();
        let start = |_| Worker::start(Arc::clone(&shared), *options);
        Ok(Self {
            windows: windows.into_iter(),
            ahead: options.ahead,
            batch: (options.ahead / options.workers / 2).clamp(1, BATCH),
            under_way: 0,
            batches: VecDeque::new(),
            ready: Vec::new().into_iter(),
            used: Vec::new(),
            workers: (0..options.workers).map(start).collect::<Result<_>>()?,
            turn: 0,
        })
    }

    /// Gives a window back that is not needed any more: another is read into its memory. Who streams at the rate of the page cache
    /// spends more time on making and freeing windows than on reading them.
    pub fn give_back(&mut self, window: Window<S>) {
        if self.used.len() < self.ahead {
            self.used.push(window);
        }
    }

    /// Asks for whole batches as long as no more are ahead than may be. Workers take turns, whatever the recordings: windows in
    /// sequence, all of one recording, would else be read by one of them.
    fn ask(&mut self) -> Result<()> {
        while self.under_way + self.batch <= self.ahead {
            let (used, windows) = (&mut self.used, self.windows.by_ref());
            let asked = windows.take(self.batch).map(|(recording, start)| Asked {
                recording,
                start,
                into: used.pop().unwrap_or_default(),
            });
            let batch: Vec<_> = asked.collect();
            if batch.is_empty() {
                break;
            }
            self.under_way += batch.len();
            self.batches.push_back(self.turn);
            let ask = self.workers[self.turn].ask.as_ref();
            self.turn = (self.turn + 1) % self.workers.len();
            if ask.is_none_or(|ask| ask.send(batch).is_err()) {
                return Err(ended());
            }
        }
        Ok(())
    }
}

impl<Windows: Iterator<Item = (usize, usize)>, S: Sample> Iterator for WindowStream<Windows, S> {
    type Item = Result<Window<S>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Err(e) = self.ask() {
            return Some(Err(e));
        }
        if self.ready.len() == 0 {
            let worker = self.batches.pop_front()?;
            match self.workers[worker].answers.recv() {
                Ok(answer) => self.ready = answer.into_iter(),
                Err(_) => return Some(Err(ended())),
            }
        }
        self.under_way -= 1;
        self.ready.next()
    }
}

fn ended() -> Error {
    Error::Argument("a thread that reads windows has ended; open the stream again".into())
}

impl<S: Sample> Worker<S> {
    fn start(recordings: Arc<[Arc<RecordingEntry>]>, options: StreamOptions) -> Result<Self> {
        let (ask, asked) = channel::<Vec<Asked<S>>>();
        let (answer, answers) = channel();
        let work = move || {
            let open = OpenRecordings::new(options.open_files);
            let read = |recording: usize, start, into: &mut _| match recordings.get(recording) {
                Some(entry) => open.open(entry)?.read_into(start, options.window, into),
                None => Err(Error::Argument(format!(
                    "no recording {recording}: there are {}",
                    recordings.len()
                ))),
            };
            let answered = |mut asked: Asked<S>| {
                read(asked.recording, asked.start, &mut asked.into)?;
                Ok(asked.into)
            };
            for windows in asked {
                if answer.send(windows.into_iter().map(answered).collect()).is_err() {
                    // nobody waits any more
                    break;
                }
            }
        };
        let thread = thread::Builder::new().name("windows".into()).spawn(work);
        let thread = thread.map_err(|e| Error::Argument(format!("no thread to read windows: {e}")))?;
        Ok(Self {
            ask: Some(ask),
            answers,
            thread: Some(thread),
        })
    }
}

impl<Windows, S> Drop for WindowStream<Windows, S> {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.ask = None;
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                // a panic of the thread has been told as an error
                let _ = thread.join();
            }
        }
    }
}

impl OpenRecordings {
    /// With at most `most` of them open, at least 1; several of one file share it.
    pub fn new(most: usize) -> Self {
        Self {
            open: Mutex::default(),
            most: most.max(1),
        }
    }

    /// `len` samples of each channel of a recording from `start`, as `f64` or `f32`; it is known by its place in memory.
    ///
    /// Errors: those of [`RecordingEntry::open`] and [`OpenRecording::read`].
    pub fn read<S: Sample>(&self, recording: &Arc<RecordingEntry>, start: usize, len: usize) -> Result<Window<S>> {
        self.open(recording)?.read(start, len)
    }

    /// The recording, opened where it is not open.
    pub fn open(&self, entry: &Arc<RecordingEntry>) -> Result<Arc<OpenRecording>> {
        let others: Vec<_> = {
            let mut open = self.locked();
            if let Some(at) = open.iter().position(|known| Arc::ptr_eq(&known.entry, entry)) {
                // the last one used is the first: it is likely to be asked for again
                let used = open[0].used + 1;
                open.swap(0, at);
                open[0].used = used;
                return Ok(Arc::clone(&open[0].recording));
            }
            // before another is opened, so that there are never more
            make_room(&mut open, self.most);
            let pairs = open
                .iter()
                .map(|known| (Arc::clone(&known.entry), Arc::clone(&known.recording)));
            pairs.collect()
        };
        // while others may read: two threads that open the same one at once do no harm
        let beside = others.iter().map(|(entry, recording)| (&**entry, &**recording));
        let recording = Arc::new(entry.open_beside(beside)?);
        drop(others);
        let mut open = self.locked();
        make_room(&mut open, self.most);
        let used = open.first().map_or(0, |known| known.used + 1);
        open.push(Open {
            entry: Arc::clone(entry),
            recording: Arc::clone(&recording),
            used,
        });
        let last = open.len() - 1;
        open.swap(0, last);
        Ok(recording)
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Open>> {
        // a panic elsewhere leaves a list of open recordings
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Closes the one that has not been used for longest, where one more would be too many.
fn make_room(open: &mut Vec<Open>, most: usize) {
    while open.len() >= most {
        let oldest = (0..open.len()).min_by_key(|&at| open[at].used);
        match oldest {
            // the others keep their places, the last one used in front
            Some(at) => drop(open.remove(at)),
            None => break,
        }
    }
}
