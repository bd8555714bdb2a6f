//! Checks that tell what is wrong before it hurts, each with the next step.
//!
//! Every check is a function of what it looks at, so that the command line asks the same ones on a
//! stopped gateway. A check that cannot look says so; it never counts as fine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use instar_protocol::Timestamp;
use instar_protocol::api::{Finding, Health, Severity};
use instar_protocol::live::UserError;
use instar_release::Release;
use instar_store::{EventFilter, Store, StoreError, Swept, Synchronous};

/// Less free space than this stops the gateway soon.
const SPACE_LOW_BYTES: u64 = 200 * 1024 * 1024;
/// Less free space than this is worth knowing.
const SPACE_SHORT_BYTES: u64 = 1024 * 1024 * 1024;
/// Files whose modes are looked at.
const FILES_MAX: usize = 2_000;
/// Files that are named in one finding.
const NAMED_MAX: usize = 5;
/// Events that are read back.
const EVENTS_READ: usize = 200;
/// A clock may be behind the newest event by this much: a small correction of the time.
const CLOCK_SLACK_MS: u64 = 120_000;
/// 2025-01-01: earlier clocks were never set.
const CLOCK_MIN_MS: u64 = 1_735_689_600_000;

/// Where the gateway listens and what stands in front of it.
#[derive(Clone, Debug)]
pub struct Exposure {
    pub address: std::net::SocketAddr,
    /// `token`, `password`, `trusted-proxy`.
    pub auth_mode: String,
    /// True if the listener speaks TLS.
    pub tls: bool,
}

/// The configuration file.
#[must_use]
pub fn config(health: &Health, file: &Path) -> Finding {
    from_health(
        "config",
        health,
        &format!("{} is sound", file.display()),
        "run `instar config validate`",
    )
}

/// The store: writes, flushing, a read of each kind, and every page of its file.
pub async fn store(store: &Store) -> Vec<Finding> {
    let mut found = Vec::new();
    if let Some(problem) = store.health() {
        found.push(finding(
            "store",
            Severity::Error,
            format!("writes fail: {}", problem.message),
            Some(problem.next_step),
        ));
    }
    match read_back(store).await {
        Ok((sessions, objects)) => found.push(fine(
            "store",
            &format!(
                "{sessions} conversations and {} objects ({}), readable",
                objects.kept,
                megabytes(objects.kept_bytes)
            ),
        )),
        Err(error) => found.push(finding(
            "store",
            Severity::Error,
            format!("the store cannot be read: {error}"),
            Some("stop the gateway and copy the state folder before anything else"),
        )),
    }
    match store.damage().await.as_deref() {
        Ok([]) => {}
        Ok(damage) => found.push(finding(
            "store",
            Severity::Error,
            format!("the file is damaged: {}", damage.join("; ")),
            Some("stop the gateway and copy the state folder before anything else"),
        )),
        Err(error) => found.push(cannot_look("store", error)),
    }
    if store.synchronous() == Synchronous::Off {
        found.push(finding(
            "store",
            Severity::Warning,
            "nothing is flushed: a power cut loses what was acknowledged".to_owned(),
            Some("unset INSTAR_STORE_SYNCHRONOUS and restart; it is for measuring only"),
        ));
    }
    found
}

async fn read_back(store: &Store) -> Result<(u64, Swept), StoreError> {
    let sessions = store.session_count().await?;
    let objects = store.objects_size().await?;
    let _events = store
        .events(EventFilter {
            limit: EVENTS_READ,
            ..EventFilter::default()
        })
        .await?;
    if let Some(stable) = store.alias("stable").await?
        && let Some(release) = store.release(&stable).await?
    {
        // Reading an object checks its hash.
        let _bytes = store.object(&release.object).await?;
    }
    Ok((sessions, objects))
}

fn megabytes(bytes: u64) -> String {
    let tenths = bytes * 10 / (1024 * 1024);
    format!("{}.{} MB", tenths / 10, tenths % 10)
}

/// Replies that may or may not have arrived.
pub async fn uncertain(store: &Store) -> Finding {
    match store.uncertain(100).await {
        Ok(rows) if rows.is_empty() => fine("delivery", "every reply is accounted for"),
        Ok(rows) => finding(
            "delivery",
            Severity::Warning,
            format!(
                "{} replies were cut off while they were sent; nobody knows whether they arrived",
                rows.len()
            ),
            Some(
                "look at the conversations with `instar sessions list`; nothing is sent again by itself",
            ),
        ),
        Err(error) => cannot_look("delivery", &error),
    }
}

