//! Read-only questions over the store and the releases. They need no running gateway: the HTTP API
//! and the command line on a stopped gateway ask the same functions.

use instar_protocol::api::{
    BranchInfo, BranchList, ForkInfo, SessionDetail, SessionInfo, SessionList, UsageReport,
    UsageRow,
};
use instar_protocol::message::{Entry, EntryBody, plain_text};
use instar_protocol::session::{AgentId, KeyError, SessionKey};
use instar_protocol::{EntryId, ReleaseId, SessionId, Timestamp};
use instar_release::{Change, Release, ReleaseError, Releases};
use instar_store::{Fork, SessionFilter, SessionRow, Store, StoreError};
use serde::{Deserialize, Serialize};

use super::export;

/// The most rows of one page.
pub const PAGE_MAX: usize = 500;
/// Rows of a page when nobody says how many.
pub const PAGE: usize = 50;
/// The most entries of a conversation that are shown at once.
pub const ENTRIES_MAX: usize = 2_000;
/// Entries shown when nobody says how many.
pub const ENTRIES: usize = 200;
/// The most days of a usage report.
pub const USAGE_DAYS_MAX: i32 = 400;
/// The most characters of what stands for a branch in a list.
const HEADLINE_CHARS: usize = 120;
/// Entries that an export reads at a time.
const EXPORT_PAGE: usize = 200;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    #[error("there is no {what} {name:?}")]
    NotFound { what: &'static str, name: String },
    #[error("{param}: {why}")]
    Invalid { param: &'static str, why: String },
    /// There is nothing of the kind at all.
    #[error("{0}")]
    Nothing(String),
    /// It cannot be done as things stand.
    #[error("{0}")]
    Conflict(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the releases cannot be read")]
    Release(#[source] ReleaseError),
}

impl QueryError {
    /// What its asker can do; `None` where nothing but the log helps.
    #[must_use]
    pub fn next_step(&self) -> Option<&'static str> {
        match self {
            Self::NotFound {
                what: "release", ..
            } => Some("see them with `instar release list`"),
            Self::NotFound {
                what: "candidate", ..
            } => Some("see them with `instar candidate list`"),
            Self::NotFound { what: "fault", .. } => Some("see them with `instar fault list`"),
            Self::NotFound {
                what: "question", ..
            } => Some("see them with `instar approvals list`"),
            Self::NotFound {
                what: "decision", ..
            } => Some(
                "`instar audit log` shows receipts with their numbers; `instar approvals list --all` shows questions",
            ),
            Self::NotFound {
                what: "rollout", ..
            } => Some("see them with `instar rollout history`"),
            Self::NotFound { .. } => Some("see them with `instar sessions list`"),
            Self::Invalid { .. } => Some("mend it and ask again"),
            Self::Nothing(_) | Self::Conflict(_) | Self::Store(_) | Self::Release(_) => None,
        }
    }
}

/// Which conversations to list. Also the query string of `GET /sessions`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct SessionsQuery {
    pub agent: Option<String>,
    pub search: Option<String>,
    pub deleted: bool,
    pub limit: Option<usize>,
    pub before: Option<u64>,
}

/// Money limits for the usage report, in micro-dollars.
#[derive(Clone, Copy, Debug, Default)]
pub struct Budgets {
    pub day: Option<u64>,
    pub month: Option<u64>,
}

/// One release in a list.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ReleaseRow {
    pub id: ReleaseId,
    pub made_at: Timestamp,
    pub proposer: String,
    pub reason: String,
    pub parents: Vec<ReleaseId>,
    pub authority: String,
    pub code_version: String,
    /// True for the release that the alias `stable` names.
    pub stable: bool,
}

/// One move of an alias.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MoveRow {
    pub at: Timestamp,
    pub alias: String,
    pub from: Option<ReleaseId>,
    pub to: ReleaseId,
    pub by: String,
    pub reason: String,
}

