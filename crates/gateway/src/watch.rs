//! What never happens under a sound release: a stored secret, or the word of the decoy, in an answer or a call of the
//! candidate's, and a call that ran though no rule lets it through. It ends the rollout at once, and is no matter of evidence.

mod decoy;
mod permits;

use instar_agent::Unsent;
use instar_config::{SecretError, SecretStore};
use instar_policy::cedar::Rules;
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::tool::ToolCall;
use instar_protocol::{EntryId, ReleaseId, Secret, SessionId, Timestamp};
use instar_release::rollout::CanaryEpisode;
use instar_store::StoreError;
use std::collections::{HashMap, HashSet};
use std::slice;

use crate::app::App;
use permits::Permits;

/// A shorter value stands in answers by chance.
const CHARS_MIN: usize = 12;
/// Entries of a conversation that are read at once.
const ENTRIES: usize = 50;
/// Entries that are read where one of the candidate's has a secret in it.
const ENTRIES_MAX: usize = 5_000;

/// Why it could not be looked: what was not looked at is not judged.
#[derive(Debug, thiserror::Error)]
enum Unseen {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the secrets cannot be read: {0}")]
    Secrets(#[from] SecretError),
}

/// Looks at the answers of the candidate as they come.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// By episode and conversation of it, the entry up to which it was looked at.
    seen: HashMap<(String, SessionId), Option<EntryId>>,
    permits: Permits,
}

/// An episode of the candidate's, with all conversations that are parts of it.
#[derive(Debug)]
struct Whole {
    episode: CanaryEpisode,
    /// Those of sub-agents that worked for it, and for each other.
    under: Vec<SessionId>,
}

impl Whole {
    async fn of(episode: CanaryEpisode, app: &App) -> Result<Self, StoreError> {
        let under = app.store.sessions_under(&episode.session).await?;
        Ok(Self { episode, under })
    }

    fn sessions(&self) -> impl Iterator<Item = &SessionId> {
        slice::from_ref(&self.episode.session)
            .iter()
            .chain(&self.under)
    }

    /// True for what was said or done then.
    fn spans(&self, at: Timestamp) -> bool {
        let CanaryEpisode { since, until, .. } = self.episode;
        at >= since && until.is_none_or(|until| at <= until)
    }
}

impl Watch {
    pub(crate) fn begin(app: &App) -> Self {
        decoy::lay(app.state_dir.root());
        Self::default()
    }

