//! Lines that are typed at a terminal, shown or not. Whatever ends the reading, the terminal is left
//! as it was found.

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{BufRead as _, Read as _};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::out::Out;

/// The longest line that is read.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The terminal's lines.
#[derive(Debug)]
pub(crate) struct Keyboard {
    interrupt: Signal,
    terminate: Signal,
}

impl Keyboard {
    pub(crate) fn open() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next line, not shown while it is typed if it is a secret; nothing if the input ends or
    /// the program is told to.
    pub(crate) async fn line(&mut self, hidden: bool) -> anyhow::Result<Option<String>> {
        let dark = hidden.then(Dark::begin).transpose()?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // A thread of its own: a read from a terminal cannot be taken back, and must not hold up
        // the end of the program.
        let _reader = std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin()
                .lock()
                .take(LINE_BYTES_MAX)
                .read_line(&mut line);
            // Nobody waits any more after an interruption.
            drop(sender.send(read.map(|bytes| (bytes > 0).then_some(line))));
        });
        let line = tokio::select! {
            line = receiver => line?,
            _ = self.interrupt.recv() => Ok(None),
            _ = self.terminate.recv() => Ok(None),
        };
        drop(dark);
        let line = line?;
        if hidden || line.is_none() {
            Out::before_arguments().ask("\n");
        }
        Ok(line.map(|line| line.trim_end_matches(['\n', '\r']).to_owned()))
    }
}

/// A terminal that shows nothing of what is typed, until this is dropped.
struct Dark(Termios);

impl Dark {
    fn begin() -> std::io::Result<Self> {
        let before = tcgetattr(std::io::stdin())?;
        let mut dark = before.clone();
        dark.local_modes.remove(LocalModes::ECHO);
        tcsetattr(std::io::stdin(), OptionalActions::Now, &dark)?;
        Ok(Self(before))
    }
}

impl Drop for Dark {
    fn drop(&mut self) {
        // A terminal that is gone needs no light.
        let _gone = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.0);
    }
}
