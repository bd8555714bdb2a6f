//! Lines between this process and the program that started it: one JSON message each.
//!
//! Both pipes have a thread of their own, since neither can be waited for without blocking. The
//! reading one is left behind at the end: it may sit in a read that never comes back.

use std::io::{BufRead, Read, Write};
use std::thread::JoinHandle;

use tokio::sync::mpsc;

/// The longest line that is taken.
pub(crate) const LINE_BYTES_MAX: usize = 32 << 20;
/// Lines that wait in one direction.
const WAITING_MAX: usize = 64;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Text(String),
    /// It was longer than [`LINE_BYTES_MAX`]; all of it was skipped.
    TooLong,
    /// Bytes that are not UTF-8.
    NotText,
}

/// What is written goes out in order; the thread ends when every sender is gone.
#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) lines: mpsc::Sender<String>,
    thread: JoinHandle<()>,
}

impl Writer {
    /// Standard output.
    pub(crate) fn start() -> Self {
        let (lines, mut waiting) = mpsc::channel::<String>(WAITING_MAX);
        let thread = std::thread::spawn(move || {
            let mut out = std::io::stdout().lock();
            while let Some(mut line) = waiting.blocking_recv() {
                line.push('\n');
                // A reader that went away: the senders notice that nobody takes their lines.
                if out
                    .write_all(line.as_bytes())
                    .and_then(|()| out.flush())
                    .is_err()
                {
                    return;
                }
            }
        });
        Self { lines, thread }
    }

    /// Waits until everything is written.
    pub(crate) fn finish(self) {
        drop(self.lines);
        // A panic of the thread has been told already, on standard error.
        let _over = self.thread.join();
    }
}

/// Reads standard input; the channel closes at its end.
pub(crate) fn reader() -> mpsc::Receiver<Line> {
    let (lines, taken) = mpsc::channel(WAITING_MAX);
    let _left_behind = std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        while let Ok(Some(line)) = next(&mut input, LINE_BYTES_MAX) {
            if lines.blocking_send(line).is_err() {
                return;
            }
        }
    });
    taken
}

/// The next line without its end; `None` when there are no more.
fn next(input: &mut impl BufRead, max: usize) -> std::io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    if input.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        let _end = bytes.pop();
    } else if bytes.len() > max {
        input.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong));
    }
    Ok(Some(match String::from_utf8(bytes) {
        Ok(text) => Line::Text(text),
        Err(_) => Line::NotText,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Line, next};

    #[test]
    fn lines_are_bounded_and_the_next_one_is_read_whole() {
        let mut input: &[u8] = b"12345\n123456789\n\xff\nlast";
        let mut read = || next(&mut input, 5).unwrap();
        assert_eq!(read(), Some(Line::Text("12345".to_owned())));
        assert_eq!(read(), Some(Line::TooLong));
        assert_eq!(read(), Some(Line::NotText));
        assert_eq!(read(), Some(Line::Text("last".to_owned())));
        assert_eq!(read(), None);
    }
}