/// The machine's clock against the newest event.
pub async fn clock(store: &Store, now: Timestamp) -> Finding {
    if now.millis() < CLOCK_MIN_MS {
        return finding(
            "clock",
            Severity::Error,
            "the machine's clock was never set".to_owned(),
            Some("set the time (NTP); certificates and the order of events depend on it"),
        );
    }
    let newest = store
        .events(EventFilter {
            limit: 1,
            ..EventFilter::default()
        })
        .await;
    match newest {
        Ok(events) => match events.first() {
            Some(event) if event.at.millis() > now.millis() + CLOCK_SLACK_MS => finding(
                "clock",
                Severity::Warning,
                format!(
                    "the clock is {} s behind the newest event",
                    event.at.since(now).as_secs()
                ),
                Some("check the machine's time (NTP)"),
            ),
            _ => fine("clock", "in step with the newest event"),
        },
        Err(error) => cannot_look("clock", &error),
    }
}

/// Modes of the state folder: nothing in it may be open to others. Walks the disk.
#[must_use]
pub fn modes(root: &Path) -> Finding {
    let mut loose: Vec<PathBuf> = Vec::new();
    let mut seen = 0;
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        if is_loose(&folder) {
            loose.push(folder.clone());
        }
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return finding(
                "modes",
                Severity::Warning,
                format!("{} cannot be listed", folder.display()),
                Some("run the check as the user that runs the gateway"),
            );
        };
        for entry in entries.flatten() {
            seen += 1;
            if seen > FILES_MAX {
                break;
            }
            // A link's target is another folder's business.
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                Ok(kind) if kind.is_file() && is_loose(&entry.path()) => loose.push(entry.path()),
                _ => {}
            }
        }
    }
    if loose.is_empty() {
        return fine("modes", "the state folder is closed to others");
    }
    let named: Vec<String> = loose
        .iter()
        .take(NAMED_MAX)
        .map(|path| {
            path.strip_prefix(root)
                .unwrap_or(path)
                .display()
                .to_string()
        })
        .map(|name| {
            if name.is_empty() {
                ".".to_owned()
            } else {
                name
            }
        })
        .collect();
    let more = loose.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    Finding {
        check: "modes".to_owned(),
        severity: Severity::Error,
        message: format!("others can read: {}{more}", named.join(", ")),
        next_step: Some(format!("chmod -R go= {}", root.display())),
    }
}

fn is_loose(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|meta| meta.permissions().mode() & 0o077 != 0)
}

/// Free space where the state folder lies.
#[must_use]
pub fn space(root: &Path) -> Finding {
    let free = match rustix::fs::statvfs(root) {
        Ok(stat) => stat.f_bavail.saturating_mul(stat.f_frsize),
        Err(error) => return cannot_look("disk", &error),
    };
    let words = format!("{} MB free", free / 1024 / 1024);
    match free {
        0..SPACE_LOW_BYTES => finding(
            "disk",
            Severity::Error,
            words,
            Some("free some space; without any the gateway accepts no more messages"),
        ),
        SPACE_LOW_BYTES..SPACE_SHORT_BYTES => finding(
            "disk",
            Severity::Warning,
            words,
            Some("free some space before it runs out"),
        ),
        _ => fine("disk", &words),
    }
}

/// Identity files of the workspace that did not fit whole.
#[must_use]
pub fn workspace(stable: Option<&Release>) -> Vec<Finding> {
    let Some(release) = stable else {
        return vec![finding(
            "workspace",
            Severity::Error,
            "no release is in service".to_owned(),
            Some("start the gateway once; it makes the first release from the workspace"),
        )];
    };
    let mut found = Vec::new();
    for (agent, behaviour) in &release.behaviour.agents {
        for (name, file) in &behaviour.prompt {
            if file.cut_chars > 0 {
                found.push(finding(
                    "workspace",
                    Severity::Warning,
                    format!(
                        "{name} of agent {agent} is too long: {} characters are left out",
                        file.cut_chars
                    ),
                    Some("shorten the file; what is left out the agent never sees"),
                ));
            }
        }
    }
    if found.is_empty() {
        found.push(fine(
            "workspace",
            &format!("the workspace fits; release {} serves", release.id.short()),
        ));
    }
    found
}

/// Who can reach the port.
#[must_use]
pub fn exposure(exposure: &Exposure) -> Finding {
    let Exposure {
        address,
        auth_mode,
        tls,
    } = exposure;
    if address.ip().is_loopback() {
        fine(
            "exposure",
            &format!("{address}, this machine only, sign-in by {auth_mode}"),
        )
    } else if *tls {
        fine(
            "exposure",
            &format!("{address} is reachable from other machines over TLS, sign-in by {auth_mode}"),
        )
    } else {
        finding(
            "exposure",
            Severity::Warning,
            format!("{address} is reachable from other machines, sign-in by {auth_mode}"),
            Some(
                "set gateway.bind to loopback, and reach it through a private overlay or a TLS proxy",
            ),
        )
    }
}

/// A token that was made on schedule and that nobody has seen.
#[must_use]
pub fn token_waits() -> Finding {
    finding(
        "token",
        Severity::Warning,
        "the API token was changed on schedule; nobody has taken the new one".to_owned(),
        Some("`instar token take` shows it, once"),
    )
}