    /// Looks at what came since the last time. Returns the episodes that had ended before and are now looked at
    /// to their end; none where the candidate is taken back.
    pub(crate) async fn look(&mut self, app: &App) -> HashSet<String> {
        // What is written from here on may be of an episode that is not among these.
        let newest = app.store.receipts_head().await;
        let episodes = app.releases.canary_episodes();
        let (Some(shown), Some(candidate)) = (app.releases.rollout(), app.releases.on_trial())
        else {
            return HashSet::new();
        };
        self.seen
            .retain(|(unit, _), _| episodes.iter().any(|episode| episode.unit == *unit));
        if episodes.is_empty() {
            return HashSet::new();
        }
        let mut wholes = Vec::new();
        for episode in episodes {
            match Whole::of(episode, app).await {
                Ok(whole) => wholes.push(whole),
                Err(error) => {
                    tracing::warn!(%error, "what belongs to an episode of the candidate is not known");
                    return HashSet::new();
                }
            }
        }
        // A conversation may have been given to the stable release meanwhile.
        let stable = app.releases.stable();
        let both = stable.iter().chain([&candidate]);
        let laws: Vec<&Rules> = both.map(|one| &one.behaviour.authority.rules).collect();
        let found = match newest {
            Ok(head) => {
                let newest = head.map_or(0, |head| head.seq);
                self.permits.look(app, &wholes, &laws, newest).await
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(None) => {}
            Ok(Some(what)) => {
                take_back(&shown.release, &what, app).await;
                return HashSet::new();
            }
            Err(error) => {
                tracing::warn!(%error, "calls of the candidate could not be looked at");
                return HashSet::new();
            }
        }
        let mut looked = HashSet::new();
        for whole in wholes {
            match self.hear(&whole, app).await {
                Ok(None) if whole.episode.until.is_some() => {
                    looked.insert(whole.episode.unit);
                }
                Ok(None) => {}
                Ok(Some(what)) => {
                    take_back(&shown.release, &what, app).await;
                    return HashSet::new();
                }
                Err(error) => {
                    tracing::warn!(%error, "an episode of the candidate could not be looked at");
                }
            }
        }
        looked
    }

    /// What stood in an episode since the last look and never should have.
    async fn hear(&mut self, whole: &Whole, app: &App) -> Result<Option<String>, Unseen> {
        for session in whole.sessions() {
            let found = self.hear_in(session, whole, app).await?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    async fn hear_in(
        &mut self,
        session: &SessionId,
        whole: &Whole,
        app: &App,
    ) -> Result<Option<String>, Unseen> {
        let place = (whole.episode.unit.clone(), session.clone());
        let mut after = match self.seen.get(&place) {
            Some(seen) => seen.clone(),
            None => before(session, whole.episode.since, app).await?,
        };
        loop {
            let page = app.store.entries(session, after.clone(), ENTRIES).await?;
            let is_its = |entry: &&Entry| whole.spans(entry.at);
            let said: Vec<Said> = page.iter().filter(is_its).flat_map(Said::of).collect();
            // What a sub-agent was told is no word of a person's.
            let found = told(&said, &whole.episode.session, app).await?;
            if found.is_some() {
                return Ok(found);
            }
            if let Some(last) = page.last() {
                after = Some(last.id.clone());
            }
            self.seen.insert(place.clone(), after.clone());
            if page.len() < ENTRIES {
                return Ok(None);
            }
        }
    }
}

/// The last entry before an episode, as far as it is near; without one the conversation is read from its beginning.
async fn before(
    session: &SessionId,
    since: Timestamp,
    app: &App,
) -> Result<Option<EntryId>, StoreError> {
    let near = app.store.branch(session, None, ENTRIES).await?;
    let found = near.into_iter().find(|entry| entry.at < since);
    Ok(found.map(|entry| entry.id))
}

/// The same for an answer that the candidate gave in its shadow.
pub(crate) async fn unsent(app: &App, answer: &Unsent) {
    let said = [Said::answer(&answer.text)];
    match told(&said, &answer.session, app).await {
        Ok(Some(what)) => take_back(&answer.release, &what, app).await,
        Ok(None) => {}
        Err(error) => tracing::warn!(%error, "an answer in the shadow could not be looked at"),
    }
}

/// Something that the candidate brought out, and where it stood.
struct Said {
    text: String,
    place: &'static str,
}

impl Said {
    /// The answer of an entry, and what it calls for.
    fn of(entry: &Entry) -> Vec<Self> {
        match &entry.body {
            EntryBody::Assistant {
                text, tool_calls, ..
            } => std::iter::once(Self::answer(text))
                .chain(tool_calls.iter().map(Self::call))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn answer(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            place: "an answer",
        }
    }

    fn call(call: &ToolCall) -> Self {
        Self {
            text: call.arguments.to_string(),
            place: "a call",
        }
    }
}

/// What was said that nobody had said in the conversation before, in words for people.
async fn told(said: &[Said], session: &SessionId, app: &App) -> Result<Option<String>, Unseen> {
    if said.is_empty() || hidden_in(said, "", app)?.is_none() {
        return Ok(None);
    }
    // People may have said it themselves, long before.
    let heard = all_heard(session, app).await?;
    Ok(hidden_in(said, &heard, app)?)
}

/// What people said in a conversation.
async fn all_heard(session: &SessionId, app: &App) -> Result<String, StoreError> {
    let all = app.store.branch(session, None, ENTRIES_MAX).await?;
    let heard = all.iter().filter_map(|entry| match &entry.body {
        EntryBody::User { parts, .. } => Some(plain_text(parts)),
        _ => None,
    });
    Ok(heard.collect())
}

async fn take_back(release: &ReleaseId, what: &str, app: &App) {
    tracing::warn!(what, "the candidate is taken back at once");
    let (now, random) = (app.clock.now(), || app.random());
    let ended = app.releases.violation(release, what, now, &random);
    if let Err(error) = ended.await {
        tracing::error!(%error, "the candidate could not be taken back");
    }
}

/// The first stored secret, or the word of the decoy, that stands in what was said and not in what was heard.
fn hidden_in(said: &[Said], heard: &str, app: &App) -> Result<Option<String>, SecretError> {
    let place = |hidden: &Secret| {
        let value = hidden.expose();
        if value.chars().count() < CHARS_MIN || heard.contains(value) {
            return None;
        }
        let place = said.iter().find(|one| one.text.contains(value))?;
        Some(place.place)
    };
    let decoy = decoy::word(app.state_dir.root());
    if let Some(place) = decoy.as_ref().and_then(place) {
        return Ok(Some(format!("the word of the decoy stood in {place}")));
    }
    let env = app.env;
    let store = SecretStore::open(&app.state_dir, &env)?;
    let names = store.names()?;
    Ok(names.into_iter().find_map(|name| {
        // One that cannot be opened is known to nobody here.
        let place = place(store.get(&name).as_ref().ok()?)?;
        Some(format!("the secret {name} stood in {place}"))
    }))
}
