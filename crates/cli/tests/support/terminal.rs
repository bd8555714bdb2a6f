//! A command in a real terminal, typed at and read like a person does.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::process::{PATIENCE, until};

/// A terminal with a command in it. Dropping it ends the command.
pub(crate) struct Terminal {
    child: Child,
    master: File,
    /// Ends when the last program has let go of the terminal and all that it wrote was read.
    reader: JoinHandle<()>,
    seen: Arc<Mutex<String>>,
    /// What a terminal of this size makes of it.
    screen: Arc<Mutex<vt100::Parser>>,
    /// Up to here the screen was waited for.
    read: usize,
}

impl Terminal {
    /// Starts the command with the terminal as its own, so that Ctrl-C reaches it.
    pub(crate) fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize {
            ws_row: 40,
            ws_col: 100,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let screen = || -> OwnedFd {
            let flags = OFlags::RDWR | OFlags::NOCTTY;
            rustix::fs::open(&name, flags, Mode::empty()).unwrap()
        };
        let mut inside = Command::new("setsid");
        inside.args(["--ctty", "--wait"]).arg(command.get_program());
        inside.args(command.get_args()).env_clear();
        for (variable, value) in command.get_envs() {
            inside.env(variable, value.unwrap_or_default());
        }
        let child = inside
            .env("TERM", "xterm-256color")
            .stdin(screen())
            .stdout(screen())
            .stderr(screen())
            .spawn()
            .unwrap();
        let master = File::from(master);
        let seen = Arc::<Mutex<String>>::default();
        let (mut reader, heard) = (master.try_clone().unwrap(), Arc::clone(&seen));
        let screen = Arc::new(Mutex::new(vt100::Parser::new(size_of(40), size_of(100), 0)));
        let shown = Arc::clone(&screen);
        let reader = std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // The read fails when the last program has let go of the terminal.
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]).into_owned();
                heard.lock().unwrap().push_str(&text);
                shown.lock().unwrap().process(&bytes[..count]);
            }
        });
        Self {
            child,
            master,
            reader,
            seen,
            screen,
            read: 0,
        }
    }

    /// Waits until this stands on the screen, after what was waited for before.
    #[track_caller]
    pub(crate) fn expect(&mut self, text: &str) {
        let at = until(&format!("the screen shows {text:?}"), || {
            // Asked before it is looked at what came: what has ended writes no more.
            let is_over = self.reader.is_finished();
            let seen = self.seen.lock().unwrap();
            let found = seen.get(self.read..)?.find(text);
            assert!(
                found.is_some() || !is_over,
                "it ended without {text:?}: {seen}"
            );
            found.map(|at| self.read + at + text.len())
        });
        self.read = at;
    }

    /// What stands on the screen now.
    pub(crate) fn screen(&self) -> String {
        self.screen.lock().unwrap().screen().contents()
    }

    /// Waits until the screen shows this, wherever on it.
    #[track_caller]
    pub(crate) fn shows(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let is_over = self.reader.is_finished();
            let screen = self.screen();
            if screen.contains(text) {
                return;
            }
            let waits = !is_over && begun.elapsed() < PATIENCE;
            assert!(waits, "no {text:?} (ended: {is_over}) on\n{screen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types this and nothing more.
    pub(crate) fn keys(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Makes the terminal larger or smaller, and tells the command so.
    pub(crate) fn resize(&mut self, rows: u16, columns: u16) {
        self.screen
            .lock()
            .unwrap()
            .screen_mut()
            .set_size(size_of(rows), size_of(columns));
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.master, size).unwrap();
    }

    /// Everything that was sent to the screen so far, escape sequences included.
    pub(crate) fn raw(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Types a line.
    pub(crate) fn line(&mut self, text: &str) {
        self.master
            .write_all(format!("{text}\n").as_bytes())
            .unwrap();
    }

    /// Waits for a question and types the answer.
    #[track_caller]
    pub(crate) fn answer(&mut self, question: &str, text: &str) {
        self.expect(question);
        self.expect("> ");
        self.line(text);
    }

    pub(crate) fn ctrl_c(&mut self) {
        self.master.write_all(b"\x03").unwrap();
    }

    /// True if what is typed is shown.
    pub(crate) fn echoes(&self) -> bool {
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        modes.contains(LocalModes::ECHO)
    }

    /// Waits for the end of the command; everything that was on the screen, and how it ended.
    pub(crate) fn end(mut self) -> (String, ExitStatus) {
        let status = until("the command ends", || {
            let status = self.child.try_wait().unwrap()?;
            self.reader.is_finished().then_some(status)
        });
        let seen = self.seen.lock().unwrap().clone();
        (seen, status)
    }
}

fn size_of(cells: u16) -> NonZero<u16> {
    NonZero::new(cells).unwrap()
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