/// Whether secrets can be had.
#[must_use]
pub fn secrets(found: Result<usize, &str>) -> Finding {
    match found {
        Ok(names) => fine(
            "secrets",
            &format!("the store opens; {names} secrets in it"),
        ),
        Err(why) => finding(
            "secrets",
            Severity::Error,
            why.to_owned(),
            Some("see `instar secrets --help`; no other secret is used instead"),
        ),
    }
}

/// The model that answers plain messages. `probed` is `None` if nobody asked it.
#[must_use]
pub fn model(name: &str, configured: bool, probed: Option<Result<u64, UserError>>) -> Finding {
    if name.is_empty() || !configured {
        let message = if name.is_empty() {
            "no model is chosen".to_owned()
        } else {
            format!("{name} has no key or is not configured")
        };
        return finding(
            "model",
            Severity::Error,
            message,
            Some(
                "choose one with `instar models set PROVIDER/MODEL`; `instar models list` shows them",
            ),
        );
    }
    match probed {
        Some(Err(error)) => Finding {
            check: "model".to_owned(),
            severity: Severity::Error,
            message: format!("{name} does not answer: {}", error.message),
            next_step: Some(error.next_step),
        },
        _ if name.starts_with("demo/") => finding(
            "model",
            Severity::Notice,
            format!("{name} answers; it is the scripted demo model"),
            Some("connect a real one with `instar models set PROVIDER/MODEL`"),
        ),
        Some(Ok(millis)) => fine("model", &format!("{name} answered in {millis} ms")),
        None => fine("model", &format!("{name} is configured")),
    }
}

/// What else is to be said of a model that answers: a limit on spending cannot hold it if nobody
/// knows its price.
#[must_use]
pub fn held_by_budget(found: Finding, name: &str, escapes: bool) -> Finding {
    if !escapes || found.severity == Severity::Error {
        return found;
    }
    finding(
        "model",
        Severity::Warning,
        format!("no price is known for {name}: the limits of models.budget do not hold it"),
        Some("set models.providers.PROVIDER.models[].cost for it"),
    )
}

fn from_health(check: &str, health: &Health, sound: &str, otherwise: &str) -> Finding {
    if health.ok {
        return fine(check, sound);
    }
    Finding {
        check: check.to_owned(),
        severity: Severity::Error,
        message: health
            .problem
            .clone()
            .unwrap_or_else(|| "not sound".to_owned()),
        next_step: Some(
            health
                .next_step
                .clone()
                .unwrap_or_else(|| otherwise.to_owned()),
        ),
    }
}

fn fine(check: &str, message: &str) -> Finding {
    finding(check, Severity::Fine, message.to_owned(), None)
}

fn cannot_look(check: &str, error: &dyn std::error::Error) -> Finding {
    finding(
        check,
        Severity::Error,
        format!("could not be checked: {error}"),
        Some("see `instar logs`"),
    )
}

fn finding(check: &str, severity: Severity, message: String, next: Option<&str>) -> Finding {
    Finding {
        check: check.to_owned(),
        severity,
        message,
        next_step: next.map(str::to_owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_open_to_others_are_found_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let set = |path: &Path, mode| {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        set(root, 0o700);
        let inner = root.join("objects");
        std::fs::create_dir(&inner).unwrap();
        set(&inner, 0o700);
        let file = inner.join("x");
        std::fs::write(&file, "x").unwrap();
        set(&file, 0o600);
        assert_eq!(modes(root).severity, Severity::Fine);
        set(&file, 0o640);
        let found = modes(root);
        assert_eq!(found.severity, Severity::Error);
        assert!(found.message.ends_with("objects/x"), "{}", found.message);
    }

    #[test]
    fn a_port_open_to_others_is_a_warning() {
        let at = |address: &str| {
            exposure(&Exposure {
                address: address.parse().unwrap(),
                auth_mode: "token".to_owned(),
                tls: false,
            })
            .severity
        };
        assert_eq!(at("127.0.0.1:18789"), Severity::Fine);
        assert_eq!(at("[::1]:18789"), Severity::Fine);
        assert_eq!(at("0.0.0.0:18789"), Severity::Warning);
    }

    #[test]
    fn a_model_that_a_budget_cannot_hold_is_a_warning() {
        let sound = || model("openai/x", true, Some(Ok(3)));
        assert_eq!(held_by_budget(sound(), "openai/x", false), sound());
        let found = held_by_budget(sound(), "openai/x", true);
        assert_eq!(found.severity, Severity::Warning);
        let broken = held_by_budget(model("", false, None), "", true);
        assert_eq!(broken.severity, Severity::Error);
    }

    #[test]
    fn a_model_that_is_missing_broken_or_scripted_is_told_apart() {
        assert_eq!(model("", false, None).severity, Severity::Error);
        assert_eq!(model("openai/x", false, None).severity, Severity::Error);
        assert_eq!(model("demo/guide", true, None).severity, Severity::Notice);
        assert_eq!(
            model("openai/x", true, Some(Ok(3))).severity,
            Severity::Fine
        );
    }
}
