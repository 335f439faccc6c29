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
    recordings: usize,
    ahead: usize,
    /// The worker of each window that is under way, in the order asked for.
    under_way: VecDeque<usize>,
    workers: Vec<Worker>,
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

struct Worker {
    /// `None` once no more is to be read.
    ask: Option<Sender<(usize, usize)>>,
    answers: Receiver<Result<Window>>,
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
            recordings: recordings.len(),
            ahead: options.ahead,
            under_way: VecDeque::with_capacity(options.ahead),
            workers: (0..options.workers).map(start).collect::<Result<_>>()?,
        })
    }

    fn ask(&mut self) -> Result<()> {
        while self.under_way.len() < self.ahead {
            let Some((recording, start)) = self.windows.next() else {
                break;
            };
            if recording >= self.recordings {
                return Err(Error::Argument(format!(
                    "no recording {recording}: there are {}",
                    self.recordings
                )));
            }
            // a recording is always with the same worker, which has it open
            let worker = recording % self.workers.len();
            let ask = self.workers[worker].ask.as_ref();
            if ask.is_none_or(|ask| ask.send((recording, start)).is_err()) {
                return Err(ended());
            }
            self.under_way.push_back(worker);
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
        let worker = self.under_way.pop_front()?;
        Some(self.workers[worker].answers.recv().unwrap_or_else(|_| Err(ended())))
    }
}

fn ended() -> Error {
    Error::Argument("a thread that reads windows has ended; open the stream again".into())
}

impl Worker {
    fn start(recordings: Arc<[Arc<RecordingEntry>]>, options: StreamOptions) -> Result<Self> {
        let (ask, asked) = channel();
        let (answer, answers) = channel();
        let work = move || {
            let open = OpenRecordings::new(options.open_files);
            for (recording, start) in asked {
                let window = open.read(&recordings[recording], start, options.window);
                if answer.send(window).is_err() {
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
