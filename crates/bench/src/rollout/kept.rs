//! Rows that are done, in a file, so that a run of hours which is cut short goes on where it was.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

/// The first line: what the rows are of. Rows of another program, seed or size are not these.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    program: String,
    seed: u64,
    runs: u64,
}

/// What one row came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) rollbacks: u64,
    pub(super) promotions: u64,
    pub(super) after: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Kept {
    rows: BTreeMap<String, Row>,
    file: Mutex<File>,
}

impl Kept {
    /// Opens the file, or begins it. A line that was cut off in the middle is written anew.
    pub(super) fn open(path: &Path, seed: u64, runs: u64) -> anyhow::Result<Self> {
        let program = std::env::current_exe().and_then(std::fs::read)?;
        let program = Sha256::digest(program);
        let program = program.iter().map(|byte| format!("{byte:02x}")).collect();
        Self::of(
            path,
            &Head {
                program,
                seed,
                runs,
            },
        )
    }

    fn of(path: &Path, head: &Head) -> anyhow::Result<Self> {
        let told = || path.display().to_string();
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(told),
        };
        let whole = &text[..text.rfind('\n').map_or(0, |at| at + 1)];
        let mut lines = whole.lines();
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut file = file.with_context(told)?;
        file.set_len(whole.len() as u64)?;
        match lines.next() {
            None => writeln!(file, "{}", serde_json::to_string(head)?)?,
            Some(line) => {
                if serde_json::from_str::<Head>(line).ok().as_ref() != Some(head) {
                    bail!(
                        "{} has rows of another program, seed or number of runs: name another file",
                        told()
                    );
                }
            }
        }
        let mut rows = BTreeMap::new();
        for line in lines {
            let row: Row = serde_json::from_str(line).with_context(told)?;
            rows.insert(row.name.clone(), row);
        }
        Ok(Self {
            rows,
            file: Mutex::new(file),
        })
    }

    pub(super) fn row(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    pub(super) fn keep(&self, row: &Row) -> anyhow::Result<()> {
        let line = serde_json::to_string(row)? + "\n";
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        file.write_all(line.as_bytes())?;
        Ok(file.sync_data()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_kept_and_a_line_that_was_cut_is_worked_out_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows");
        let head = |seed| Head {
            program: "p".to_owned(),
            seed,
            runs: 10,
        };
        let row = |name: &str| Row {
            name: name.to_owned(),
            rollbacks: 1,
            promotions: 2,
            after: vec![3, 4],
        };
        let kept = Kept::of(&path, &head(1)).unwrap();
        kept.keep(&row("one")).unwrap();
        kept.keep(&row("two")).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        let again = Kept::of(&path, &head(1)).unwrap();
        assert_eq!(again.row("one"), Some(&row("one")));
        assert_eq!(again.row("two"), None);
        again.keep(&row("two")).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        let other = Kept::of(&path, &head(2)).unwrap_err().to_string();
        assert!(other.contains("another program"), "{other}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
    }
}
