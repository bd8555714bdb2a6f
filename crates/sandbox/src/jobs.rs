//! Programs that run beside their caller, each of an owner who alone sees it.
//!
//! A job is bounded: so many of one owner, so many in all, each with its wall time and its output. None
//! outlives its owner's end or this process.

use crate::native::{Ended, Killer, Native, Outcome, Running, Sink, StartError};
use crate::spec::Job;
use std::collections::{BTreeMap, VecDeque};
use std::process::ChildStdin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Jobs that have ended and are still remembered, of one owner.
const ENDED_MAX: usize = 16;
/// How long a program that does not read its input is waited for.
const INPUT_PATIENCE: Duration = Duration::from_secs(5);

/// How many may run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    pub of_one: usize,
    pub in_all: usize,
    /// Output of one job that is kept: half from its beginning, half from its end.
    pub output_bytes: usize,
}

#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("{0} programs of this conversation run already: end one with process, action kill")]
    OfOne(usize),
    #[error("{0} programs run already on this machine: try again when one has ended")]
    InAll(usize),
    #[error("there is no job {0} in this conversation; list shows those that there are")]
    Unknown(String),
    #[error("job {0} has ended")]
    Over(String),
    #[error("job {0} takes no input: it was not started in the background")]
    NoInput(String),
    #[error("the program does not read its input: {0}")]
    Input(#[source] std::io::Error),
}

/// One job as its owner is told of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Told<T> {
    pub id: String,
    /// What the caller keeps with it.
    pub about: T,
    /// None: it still runs.
    pub ended: Option<Ended>,
    pub ran: Duration,
    /// All that it has written.
    pub bytes: u64,
}

/// What came since it was asked last.
#[derive(Clone, PartialEq, Debug)]
pub struct News<T> {
    pub told: Told<T>,
    pub bytes: Vec<u8>,
    /// Bytes in between that were not kept.
    pub lost: u64,
}

/// Is called once when a program has ended, whatever ended it.
pub type AtEnd = Box<dyn FnOnce(&Outcome) + Send>;

#[derive(Debug)]
pub struct Jobs<T> {
    all: Mutex<Book<T>>,
}

#[derive(Debug)]
struct Book<T> {
    count: u64,
    closed: bool,
    jobs: BTreeMap<u64, Arc<Entry<T>>>,
}

struct Entry<T> {
    id: String,
    owner: String,
    about: T,
    began: Instant,
    killer: Killer,
    input: Mutex<Option<ChildStdin>>,
    heard: Arc<Mutex<Transcript>>,
    ended: Mutex<Option<(Ended, Duration)>>,
    end: Condvar,
    /// Where the last look at its output ended.
    seen: Mutex<u64>,
}

impl<T: std::fmt::Debug> std::fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("id", &self.id)
            .field("about", &self.about)
            .finish_non_exhaustive()
    }
}

/// A program that was started, for whoever waits for it.
#[derive(Debug)]
pub struct Started<T> {
    entry: Arc<Entry<T>>,
}

