//! `logs.tail`: the log file from a place on, for clients that come back for more.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::App;
use crate::control::method::{Call, Method, Need, Refusal, Scope};

const LINES: usize = 500;
const LINES_MAX: usize = 5_000;
const BYTES: u64 = 250_000;
const BYTES_MAX: u64 = 1_000_000;

pub(super) const METHODS: &[Method] = &[Method {
    name: "logs.tail",
    need: Need::Scope(Scope::Read),
    advertised: true,
    run: |call| Box::pin(tail(call)),
}];

#[derive(Deserialize, Debug, Default)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
struct Params {
    cursor: Option<u64>,
    limit: Option<usize>,
    max_bytes: Option<u64>,
}

async fn tail(call: Call) -> Result<Value, Refusal> {
    let params: Params = call.params()?;
    let limit = params.limit.unwrap_or(LINES).clamp(1, LINES_MAX);
    let bytes_max = params.max_bytes.unwrap_or(BYTES).clamp(1, BYTES_MAX);
    let path = log_file(&call.app);
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let piece =
        tokio::task::spawn_blocking(move || Piece::read(&path, params.cursor, limit, bytes_max))
            .await
            .map_err(|_| Refusal::unavailable("the log could not be read"))?;
    Ok(json!({
        "file": name,
        "cursor": piece.cursor,
        "size": piece.size,
        "lines": piece.lines,
        "truncated": piece.truncated,
        "reset": piece.reset,
    }))
}

/// Where the lines go.
pub(crate) fn log_file(app: &App) -> PathBuf {
    match &app.config.current().value.logging.file {
        Some(file) => PathBuf::from(file),
        None => app.state_dir.log_file(),
    }
}

/// Whole lines of a file, and the place behind them.
#[derive(Debug, Default, PartialEq)]
struct Piece {
    lines: Vec<String>,
    cursor: u64,
    size: u64,
    /// Lines were left out.
    truncated: bool,
    /// The file is another one than the cursor was made for.
    reset: bool,
}

impl Piece {
    /// No file is an empty one. A line whose end is not written yet comes the next time.
    fn read(path: &Path, cursor: Option<u64>, limit: usize, bytes_max: u64) -> Self {
        let Ok(mut file) = std::fs::File::open(path) else {
            return Self::default();
        };
        let size = file.metadata().map_or(0, |meta| meta.len());
        let reset = cursor.is_some_and(|cursor| cursor > size);
        let wanted = cursor.filter(|_| !reset);
        let oldest = size.saturating_sub(bytes_max);
        let from = wanted.map_or(oldest, |cursor| cursor.max(oldest));
        let cut = from > wanted.unwrap_or(0);
        let mut bytes = Vec::new();
        let read = file
            .seek(SeekFrom::Start(from))
            .and_then(|_| file.take(bytes_max).read_to_end(&mut bytes));
        if let Err(error) = read {
            tracing::debug!(%error, "the log file could not be read");
            return Self::default();
        }
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        let text = String::from_utf8_lossy(&bytes[..end]).into_owned();
        // After a cut it begins in the middle of a line.
        let mut lines: Vec<String> = text
            .lines()
            .skip(usize::from(cut))
            .map(str::to_owned)
            .collect();
        let spare = lines.len().saturating_sub(limit);
        lines.drain(..spare);
        Self {
            lines,
            cursor: from + u64::try_from(end).unwrap_or(0),
            size,
            truncated: cut || spare > 0,
            reset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_read_on_from_a_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        assert_eq!(Piece::read(&path, None, 5, 100), Piece::default());
        std::fs::write(&path, "one\ntwo\nthr").unwrap();
        let first = Piece::read(&path, None, 1, 100);
        assert_eq!(
            (first.lines.as_slice(), first.truncated),
            (&["two".to_owned()][..], true)
        );
        std::fs::write(&path, "one\ntwo\nthree\nfour\n").unwrap();
        let more = Piece::read(&path, Some(first.cursor), 10, 100);
        assert_eq!(
            (more.lines, more.reset),
            (vec!["three".to_owned(), "four".to_owned()], false)
        );
        let cut = Piece::read(&path, Some(0), 10, 9);
        assert_eq!((cut.lines, cut.truncated), (vec!["four".to_owned()], true));
        std::fs::write(&path, "new\n").unwrap();
        let anew = Piece::read(&path, Some(more.cursor), 10, 100);
        assert_eq!((anew.lines, anew.reset), (vec!["new".to_owned()], true));
    }
}