/// Conversations, the latest first.
pub async fn sessions(store: &Store, query: &SessionsQuery) -> Result<SessionList, QueryError> {
    let limit = page("limit", query.limit, PAGE, PAGE_MAX)?;
    let agent = query
        .agent
        .as_deref()
        .map(AgentId::parse)
        .transpose()
        .map_err(|error| invalid("agent", &error))?;
    let search = query.search.clone().filter(|text| !text.trim().is_empty());
    if search.as_ref().is_some_and(|text| text.len() > 200) {
        return Err(QueryError::Invalid {
            param: "search",
            why: "at most 200 bytes".to_owned(),
        });
    }
    let rows = store
        .sessions(SessionFilter {
            agent,
            search,
            deleted: query.deleted,
            limit,
            before: query.before.map(Timestamp::from_millis),
        })
        .await?;
    let next = (rows.len() == limit)
        .then(|| rows.last().map(|row| row.updated_at))
        .flatten();
    Ok(SessionList {
        sessions: rows.iter().map(session_info).collect(),
        next,
    })
}

/// The conversation with this id or under this key.
pub async fn find_session(store: &Store, name: &str) -> Result<SessionRow, QueryError> {
    let missing = || QueryError::NotFound {
        what: "conversation",
        name: name.chars().take(120).collect(),
    };
    if name.starts_with("ses_") {
        let id = SessionId::from_stored(name);
        return store.session(&id).await?.ok_or_else(missing);
    }
    if is_short(name) {
        return short(store, name).await?.ok_or_else(missing);
    }
    let key = SessionKey::parse(name).map_err(|error: KeyError| invalid("session", &error))?;
    store.session_by_key(&key).await?.ok_or_else(missing)
}

/// True for a word that is no key by itself: the end of one.
#[must_use]
pub fn is_short(name: &str) -> bool {
    let may_stand_in_a_key = |c: char| c != ':' && !c.is_whitespace() && !c.is_control();
    !name.is_empty() && name.chars().all(may_stand_in_a_key) && !matches!(name, "main" | "global")
}

/// The one conversation whose key ends with this word.
async fn short(store: &Store, word: &str) -> Result<Option<SessionRow>, QueryError> {
    let filter = SessionFilter {
        search: Some(word.to_owned()),
        limit: PAGE_MAX,
        ..SessionFilter::default()
    };
    let rows = store.sessions(filter).await?.into_iter();
    let mut fits = rows.filter(|row| row.key.as_str().rsplit(':').next() == Some(word));
    match (fits.next(), fits.next()) {
        (Some(_), Some(_)) => Err(QueryError::Invalid {
            param: "session",
            why: format!("more than one conversation ends with {word}: give its whole key"),
        }),
        (found, _) => Ok(found),
    }
}

/// A conversation with the newest entries of its current branch.
pub async fn session_detail(
    store: &Store,
    name: &str,
    limit: Option<usize>,
) -> Result<SessionDetail, QueryError> {
    let limit = page("limit", limit, ENTRIES, ENTRIES_MAX)?;
    let row = find_session(store, name).await?;
    let mut entries = store.branch(&row.id, None, limit + 1).await?;
    let truncated = entries.len() > limit;
    entries.truncate(limit);
    entries.reverse();
    let parents = entries.iter().map(|entry| entry.parent.clone()).collect();
    let forks = store.forks(&row.id, parents).await?;
    Ok(SessionDetail {
        session: session_info(&row),
        entries,
        truncated,
        forks: forks.into_iter().map(fork_info).collect(),
    })
}

fn fork_info(Fork { parent, children }: Fork) -> ForkInfo {
    ForkInfo { parent, children }
}

/// The branches of a conversation, the one that was written last first.
pub async fn branches(
    store: &Store,
    name: &str,
    limit: Option<usize>,
) -> Result<BranchList, QueryError> {
    let limit = page("limit", limit, PAGE, PAGE_MAX)?;
    let row = find_session(store, name).await?;
    let found = store.branches(&row.id, limit).await?;
    let branches = found.branches.into_iter().map(|branch| BranchInfo {
        headline: branch.said.as_ref().map_or_else(String::new, headline),
        leaf: branch.leaf,
        messages: branch.messages,
        updated_at: branch.at,
        active: branch.is_active,
    });
    Ok(BranchList {
        branches: branches.collect(),
        cut: found.is_cut,
    })
}

/// The beginning of what a person said, on one line.
fn headline(entry: &Entry) -> String {
    let EntryBody::User { parts, .. } = &entry.body else {
        return String::new();
    };
    let text = plain_text(parts);
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(HEADLINE_CHARS).collect()
}

