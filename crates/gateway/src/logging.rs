//! The log: a rotating file of JSON lines, which is also what those who watch read, and the terminal.
//!
//! Outside text reaches the log only as a quoted field; JSON escapes what is left. Secrets cannot
//! be formatted at all.

mod mask;

use mask::Mask;

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, reload};

use crate::config::{ConsoleStyle, Level, LoggingConfig};

/// Old log files that are kept.
const FILES_KEPT: usize = 5;
/// A longer line is cut.
const LINE_BYTES_MAX: usize = 16 << 10;

/// The log of this process: its level and what it masks can be changed while it runs.
#[derive(Clone, Debug)]
pub struct Logs {
    shared: Arc<Shared>,
    level: Option<Handle>,
}

type Handle = reload::Handle<Targets, Registry>;

#[derive(Debug)]
struct Shared {
    file: Mutex<Option<Rotating>>,
    mask: Mask,
}

impl Logs {
    /// Logs to nowhere; for a gateway inside another program's process.
    #[must_use]
    pub fn nowhere() -> Self {
        Self {
            shared: Arc::new(Shared::new(None)),
            level: None,
        }
    }

    /// Begins logging for this process. Only the first call in a process takes the log over.
    pub fn begin(config: &LoggingConfig, file: &Path) -> io::Result<Self> {
        let file = config
            .file
            .as_ref()
            .map_or_else(|| file.to_owned(), PathBuf::from);
        let rotating = Rotating::open(file, config.max_file_bytes.into())?;
        let shared = Arc::new(Shared::new(Some(rotating)));
        shared.mask.set(&config.redact_patterns);
        let (filter, handle) = reload::Layer::new(targets(config.level));
        let to_file = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_writer(Lines(Arc::clone(&shared)))
            .with_filter(filter);
        let console = tracing_subscriber::fmt::layer()
            .with_writer(Console(Arc::clone(&shared)))
            .with_ansi(io::stderr().is_terminal());
        let console = match config.console_style {
            ConsoleStyle::Pretty => console.with_target(false).boxed(),
            ConsoleStyle::Json => console.json().boxed(),
        };
        let console = console.with_filter(targets(config.console_level));
        let taken = tracing_subscriber::registry()
            .with(to_file)
            .with(console)
            .try_init()
            .is_ok();
        Ok(Self {
            shared,
            level: taken.then_some(handle),
        })
    }

    /// Changes what goes into the file, from now on.
    pub fn set_level(&self, level: Level) {
        if let Some(handle) = &self.level
            && let Err(error) = handle.reload(targets(level))
        {
            tracing::warn!(%error, "the log level cannot be changed");
        }
    }

    /// Changes what is masked, from now on.
    pub fn set_patterns(&self, patterns: &[String]) {
        self.shared.mask.set(patterns);
    }
}

fn targets(level: Level) -> Targets {
    let level = match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    };
    // Libraries below speak only when something is wrong: their chatter may quote outside bytes.
    Targets::new()
        .with_default(level.min(LevelFilter::WARN))
        .with_target("instar", level)
}

impl Shared {
    fn new(file: Option<Rotating>) -> Self {
        Self {
            file: Mutex::new(file),
            mask: Mask::default(),
        }
    }

    fn take(&self, line: &[u8]) -> io::Result<()> {
        let text = String::from_utf8_lossy(line);
        let mut text = self.mask.line(text.trim_end());
        if text.len() > LINE_BYTES_MAX {
            let end = (0..=LINE_BYTES_MAX)
                .rev()
                .find(|at| text.is_char_boundary(*at))
                .unwrap_or(0);
            text.truncate(end);
        }
        if let Some(file) = &mut *self.file.lock().unwrap_or_else(PoisonError::into_inner) {
            file.write_line(&text)?;
        }
        Ok(())
    }
}

/// Hands each formatted line to the shared log.
#[derive(Clone, Debug)]
struct Lines(Arc<Shared>);

struct Line<'a>(&'a Shared);

impl Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.take(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(&self.0)
    }
}

/// The terminal, with the same words masked.
#[derive(Clone, Debug)]
struct Console(Arc<Shared>);

struct ConsoleLine<'a>(&'a Shared);

impl Write for ConsoleLine<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(bytes);
        io::stderr().write_all(self.0.mask.text(&text).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

impl<'a> MakeWriter<'a> for Console {
    type Writer = ConsoleLine<'a>;

    fn make_writer(&'a self) -> Self::Writer {
        ConsoleLine(&self.0)
    }
}

/// A log file that begins anew at a size; five old ones are kept.
#[derive(Debug)]
struct Rotating {
    path: PathBuf,
    file: File,
    bytes: u64,
    bytes_max: u64,
}

impl Rotating {
    fn open(path: PathBuf, bytes_max: u64) -> io::Result<Self> {
        if let Some(folder) = path.parent()
            && !folder.exists()
        {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let file = Self::append(&path)?;
        let bytes = file.metadata()?.len();
        Ok(Self {
            path,
            file,
            bytes,
            bytes_max,
        })
    }

    fn append(path: &Path) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
    }

    fn write_line(&mut self, line: &str) -> io::Result<()> {
        if self.bytes >= self.bytes_max {
            self.rotate()?;
        }
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        let numbered = |number: usize| {
            let mut name = self.path.as_os_str().to_owned();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..FILES_KEPT).rev() {
            if numbered(number).exists() {
                std::fs::rename(numbered(number), numbered(number + 1))?;
            }
        }
        std::fs::rename(&self.path, numbered(1))?;
        self.file = Self::append(&self.path)?;
        self.bytes = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_rotate_and_stay_private() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("logs/instar.log");
        let mut log = Rotating::open(path.clone(), 100).unwrap();
        for number in 0..40 {
            log.write_line(&format!("line {number} {}", "x".repeat(40)))
                .unwrap();
        }
        let files = std::fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(files, 1 + FILES_KEPT);
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(std::fs::read_to_string(&path).unwrap().contains("line 39"));
    }
}
