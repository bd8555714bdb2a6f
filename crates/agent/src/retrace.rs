//! What a stored conversation has seen, for a call that somebody thinks of as its next one.

use instar_policy::suppose::Seen;
use instar_policy::{Authority, Rule};
use instar_protocol::{Label, Timestamp};
use instar_store::{SessionRow, Store, StoreError};
use jiff::tz::TimeZone;
use std::sync::Arc;

use crate::history;
use crate::meeting::know;
use crate::seen::{seen_so_far, words_in};

/// The facts that the next call of this conversation would be judged by, as far as they are stored:
/// its owner's words, what was read in it, and the standing rules. A plan is made when a call comes.
pub async fn retrace(
    store: &Store,
    row: &SessionRow,
    authority: &Authority,
    now: Timestamp,
) -> Result<Seen, StoreError> {
    let window = history::load(store, row, &Arc::new(TimeZone::UTC)).await?;
    let (mut evidence, _words) = seen_so_far(&window, authority, &words_in(&window));
    know(&mut evidence, &store.contacts().await?);
    Ok(Seen {
        evidence,
        context: Label::owner().join(window.label()),
        standing: standing(store, now).await?,
    })
}

/// The standing rules that hold at this time.
pub async fn standing(store: &Store, now: Timestamp) -> Result<Vec<Rule>, StoreError> {
    let rules = store.rules().await?;
    let holding = rules.iter().filter(|rule| rule.holds_at(now));
    Ok(holding.filter_map(|rule| Rule::read(&rule.rule)).collect())
}
