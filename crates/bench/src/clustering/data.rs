//! Labelled logs: `NAME/NAME_2k.log_structured.csv` with a column `Content`, and the templates of its
//! lines, revised (`NAME_2k.corrected_templates.csv`) or its own.

use anyhow::Context;
use std::path::Path;

/// One system's messages, and the template that a person gave each.
#[derive(Debug)]
pub(super) struct System {
    pub(super) name: String,
    pub(super) lines: Vec<String>,
    pub(super) truth: Vec<String>,
}

pub(super) fn read(folder: &Path) -> anyhow::Result<Vec<System>> {
    let entries = std::fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .collect::<Result<Vec<_>, _>>()?;
    let mut systems = Vec::new();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let structured = entry.path().join(format!("{name}_2k.log_structured.csv"));
        if structured.is_file() {
            systems.push(system(&entry.path(), name)?);
        }
    }
    anyhow::ensure!(
        !systems.is_empty(),
        "{} has no folder NAME with NAME_2k.log_structured.csv",
        folder.display()
    );
    systems.sort_by(|one, two| one.name.cmp(&two.name));
    Ok(systems)
}

fn system(folder: &Path, name: String) -> anyhow::Result<System> {
    let structured = table(&folder.join(format!("{name}_2k.log_structured.csv")))?;
    let lines = column(&structured, "Content").with_context(|| name.clone())?;
    let corrected = folder.join(format!("{name}_2k.corrected_templates.csv"));
    let truth = if corrected.is_file() {
        column(&table(&corrected)?, "EventTemplate")
    } else {
        column(&structured, "EventTemplate")
    };
    let truth = truth.with_context(|| name.clone())?;
    anyhow::ensure!(
        lines.len() == truth.len(),
        "{name}: {} lines, {} templates",
        lines.len(),
        truth.len()
    );
    Ok(System { name, lines, truth })
}

fn column(table: &[Vec<String>], name: &str) -> anyhow::Result<Vec<String>> {
    let (head, rows) = table.split_first().context("an empty table")?;
    let at = head.iter().position(|field| field == name);
    let at = at.with_context(|| format!("no column {name}"))?;
    Ok(rows
        .iter()
        .map(|row| row.get(at).cloned().unwrap_or_default())
        .collect())
}

/// Comma-separated values with quotes, as RFC 4180 has them.
fn table(path: &Path) -> anyhow::Result<Vec<Vec<String>>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let mut rows = Vec::new();
    let (mut row, mut field, mut quoted) = (Vec::new(), String::new(), false);
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(sign) = rest.next() {
        match sign {
            '"' if quoted && rest.peek() == Some(&'"') => {
                field.push('"');
                rest.next();
            }
            '"' => quoted = !quoted,
            ',' if !quoted => row.push(std::mem::take(&mut field)),
            '\r' if !quoted => {}
            '\n' if !quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            other => field.push(other),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    Ok(rows)
}
