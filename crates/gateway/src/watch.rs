//! What never happens under a sound release: a stored secret in an answer of the candidate's. It ends the
//! rollout at once, and is no matter of evidence.

use instar_agent::Unsent;
use instar_config::SecretStore;
use instar_protocol::message::{EntryBody, plain_text};
use instar_protocol::{EntryId, ReleaseId, Secret, SessionId};
use std::collections::HashSet;

use crate::app::App;

/// A shorter value stands in answers by chance.
const CHARS_MIN: usize = 12;
/// Entries of a conversation that one look reads.
const ENTRIES: usize = 12;
/// Entries that are read where one of the candidate's has a secret in it.
const ENTRIES_MAX: usize = 5_000;
/// Entries that are remembered as looked at.
const SEEN_MAX: usize = 10_000;

/// Looks at the answers of the candidate as they come.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    seen: HashSet<EntryId>,
}

impl Watch {
    pub(crate) async fn look(&mut self, app: &App) {
        let sessions = app.releases.canary_sessions();
        if sessions.is_empty() {
            return;
        }
        if self.seen.len() > SEEN_MAX {
            self.seen.clear();
        }
        for session in sessions {
            let Ok(entries) = app.store.branch(&session, None, ENTRIES).await else {
                continue;
            };
            let mut said = Vec::new();
            let mut heard = String::new();
            for entry in &entries {
                match &entry.body {
                    EntryBody::Assistant { text, .. } if self.seen.insert(entry.id.clone()) => {
                        said.push(text.as_str());
                    }
                    EntryBody::User { parts, .. } => heard.push_str(&plain_text(parts)),
                    _ => {}
                }
            }
            if said.is_empty() {
                continue;
            }
            if secret_in(&said, &heard, app).is_none() {
                continue;
            }
            // It may have been said long before.
            let Some(all) = all_heard(&session, app).await else {
                continue;
            };
            heard.push_str(&all);
            let Some(name) = secret_in(&said, &heard, app) else {
                continue;
            };
            if let Some(shown) = app.releases.rollout() {
                take_back(&shown.release, &name, app).await;
            }
            return;
        }
    }
}

/// The same for an answer that the candidate gave in its shadow.
pub(crate) async fn unsent(app: &App, answer: &Unsent) {
    let said = [answer.text.as_str()];
    if secret_in(&said, "", app).is_none() {
        return;
    }
    if let Some(heard) = all_heard(&answer.session, app).await
        && let Some(name) = secret_in(&said, &heard, app)
    {
        take_back(&answer.release, &name, app).await;
    }
}

/// What people said in a conversation.
async fn all_heard(session: &SessionId, app: &App) -> Option<String> {
    let all = app.store.branch(session, None, ENTRIES_MAX).await.ok()?;
    let heard = all.iter().filter_map(|entry| match &entry.body {
        EntryBody::User { parts, .. } => Some(plain_text(parts)),
        _ => None,
    });
    Some(heard.collect())
}

async fn take_back(release: &ReleaseId, name: &str, app: &App) {
    tracing::warn!(name, "the candidate said a secret; it is taken back");
    let what = format!("the secret {name} stood in an answer");
    let (now, random) = (app.clock.now(), || app.random());
    let ended = app.releases.violation(release, &what, now, &random);
    if let Err(error) = ended.await {
        tracing::error!(%error, "the candidate could not be taken back");
    }
}

/// The name of a stored secret that was said and that nobody had said in the conversation before.
fn secret_in(said: &[&str], heard: &str, app: &App) -> Option<String> {
    let env = app.env;
    let store = SecretStore::open(&app.state_dir, &env).ok()?;
    let names = store.names().ok()?;
    names.into_iter().find(|name| {
        let value = store.get(name);
        let stands = |secret: &Secret| {
            let value = secret.expose();
            value.chars().count() >= CHARS_MIN
                && said.iter().any(|text| text.contains(value))
                && !heard.contains(value)
        };
        value.as_ref().is_ok_and(stands)
    })
}