/// A conversation as a list shows it. Whether a turn runs is for the caller to add.
#[must_use]
pub fn session_info(row: &SessionRow) -> SessionInfo {
    SessionInfo {
        id: row.id.clone(),
        key: row.key.to_string(),
        agent: row.agent.to_string(),
        title: row.title.clone().unwrap_or_else(|| row.key.to_string()),
        created_at: row.created_at,
        updated_at: row.updated_at,
        model: row.model.clone(),
        entries: row.entries,
        input_tokens: row.input_tokens,
        output_tokens: row.output_tokens,
        cost_micros: row.cost_micros,
        running: false,
        deleted: row.deleted_at.is_some(),
        parent: row.parent.as_ref().map(ToString::to_string),
    }
}

/// Reads a conversation for export, a bounded piece at a time.
#[derive(Debug)]
pub struct Export {
    store: Store,
    row: SessionRow,
    after: Option<EntryId>,
    state: ExportState,
}

#[derive(Debug, PartialEq, Eq)]
enum ExportState {
    Header,
    Entries,
    Done,
}

impl Export {
    #[must_use]
    pub fn new(store: Store, row: SessionRow) -> Self {
        Self {
            store,
            row,
            after: None,
            state: ExportState::Header,
        }
    }

    /// The next lines, each ended by a line feed; `None` after the last.
    pub async fn next(&mut self) -> Result<Option<String>, StoreError> {
        match self.state {
            ExportState::Header => {
                self.state = ExportState::Entries;
                Ok(Some(format!("{}\n", export::header(&self.row))))
            }
            ExportState::Done => Ok(None),
            ExportState::Entries => {
                let entries = self
                    .store
                    .entries(&self.row.id, self.after.clone(), EXPORT_PAGE)
                    .await?;
                if entries.len() < EXPORT_PAGE {
                    self.state = ExportState::Done;
                }
                self.after = entries.last().map(|entry: &Entry| entry.id.clone());
                let mut lines = String::new();
                for entry in &entries {
                    lines.push_str(&export::record(entry).to_string());
                    lines.push('\n');
                }
                Ok((!lines.is_empty()).then_some(lines))
            }
        }
    }
}

/// Spending between two days, both included; the current month when nobody says otherwise. Days are
/// those of the machine's time zone.
pub async fn usage(
    store: &Store,
    from: Option<&str>,
    to: Option<&str>,
    budgets: Budgets,
    now: Timestamp,
) -> Result<UsageReport, QueryError> {
    let zone = jiff::tz::TimeZone::system();
    usage_in(store, (from, to), budgets, now, &zone).await
}

/// The same for days of another time zone: the one that spending was booked in.
pub async fn usage_in(
    store: &Store,
    (from, to): (Option<&str>, Option<&str>),
    budgets: Budgets,
    now: Timestamp,
    zone: &jiff::tz::TimeZone,
) -> Result<UsageReport, QueryError> {
    let today = local_day(now, zone);
    let month = today.first_of_month();
    let to = day("to", to)?.unwrap_or(today);
    let from = day("from", from)?.unwrap_or_else(|| to.first_of_month());
    let span = to
        .since(from)
        .map_err(|error| QueryError::Invalid {
            param: "from",
            why: error.to_string(),
        })?
        .get_days();
    if !(0..USAGE_DAYS_MAX).contains(&span) {
        return Err(QueryError::Invalid {
            param: "from",
            why: format!("from has to be before to, by less than {USAGE_DAYS_MAX} days"),
        });
    }
    let (from, to) = (from.to_string(), to.to_string());
    let rows: Vec<UsageRow> = store
        .spend(&from, &to)
        .await?
        .into_iter()
        .map(|spend| UsageRow {
            day: spend.day,
            agent: spend.agent.to_string(),
            model: spend.model,
            calls: spend.calls,
            input_tokens: spend.input_tokens,
            output_tokens: spend.output_tokens,
            cost_micros: spend.cost_micros,
        })
        .collect();
    let today = today.to_string();
    let this_month = store.spend(&month.to_string(), &today).await?;
    Ok(UsageReport {
        from,
        to,
        cost_micros: rows.iter().map(|row| row.cost_micros).sum(),
        rows,
        day_budget_micros: budgets.day,
        month_budget_micros: budgets.month,
        spent_today_micros: this_month
            .iter()
            .filter(|spend| spend.day == today)
            .map(|spend| spend.cost_micros)
            .sum(),
        spent_month_micros: this_month.iter().map(|spend| spend.cost_micros).sum(),
    })
}

