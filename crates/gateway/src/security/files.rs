//! Files: who else can read or write them, and secrets that lie in them.

use instar_protocol::api::Severity;
use instar_protocol::redact::{find_secret, mask_secrets};
use instar_protocol::security::SecurityFinding;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::{Subject, With as _, finding, fine, not_looked};

/// Entries that are looked at.
const ENTRIES_MAX: usize = 5_000;
/// The beginning of a file that is looked through.
pub(super) const BYTES_MAX: u64 = 1024 * 1024;
/// What the gateway itself keeps closed: the secret of the run file ends with the process.
const OWN: [&str; 1] = ["gateway.run.json"];
/// Names of files that hold text.
const TEXT: [&str; 9] = [
    "json", "jsonl", "json5", "md", "txt", "log", "env", "yaml", "toml",
];

pub(super) fn look(subject: &Subject) -> Vec<SecurityFinding> {
    let root = subject.state.root();
    vec![
        modes(root),
        owner(root),
        binary(),
        in_config(subject),
        in_files(subject),
        redaction(),
    ]
}

fn modes(root: &Path) -> SecurityFinding {
    let id = "files.modes";
    let loose = entries(root).into_iter().filter(|path| {
        path.symlink_metadata()
            .is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
    });
    let seen: Vec<String> = loose.map(|path| named(root, &path)).collect();
    if seen.is_empty() {
        return fine(id, "the state folder is closed to other users");
    }
    let mut open = finding(
        id,
        Severity::Error,
        "other users of this machine can reach into the state folder",
        &["T-ACCESS-003", "T-PERSIST-003"],
    )
    .seen(seen)
    .fix("`instar security audit --fix` closes it");
    open.mendable = true;
    open
}

fn owner(root: &Path) -> SecurityFinding {
    let id = "files.owner";
    let own = rustix::process::getuid().as_raw();
    let foreign = entries(root)
        .into_iter()
        .filter(|path| path.symlink_metadata().is_ok_and(|meta| meta.uid() != own));
    let seen: Vec<String> = foreign.map(|path| named(root, &path)).collect();
    if seen.is_empty() {
        return fine(id, "everything in the state folder belongs to this user");
    }
    finding(
        id,
        Severity::Error,
        "files in the state folder belong to somebody else",
        &["T-PERSIST-003"],
    )
    .seen(seen)
    .fix("find out who made them; `chown` takes them over")
}

/// Whoever can write the program is the program.
fn binary() -> SecurityFinding {
    let id = "files.program";
    let Ok(program) = std::env::current_exe() else {
        return not_looked(id, "the program's own file cannot be found");
    };
    let open = [Some(program.as_path()), program.parent()]
        .into_iter()
        .flatten()
        .filter(|path| {
            path.metadata()
                .is_ok_and(|meta| meta.permissions().mode() & 0o002 != 0)
        });
    let seen: Vec<String> = open.map(|path| path.display().to_string()).collect();
    if seen.is_empty() {
        return fine(id, "only its owner can change the program");
    }
    finding(
        id,
        Severity::Error,
        "everybody can change the program",
        &["T-PERSIST-003"],
    )
    .seen(seen)
    .fix("`chmod o-w` on what is named")
}

fn in_config(subject: &Subject) -> SecurityFinding {
    let id = "secrets.config";
    let file = subject.state.config_file();
    match beginning(file).as_deref().map(find_secret) {
        Some(Some(found)) => finding(
            id,
            Severity::Warning,
            "the configuration holds a secret in the clear",
            &["T-ACCESS-003", "T-EXFIL-003"],
        )
        .seen(vec![format!(
            "{}:{}: {}",
            named_file(file),
            found.line,
            found.what
        )])
        .fix("store it with `instar secrets set NAME` and name it in the file"),
        Some(None) => fine(
            id,
            "the configuration holds no secret that can be told by its shape",
        ),
        None => not_looked(id, "there is no configuration file"),
    }
}

/// Backups, logs and workspaces.
fn in_files(subject: &Subject) -> SecurityFinding {
    let id = "secrets.files";
    let mut roots = vec![subject.state.root().to_owned()];
    roots.extend(workspaces(subject));
    let mut seen = Vec::new();
    for path in roots.iter().flat_map(|root| entries(root)) {
        let is_config = path == subject.state.config_file();
        if is_config || !is_text(&path) || OWN.iter().any(|own| path.ends_with(own)) {
            continue;
        }
        if let Some(found) = beginning(&path).as_deref().and_then(find_secret) {
            let line = format!("{}:{}: {}", path.display(), found.line, found.what);
            if !seen.contains(&line) {
                seen.push(line);
            }
        }
    }
    if seen.is_empty() {
        return fine(
            id,
            "logs, backups and workspaces hold no secret that can be told by its shape",
        );
    }
    finding(
        id,
        Severity::Warning,
        "secrets lie in files that the agent or a backup can read",
        &["T-ACCESS-003", "T-EXFIL-003"],
    )
    .seen(seen)
    .fix("take them out, and make new ones where somebody may have read them")
}

/// What the log does to secrets, shown with secrets made for this.
fn redaction() -> SecurityFinding {
    let id = "log.redaction";
    let canary = "Ca9aRy".repeat(6);
    let shapes = [
        format!("sk-ant-api03-{canary}"),
        format!("sk-proj-{canary}"),
        format!("ghp_{canary}"),
        format!("Authorization: Bearer {canary}"),
    ];
    let through: Vec<String> = shapes
        .iter()
        .filter(|line| mask_secrets(line).contains(&canary[..24]))
        .map(|line| format!("a line like {}… came through", &line[..8]))
        .collect();
    if through.is_empty() {
        return fine(id, "keys of the known shapes are taken out of log lines");
    }
    finding(
        id,
        Severity::Error,
        "secrets reach the log",
        &["T-EXFIL-003"],
    )
    .seen(through)
    .fix("name their shape in logging.redactPatterns, and report this")
}

/// The folders that agents work in.
pub(super) fn workspaces(subject: &Subject) -> Vec<PathBuf> {
    let Ok(config) = &subject.config else {
        return Vec::new();
    };
    let mut folders = crate::behaviour::folders(config, &subject.state);
    // Inside the state folder they are looked at with it.
    folders.retain(|folder| !folder.starts_with(subject.state.root()));
    folders
}

/// A folder and what lies below, without links and without the store's objects.
pub(super) fn entries(root: &Path) -> Vec<PathBuf> {
    let is_left_out = |path: &Path| path.ends_with("objects") || path.ends_with(".git");
    instar_config::walk(root, ENTRIES_MAX, is_left_out)
}

pub(super) fn is_text(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let ending = name.rsplit('.').next().unwrap_or_default();
    // Backups have a number or a word behind the name.
    path.is_file() && (TEXT.contains(&ending) || name.contains(".json"))
}

/// The beginning of a file as text.
pub(super) fn beginning(path: &Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

fn named(root: &Path, path: &Path) -> String {
    match path.strip_prefix(root) {
        Ok(rest) if rest.as_os_str().is_empty() => root.display().to_string(),
        Ok(rest) => rest.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

fn named_file(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_default()
}
