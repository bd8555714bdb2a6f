//! Questions, standing rules and receipts, read from the store. Like [`super::queries`] they need no
//! running gateway.

use instar_protocol::approval::QuestionState;
use instar_protocol::approvals::{QuestionList, ReceiptPage, RuleList, ShownQuestion, ShownRule};
use instar_protocol::letter::{LetterList, LetterState, ShownLetter};
use instar_protocol::receipt::{ChainHead, ChainReport};
use instar_protocol::{QuestionId, Timestamp};
use instar_store::Store;
use serde::Deserialize;

use super::queries::{PAGE, PAGE_MAX, QueryError, find_session};

/// Which questions to list. Also the query string of `GET /approvals`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct QuestionsQuery {
    /// A state, `answered` for all that are not open, or `all`; those that are open when absent.
    pub state: Option<String>,
    pub limit: Option<usize>,
}

/// Which letters to list. Also the query string of `GET /inbox`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LettersQuery {
    /// `settled` for all that are not open, or `all`; those that are open when absent.
    pub state: Option<String>,
    pub limit: Option<usize>,
}

/// Which receipts to list. Also the query string of `GET /audit/receipts`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReceiptsQuery {
    /// Key or id of a conversation.
    pub session: Option<String>,
    /// Only those before this number.
    pub before: Option<u64>,
    pub limit: Option<usize>,
}

/// The query string of `GET /audit/chain`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainQuery {
    /// An end of the chain that was noted earlier, `NUMBER:HASH`.
    pub noted: Option<String>,
}

/// Open questions oldest first, others newest first.
pub async fn questions(
    store: &Store,
    query: &QuestionsQuery,
    now: Timestamp,
) -> Result<QuestionList, QueryError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut open = store
        .questions(Some(QuestionState::Open), None, PAGE_MAX)
        .await?;
    // What has run out is a no, whether or not it was written down yet.
    open.retain(|question| now < question.expires_at);
    let waiting = open.len();
    let mut found = match query.state.as_deref() {
        None | Some("open") => open,
        Some("all") => store.questions(None, None, limit).await?,
        Some("answered") => {
            let mut all = store.questions(None, None, limit + PAGE_MAX).await?;
            all.retain(|question| question.state != QuestionState::Open);
            all
        }
        Some(name) => {
            let state = QuestionState::parse(name).ok_or_else(|| QueryError::Invalid {
                param: "state",
                why: "open, approved, used, denied, expired, void, answered or all".to_owned(),
            })?;
            store.questions(Some(state), None, limit).await?
        }
    };
    found.truncate(limit);
    Ok(QuestionList {
        questions: found.iter().map(ShownQuestion::of).collect(),
        open: waiting,
        agreed: None,
    })
}

/// The newest first.
pub async fn letters(
    store: &Store,
    query: &LettersQuery,
    now: Timestamp,
) -> Result<LetterList, QueryError> {
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut open = store
        .letters(Some(LetterState::Open), None, PAGE_MAX)
        .await?;
    // What has run out does not wait, whether or not it was written down yet.
    open.retain(|letter| letter.waits_at(now));
    let waiting = open.len();
    let mut found = match query.state.as_deref() {
        None | Some("open") => open,
        Some("all") => store.letters(None, None, limit).await?,
        Some("settled") => {
            let mut all = store.letters(None, None, limit + PAGE_MAX).await?;
            all.retain(|letter| !letter.waits_at(now));
            all
        }
        Some(_) => {
            return Err(QueryError::Invalid {
                param: "state",
                why: "open, settled or all".to_owned(),
            });
        }
    };
    found.truncate(limit);
    Ok(LetterList {
        letters: found.iter().map(ShownLetter::of).collect(),
        open: waiting,
    })
}

pub async fn question(store: &Store, id: &str) -> Result<ShownQuestion, QueryError> {
    let found = store.question(&QuestionId::from_stored(id)).await?;
    found
        .as_ref()
        .map(ShownQuestion::of)
        .ok_or_else(|| QueryError::NotFound {
            what: "question",
            name: id.to_owned(),
        })
}

/// The newest first, dead ones included.
pub async fn rules(store: &Store, now: Timestamp) -> Result<RuleList, QueryError> {
    let rules = store.rules().await?.into_iter();
    Ok(RuleList {
        rules: rules.map(|rule| ShownRule::of(rule, now)).collect(),
    })
}

pub async fn receipts(store: &Store, query: &ReceiptsQuery) -> Result<ReceiptPage, QueryError> {
    let session = match &query.session {
        Some(name) => Some(find_session(store, name).await?.id),
        None => None,
    };
    let limit = query.limit.unwrap_or(PAGE).clamp(1, PAGE_MAX);
    let mut receipts = store
        .receipts(session.as_ref(), query.before, limit + 1)
        .await?;
    let is_more = receipts.len() > limit;
    receipts.truncate(limit);
    let next = receipts.last().map(|last| last.seq).filter(|_| is_more);
    Ok(ReceiptPage { receipts, next })
}

/// Goes through the whole chain.
pub async fn chain(store: &Store, query: &ChainQuery) -> Result<ChainReport, QueryError> {
    let noted = query
        .noted
        .as_deref()
        .map(|text| noted(text, "instar audit head"))
        .transpose()?;
    Ok(store.verify_receipts(noted).await?)
}

/// The end of a chain that somebody noted, as a command prints it.
pub(crate) fn noted(text: &str, printed_by: &str) -> Result<ChainHead, QueryError> {
    let parts = text.split_once(':');
    let head = parts.and_then(|(seq, hash)| {
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit());
        Some(ChainHead {
            seq: seq.parse().ok()?,
            hash: is_hash.then(|| hash.to_ascii_lowercase())?,
        })
    });
    head.ok_or_else(|| QueryError::Invalid {
        param: "noted",
        why: format!("NUMBER:HASH, as `{printed_by}` prints it"),
    })
}