impl<T> Default for Jobs<T> {
    fn default() -> Self {
        let book = Book {
            count: 0,
            closed: false,
            jobs: BTreeMap::new(),
        };
        Self {
            all: Mutex::new(book),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Jobs<T> {
    /// Starts a program for an owner. `at_end` is called on a thread of its own.
    pub fn start(
        &self,
        native: &Native,
        bounds: Bounds,
        owner: &str,
        about: T,
        job: Job,
        at_end: AtEnd,
    ) -> Result<Started<T>, JobsError> {
        // Held until the job is entered: two starts at once do not pass one bound.
        let mut book = held(&self.all);
        book.admit(bounds, owner)?;
        let heard = Arc::new(Mutex::new(Transcript::new(bounds.output_bytes)));
        let sink: Sink = {
            let heard = Arc::clone(&heard);
            Arc::new(move |_, piece| held(&heard).note(piece))
        };
        let mut running = native.start(job, Some(sink))?;
        book.count += 1;
        let number = book.count;
        let entry = Arc::new(Entry {
            id: format!("job_{number}"),
            owner: owner.to_owned(),
            about,
            began: Instant::now(),
            killer: running.killer(),
            input: Mutex::new(running.take_input()),
            heard,
            ended: Mutex::new(None),
            end: Condvar::new(),
            seen: Mutex::new(0),
        });
        watch(running, Arc::clone(&entry), at_end).map_err(StartError::Start)?;
        let _new = book.jobs.insert(number, Arc::clone(&entry));
        Ok(Started { entry })
    }

    /// The jobs of an owner, the oldest first.
    #[must_use]
    pub fn list(&self, owner: &str) -> Vec<Told<T>> {
        let book = held(&self.all);
        book.of(owner).map(|entry| entry.told()).collect()
    }

    /// One job with what it has written since the last look.
    pub fn news(&self, owner: &str, id: &str) -> Result<News<T>, JobsError> {
        let entry = self.find(owner, id)?;
        let told = entry.told();
        let mut seen = held(&entry.seen);
        let (bytes, lost, total) = held(&entry.heard).since(*seen);
        *seen = total;
        Ok(News { told, bytes, lost })
    }

    /// One job, without looking at its output.
    pub fn told(&self, owner: &str, id: &str) -> Result<Told<T>, JobsError> {
        self.find(owner, id).map(|entry| entry.told())
    }

    /// Writes to a job's input, and ends that where `close` is set.
    pub fn write(&self, owner: &str, id: &str, bytes: &[u8], close: bool) -> Result<(), JobsError> {
        let entry = self.find(owner, id)?;
        if entry.told().ended.is_some() {
            return Err(JobsError::Over(id.to_owned()));
        }
        let mut input = held(&entry.input);
        let Some(to) = input.as_mut() else {
            return Err(JobsError::NoInput(id.to_owned()));
        };
        crate::native::write_within(to, bytes, INPUT_PATIENCE).map_err(JobsError::Input)?;
        if close {
            *input = None;
        }
        Ok(())
    }

    /// Ends a job and waits until it is gone; false if it had ended before.
    pub fn kill(&self, owner: &str, id: &str) -> Result<bool, JobsError> {
        let entry = self.find(owner, id)?;
        let ran = entry.told().ended.is_none();
        entry.killer.kill();
        entry.wait();
        Ok(ran)
    }

    /// Ends all programs of an owner; gives how many ran. What they wrote can still be read.
    pub fn end_all_of(&self, owner: &str) -> usize {
        let running: Vec<_> = held(&self.all)
            .of(owner)
            .filter(|entry| entry.told().ended.is_none())
            .cloned()
            .collect();
        for entry in &running {
            entry.killer.kill();
        }
        running.len()
    }

    /// Ends everything; nothing starts any more. Comes back when all is gone.
    pub fn close(&self) {
        let mut book = held(&self.all);
        book.closed = true;
        let all: Vec<_> = book.jobs.values().cloned().collect();
        drop(book);
        for entry in &all {
            entry.killer.kill();
        }
        for entry in &all {
            entry.wait();
        }
    }

    fn find(&self, owner: &str, id: &str) -> Result<Arc<Entry<T>>, JobsError> {
        let book = held(&self.all);
        let found = book.of(owner).find(|entry| entry.id == id).cloned();
        found.ok_or_else(|| JobsError::Unknown(id.to_owned()))
    }
}

impl<T: Clone> Book<T> {
    fn of<'a>(&'a self, owner: &'a str) -> impl Iterator<Item = &'a Arc<Entry<T>>> {
        self.jobs.values().filter(move |entry| entry.owner == owner)
    }

    /// Whether one more may run; forgets the oldest that have ended.
    fn admit(&mut self, bounds: Bounds, owner: &str) -> Result<(), JobsError> {
        let runs = |entry: &&Arc<Entry<T>>| held(&entry.ended).is_none();
        if self.closed || self.jobs.values().filter(runs).count() >= bounds.in_all {
            return Err(JobsError::InAll(bounds.in_all));
        }
        if self.of(owner).filter(runs).count() >= bounds.of_one {
            return Err(JobsError::OfOne(bounds.of_one));
        }
        let ended = |entry: &Arc<Entry<T>>| held(&entry.ended).is_some();
        let of_owner: Vec<u64> = self
            .jobs
            .iter()
            .filter(|(_, entry)| entry.owner == owner && ended(entry))
            .map(|(number, _)| *number)
            .collect();
        let surplus = of_owner.len().saturating_sub(ENDED_MAX - 1);
        for number in of_owner.iter().take(surplus) {
            let _gone = self.jobs.remove(number);
        }
        // Owners who never come back are forgotten as well.
        while self.jobs.len() >= bounds.in_all + 8 * ENDED_MAX {
            let oldest = self
                .jobs
                .iter()
                .find(|(_, entry)| ended(entry))
                .map(|(number, _)| *number);
            let Some(number) = oldest else { break };
            let _gone = self.jobs.remove(&number);
        }
        Ok(())
    }
}

impl<T: Clone> Entry<T> {
    fn told(&self) -> Told<T> {
        let ended = *held(&self.ended);
        Told {
            id: self.id.clone(),
            about: self.about.clone(),
            ended: ended.map(|(ended, _)| ended),
            ran: ended.map_or_else(|| self.began.elapsed(), |(_, took)| took),
            bytes: held(&self.heard).total,
        }
    }

    fn wait(&self) {
        let mut ended = held(&self.ended);
        while ended.is_none() {
            ended = self.end.wait(ended).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T: Clone> Started<T> {
    #[must_use]
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// Waits for the end; gives what it has written, and how much of that was not kept.
    pub fn wait(&self) -> News<T> {
        self.entry.wait();
        let told = self.entry.told();
        let (bytes, lost, total) = held(&self.entry.heard).since(0);
        *held(&self.entry.seen) = total;
        News { told, bytes, lost }
    }

    /// Something that ends it, whoever waits for it.
    #[must_use]
    pub fn killer(&self) -> Killer {
        self.entry.killer.clone()
    }
}

/// Waits for the end on a thread of its own.
fn watch<T: Clone + Send + Sync + 'static>(
    mut running: Running,
    entry: Arc<Entry<T>>,
    at_end: AtEnd,
) -> std::io::Result<()> {
    let thread = std::thread::Builder::new().name("walls-job".to_owned());
    let _detached = thread.spawn(move || {
        let outcome = running.wait().unwrap_or_else(|_| Outcome::lost());
        // Whatever holds it goes before anybody hears of the end.
        drop(running);
        // Whoever waits is told of the end, also when what comes with it fails.
        let _told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| at_end(&outcome)));
        drop(held(&entry.input).take());
        *held(&entry.ended) = Some((outcome.ended, outcome.took));
        entry.end.notify_all();
    })?;
    Ok(())
}

/// What a program has written: its beginning and its end.
#[derive(Debug)]
struct Transcript {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    total: u64,
}

impl Transcript {
    fn new(bytes_max: usize) -> Self {
        Self {
            head: Vec::new(),
            tail: VecDeque::new(),
            half: bytes_max / 2,
            total: 0,
        }
    }

    fn note(&mut self, piece: &[u8]) {
        self.total = self.total.saturating_add(piece.len() as u64);
        let room = self.half.saturating_sub(self.head.len()).min(piece.len());
        let (first, rest) = piece.split_at(room);
        self.head.extend_from_slice(first);
        self.tail.extend(rest);
        let surplus = self.tail.len().saturating_sub(self.half);
        drop(self.tail.drain(..surplus));
    }

    /// What was written from an offset on: the bytes that are kept, how many are not, and the new
    /// offset. Where bytes are missing in the middle, those before and after stand together.
    fn since(&self, from: u64) -> (Vec<u8>, u64, u64) {
        let begin = usize::try_from(from)
            .unwrap_or(usize::MAX)
            .min(self.head.len());
        let mut bytes = self.head.get(begin..).unwrap_or_default().to_vec();
        let tail_from = self.total - self.tail.len() as u64;
        let skip = usize::try_from(from.saturating_sub(tail_from)).unwrap_or(usize::MAX);
        bytes.extend(self.tail.iter().skip(skip));
        let lost = self
            .total
            .saturating_sub(from)
            .saturating_sub(bytes.len() as u64);
        (bytes, lost, self.total)
    }
}

fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_end_are_kept_and_what_is_missing_is_counted() {
        let mut all = Transcript::new(20);
        all.note(b"0123456789");
        assert_eq!(all.since(0), (b"0123456789".to_vec(), 0, 10));
        all.note(b"abcdef");
        assert_eq!(all.since(10), (b"abcdef".to_vec(), 0, 16));
        assert_eq!(all.since(4).0, b"456789abcdef");
        all.note(b"ABCDEFGHIJ");
        assert_eq!(all.since(16), (b"ABCDEFGHIJ".to_vec(), 0, 26));
        assert_eq!(all.since(0), (b"0123456789ABCDEFGHIJ".to_vec(), 6, 26));
        assert_eq!(all.since(26), (Vec::new(), 0, 26));
    }
}
