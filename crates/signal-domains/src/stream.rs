//! Windows read from files while others are in use, in memory that does not grow with the data set.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use crate::dataset::RecordingEntry;
use crate::error::{Error, Result};
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
    /// Windows of 1024 samples, 2 threads, 64 windows ahead, 64 files a thread.
    fn default() -> Self {
        Self {
            window: 1024,
            workers: 2,
            ahead: 64,
            open_files: 64,
        }
    }
}

/// A window: its samples, channel by channel.
pub type Window = Vec<Vec<f64>>;

/// Windows of recordings, in the order asked for, read from the files by threads a bounded number ahead.
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
/// let mut stream = WindowStream::new(&dataset.recordings, windows, &options)?;
/// assert_eq!(stream.next().unwrap()?, [[50.0, 51.0, 52.0]]);
/// assert_eq!(stream.next().unwrap()?, [[0.0, 1.0, 2.0]]);
/// assert!(stream.next().is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WindowStream<Windows> {
    windows: Windows,
    ahead: usize,
    /// Windows that a worker is asked for at once: half of its share of those ahead, so that it reads while others are used.
    batch: usize,
    /// Windows that were asked for and have not been handed out.
    under_way: usize,
    /// The worker of each batch that is to come, in the order asked for.
    batches: VecDeque<usize>,
    /// What is left of the batch that came last.
    ready: std::vec::IntoIter<Result<Window>>,
    /// Windows that were given back, at most as many as are ahead.
    used: Vec<Window>,
    workers: Vec<Worker>,
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
/// assert_eq!(open.read(&entry, 50, 3)?, [[50.0, 51.0, 52.0]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct OpenRecordings {
    /// The latest in front.
    latest: Mutex<VecDeque<(Arc<RecordingEntry>, Arc<OpenRecording>)>>,
    most: usize,
}

/// Windows are asked for and handed over several at a time, at most so many: waking a thread costs more than reading a window.
const BATCH: usize = 32;

/// A window that is to be read: its recording, its first sample, and where it is put.
struct Asked {
    recording: usize,
    start: usize,
    into: Window,
}

struct Worker {
    /// `None` once no more is to be read.
    ask: Option<Sender<Vec<Asked>>>,
    answers: Receiver<Vec<Result<Window>>>,
    thread: Option<JoinHandle<()>>,
}

impl<Windows: Iterator<Item = (usize, usize)>> WindowStream<Windows> {
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
    pub fn give_back(&mut self, window: Window) {
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

impl<Windows: Iterator<Item = (usize, usize)>> Iterator for WindowStream<Windows> {
    type Item = Result<Window>;

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

impl Worker {
    fn start(recordings: Arc<[Arc<RecordingEntry>]>, options: StreamOptions) -> Result<Self> {
        let (ask, asked) = channel::<Vec<Asked>>();
        let (answer, answers) = channel();
        let work = move || {
            let open = OpenRecordings::new(options.open_files);
            let read = |Asked {
                            recording,
                            start,
                            mut into,
                        }| match recordings.get(recording) {
                Some(entry) => {
                    let read = open.open(entry)?.read_into(start, options.window, &mut into);
                    read.map(|()| into)
                }
                None => Err(Error::Argument(format!(
                    "no recording {recording}: there are {}",
                    recordings.len()
                ))),
            };
            for windows in asked {
                if answer.send(windows.into_iter().map(read).collect()).is_err() {
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

impl<Windows> Drop for WindowStream<Windows> {
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
            latest: Mutex::default(),
            most: most.max(1),
        }
    }

    /// `len` samples of each channel of a recording from `start`; it is known by its place in memory.
    ///
    /// Errors: those of [`RecordingEntry::open`] and [`OpenRecording::read`].
    pub fn read(&self, recording: &Arc<RecordingEntry>, start: usize, len: usize) -> Result<Window> {
        self.open(recording)?.read(start, len)
    }

    /// The recording, opened where it is not open.
    pub fn open(&self, recording: &Arc<RecordingEntry>) -> Result<Arc<OpenRecording>> {
        let others: Vec<_> = {
            let mut latest = self.latest();
            if let Some(at) = latest.iter().position(|(known, _)| Arc::ptr_eq(known, recording))
                && let Some(found) = latest.remove(at)
            {
                let open = Arc::clone(&found.1);
                latest.push_front(found);
                return Ok(open);
            }
            // before another is opened, so that there are never more
            latest.truncate(self.most - 1);
            latest.iter().cloned().collect()
        };
        // while others may read: two threads that open the same one at once do no harm
        let open = Arc::new(recording.open_beside(others.iter().map(|(entry, open)| (&**entry, &**open)))?);
        drop(others);
        let mut latest = self.latest();
        latest.truncate(self.most - 1);
        latest.push_front((Arc::clone(recording), Arc::clone(&open)));
        Ok(open)
    }

    fn latest(&self) -> MutexGuard<'_, VecDeque<(Arc<RecordingEntry>, Arc<OpenRecording>)>> {
        // a panic elsewhere leaves a list of open recordings
        self.latest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
