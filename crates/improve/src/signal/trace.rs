//! Stack traces as fingerprints: which functions, in which files, without their lines.

use sha2::{Digest, Sha256};

/// Frames that count; those further out differ by how one got there.
const FRAMES_MAX: usize = 3;
/// Lines that are looked at.
const LINES_MAX: usize = 200;

/// The fingerprint of the innermost frames of a trace in a text, nothing where there is none.
///
/// Reads the traces of Python, JavaScript, Java, Go and Rust.
#[must_use]
pub fn frames(text: &str) -> Option<String> {
    let mut found: Vec<String> = text.lines().take(LINES_MAX).filter_map(frame).collect();
    if text.contains("Traceback (most recent call last)") {
        // Python writes the innermost frame last.
        found.reverse();
    }
    if found.len() < 2 {
        return None;
    }
    found.truncate(FRAMES_MAX);
    let digest = Sha256::digest(found.join("\n").as_bytes());
    Some(hex::encode(digest).chars().take(12).collect())
}

/// The function and file of a line of a trace, without numbers and folders.
fn frame(line: &str) -> Option<String> {
    let line = line.trim();
    if let Some(rest) = line.strip_prefix("File \"") {
        let (file, rest) = rest.split_once('"')?;
        let function = rest
            .rsplit_once(" in ")
            .map_or("", |(_, function)| function);
        return Some(format!("{}@{}", function.trim(), base(file)));
    }
    let rest = line.strip_prefix("at ")?;
    if let Some((function, place)) = rest.split_once('(') {
        return Some(format!(
            "{}@{}",
            function.trim(),
            base(place.trim_end_matches(')'))
        ));
    }
    Some(format!("@{}", base(rest)))
}

/// The file's own name without line and column.
fn base(path: &str) -> &str {
    let name = path.rsplit(['/', '\\']).next().unwrap_or(path);
    name.split(':').next().unwrap_or(name)
}