/// The newest releases, the newest first.
pub async fn releases(
    releases: &Releases,
    limit: Option<usize>,
) -> Result<Vec<ReleaseRow>, QueryError> {
    let limit = page("limit", limit, PAGE, PAGE_MAX)?;
    let stable = releases.stable().map(|release| release.id.clone());
    let list = releases.manifests(limit).await.map_err(missing_release)?;
    Ok(list
        .into_iter()
        .map(|manifest| ReleaseRow {
            stable: stable.as_ref() == Some(&manifest.id),
            id: manifest.id,
            made_at: manifest.made_at,
            proposer: manifest.proposer,
            reason: manifest.reason,
            parents: manifest.parents,
            authority: manifest.authority,
            code_version: manifest.code_version,
        })
        .collect())
}

/// Moves of an alias, or of all of them, the newest first.
pub async fn release_log(
    releases: &Releases,
    alias: Option<&str>,
    limit: Option<usize>,
) -> Result<Vec<MoveRow>, QueryError> {
    let limit = page("limit", limit, PAGE, PAGE_MAX)?;
    let log = releases.log(alias, limit).await.map_err(missing_release)?;
    Ok(log
        .into_iter()
        .map(|one| MoveRow {
            at: one.at,
            alias: one.alias,
            from: one.from,
            to: one.to,
            by: one.by,
            reason: one.reason,
        })
        .collect())
}

/// One release by id, unique beginning of an id, alias, or alias some moves back (`stable~1`).
pub async fn release(releases: &Releases, name: &str) -> Result<Release, QueryError> {
    releases.get(name).await.map_err(missing_release)
}

/// What changed from one release to another.
pub async fn release_diff(
    releases: &Releases,
    from: &str,
    to: &str,
) -> Result<Vec<Change>, QueryError> {
    let old = release(releases, from).await?;
    let new = release(releases, to).await?;
    Ok(instar_release::diff(&old.behaviour, &new.behaviour))
}

pub(crate) fn missing_release(error: ReleaseError) -> QueryError {
    match error {
        ReleaseError::Unknown(name) => QueryError::NotFound {
            what: "release",
            name,
        },
        ReleaseError::UnknownCandidate(name) => QueryError::NotFound {
            what: "candidate",
            name,
        },
        ReleaseError::Ambiguous { .. } => invalid("release", &error),
        ReleaseError::Delta { .. } | ReleaseError::Static { .. } => invalid("candidate", &error),
        ReleaseError::ManyCandidates(_) => invalid("candidate", &error),
        ReleaseError::Bundle(_)
        | ReleaseError::Refused { .. }
        | ReleaseError::Tampered { .. }
        | ReleaseError::Decode { .. } => invalid("release", &error),
        ReleaseError::Store(error) => QueryError::Store(error),
        other => QueryError::Release(other),
    }
}

/// A page size within its bounds; out of bounds is an error, not silently another size.
pub fn page(
    param: &'static str,
    asked: Option<usize>,
    usual: usize,
    max: usize,
) -> Result<usize, QueryError> {
    match asked {
        None => Ok(usual),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => Err(QueryError::Invalid {
            param,
            why: format!("{limit} is not between 1 and {max}"),
        }),
    }
}

fn invalid(param: &'static str, error: &dyn std::error::Error) -> QueryError {
    QueryError::Invalid {
        param,
        why: error.to_string(),
    }
}

fn day(param: &'static str, text: Option<&str>) -> Result<Option<jiff::civil::Date>, QueryError> {
    text.map(|text| {
        text.parse().map_err(|_| QueryError::Invalid {
            param,
            why: "a day is written like 2026-11-21".to_owned(),
        })
    })
    .transpose()
}

fn local_day(now: Timestamp, zone: &jiff::tz::TimeZone) -> jiff::civil::Date {
    i64::try_from(now.millis())
        .ok()
        .and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
        .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
        .to_zoned(zone.clone())
        .date()
}

/// The devices that were let in, as the store has them: nobody is connected to it, and who waits is
/// known to a running gateway alone.
pub async fn devices(store: &Store) -> Result<serde_json::Value, QueryError> {
    let paired = crate::control::methods::devices::paired(store, |_| false).await?;
    Ok(serde_json::json!({ "pending": [], "paired": paired }))
}
