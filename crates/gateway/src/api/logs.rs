//! `GET /logs`: the last lines of the log file, and new ones as they are written.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use super::input::{Asked, WantsStream};
use super::sse::{self, Source};
use crate::app::AppState;
use crate::auth::Caller;
use crate::problem::ApiProblem;

/// The most lines of one answer.
const LINES_MAX: usize = 5_000;
/// Lines when nobody says how many.
const LINES: usize = 200;
/// The part of the file's end that is looked at.
const TAIL_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// What one look at a growing file reads.
const READ_BYTES_MAX: u64 = 256 * 1024;
/// A longer line is given in pieces.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// How often a stream looks for new lines.
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[derive(Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    #[serde(default)]
    lines: Option<usize>,
}

/// The last lines; as a stream, followed by new ones.
pub(super) async fn list(
    State(app): State<AppState>,
    _caller: Caller,
    WantsStream(stream): WantsStream,
    Asked(query): Asked<LogsQuery>,
) -> Result<Response, ApiProblem> {
    let lines = query.lines.unwrap_or(LINES);
    if lines > LINES_MAX {
        return Err(ApiProblem::invalid(format!(
            "lines: {lines} is more than {LINES_MAX}"
        )));
    }
    let path = match &app.config.current().value.logging.file {
        Some(file) => PathBuf::from(file),
        None => app.state_dir.log_file(),
    };
    let opened = tokio::task::spawn_blocking(move || Follow::open(path, lines))
        .await
        .map_err(|_| ApiProblem::invalid("the log could not be read".to_owned()))?;
    let (follow, last) = opened;
    if stream {
        return Ok(sse::response(Lines {
            first: Some(last),
            follow,
            closing: app.closing.clone(),
        }));
    }
    Ok(Json(last).into_response())
}

/// A place in a file that grows and is rotated.
#[derive(Debug)]
struct Follow {
    path: PathBuf,
    inode: u64,
    at: u64,
    /// The beginning of a line whose end is not written yet.
    open_line: Vec<u8>,
}

impl Follow {
    /// The last lines of the file, and the place behind them. No file is an empty one.
    fn open(path: PathBuf, lines: usize) -> (Self, Vec<String>) {
        let mut follow = Self {
            path,
            inode: 0,
            at: 0,
            open_line: Vec::new(),
        };
        let Ok(mut file) = std::fs::File::open(&follow.path) else {
            return (follow, Vec::new());
        };
        let (size, inode) = file
            .metadata()
            .map_or((0, 0), |meta| (meta.len(), meta.ino()));
        follow.inode = inode;
        follow.at = size.saturating_sub(TAIL_BYTES_MAX);
        let cut = follow.at > 0;
        let mut found = follow.read(&mut file, TAIL_BYTES_MAX);
        if cut && !found.is_empty() {
            // It began in the middle.
            found.remove(0);
        }
        let spare = found.len().saturating_sub(lines);
        found.drain(..spare);
        (follow, found)
    }

    /// What was written since the last look. A file that is another one, or shorter, is begun anew.
    fn more(&mut self) -> Vec<String> {
        let Ok(mut file) = std::fs::File::open(&self.path) else {
            return Vec::new();
        };
        let Ok(meta) = file.metadata() else {
            return Vec::new();
        };
        if meta.ino() != self.inode || meta.len() < self.at {
            self.inode = meta.ino();
            self.at = 0;
            self.open_line.clear();
        }
        self.read(&mut file, READ_BYTES_MAX)
    }

    fn read(&mut self, file: &mut std::fs::File, max: u64) -> Vec<String> {
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(self.at))
            .and_then(|_| file.take(max).read_to_end(&mut bytes));
        if let Err(error) = read {
            tracing::debug!(%error, "the log file could not be read");
            return Vec::new();
        }
        self.at += u64::try_from(bytes.len()).unwrap_or(0);
        let mut lines = Vec::new();
        for byte in bytes {
            if byte == b'\n' || self.open_line.len() >= LINE_BYTES_MAX {
                lines.push(String::from_utf8_lossy(&self.open_line).into_owned());
                self.open_line.clear();
            }
            if byte != b'\n' {
                self.open_line.push(byte);
            }
        }
        lines
    }
}

struct Lines {
    first: Option<Vec<String>>,
    follow: Follow,
    closing: CancellationToken,
}

impl Lines {
    async fn advance(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            let mut out = BytesMut::from(&b": following\n\n"[..]);
            out.extend_from_slice(&pieces(&first));
            return Some(out.freeze());
        }
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = self.closing.cancelled() => return None,
            }
            // A short read of a local file, bounded: not worth a thread.
            let lines = self.follow.more();
            if !lines.is_empty() {
                return Some(pieces(&lines));
            }
        }
    }
}

impl Source for Lines {
    fn next(&mut self) -> BoxFuture<'_, Option<Bytes>> {
        Box::pin(self.advance())
    }
}

fn pieces(lines: &[String]) -> Bytes {
    let mut out = BytesMut::new();
    for line in lines {
        out.extend_from_slice(&sse::text_event(Some("log"), None, line));
    }
    out.freeze()
}

/// The last lines of a log file.
#[must_use]
pub fn last_lines(path: &Path, lines: usize) -> Vec<String> {
    Follow::open(path.to_owned(), lines.min(LINES_MAX)).1
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn growing_and_rotated_files_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        assert!(last_lines(&path, 5).is_empty());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let (mut follow, last) = Follow::open(path.clone(), 1);
        assert_eq!(last, ["two"]);
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .unwrap();
        file.write_all(b"ee\nfour\n").unwrap();
        assert_eq!(follow.more(), ["three", "four"]);
        assert!(follow.more().is_empty());
        std::fs::rename(&path, folder.path().join("a.log.1")).unwrap();
        assert!(follow.more().is_empty());
        std::fs::write(&path, "new\n").unwrap();
        assert_eq!(follow.more(), ["new"]);
    }
}
