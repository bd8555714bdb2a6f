//! Messages that go to a place of their own in the transcript: written anew beside what was said
//! before, or answered once more.
//!
//! The place is judged twice. Before the message is accepted it is looked up, so that a wrong one is
//! refused to its sender's face; entries are never changed, so that what was right stays right. When
//! its turn comes, the owner task goes there: the end of the session moves in memory, and in the
//! store with the first batch of the turn. A turn that leaves nothing leaves the session where it was.

use instar_protocol::event::{BranchReason, ErrorClass, EventKind};
use instar_protocol::live::UserError;
use instar_protocol::message::{Entry, EntryBody, Inbound, Place};
use instar_protocol::{EntryId, Label, SessionId};
use instar_store::{Store, StoreError};

use crate::commands;
use crate::history;
use crate::house::House;
use crate::queue::Waiting;
use crate::record::Record;
use crate::sessions::Sessions;
use crate::submit::SubmitError;
use crate::window::Window;

/// How far up the words are looked for that an entry answers: further than a turn has entries.
const LOOK_UP_MAX: usize = 2_000;

impl Sessions {
    /// Refuses a place that is not in the session of the message. A message that is to be answered
    /// once more becomes what it was: its words, and the standing of who said them.
    pub(crate) async fn place(&self, inbound: &mut Inbound) -> Result<(), SubmitError> {
        let Some(place) = inbound.overrides.place.clone() else {
            return Ok(());
        };
        let store = &self.inner.house.parts.store;
        let row = store.session_by_key(&inbound.session_key).await?;
        let missing = |entry: &EntryId| SubmitError::UnknownEntry(entry.clone());
        match (place, row) {
            (Place::Under { parent: None }, _) => {}
            (
                Place::Under {
                    parent: Some(parent),
                },
                row,
            ) => {
                let row = row.ok_or_else(|| missing(&parent))?;
                let found = entry(store, &row.id, &parent).await?;
                found.ok_or_else(|| missing(&parent))?;
            }
            (Place::Again { entry }, row) => {
                let row = row.ok_or_else(|| missing(&entry))?;
                return again(inbound, question(store, &row.id, &entry).await?);
            }
        }
        if commands::parse(inbound).is_some() && self.inner.house.settings().config.commands.text {
            return Err(SubmitError::Misplaced(
                "a command has no place in the transcript: send it by itself",
            ));
        }
        Ok(())
    }
}

/// Makes a message of the words that are answered once more.
fn again(inbound: &mut Inbound, asked: Entry) -> Result<(), SubmitError> {
    let EntryBody::User {
        parts, principal, ..
    } = asked.body
    else {
        return Err(SubmitError::UnknownEntry(asked.id));
    };
    // Nobody lends the words of another a better standing by asking again, nor takes it from them.
    if !inbound.principal.is_owner() && inbound.principal != principal {
        return Err(SubmitError::Misplaced(
            "only who said it may have it answered once more",
        ));
    }
    inbound.principal = principal;
    inbound.parts = parts;
    inbound.overrides.place = Some(Place::Again { entry: asked.id });
    Ok(())
}

/// What a person said last at or before an entry.
async fn question(
    store: &Store,
    session: &SessionId,
    entry: &EntryId,
) -> Result<Entry, SubmitError> {
    if self::entry(store, session, entry).await?.is_none() {
        return Err(SubmitError::UnknownEntry(entry.clone()));
    }
    let path = store
        .branch(session, Some(entry.clone()), LOOK_UP_MAX)
        .await?;
    path.into_iter()
        .find(|entry| matches!(entry.body, EntryBody::User { .. }))
        .ok_or(SubmitError::Misplaced(
            "nothing was asked there that could be answered once more",
        ))
}

/// An entry of this very session.
pub(crate) async fn entry(
    store: &Store,
    session: &SessionId,
    id: &EntryId,
) -> Result<Option<Entry>, StoreError> {
    let found = store.branch(session, Some(id.clone()), 1).await?;
    Ok(found
        .into_iter()
        .find(|found| &found.id == id && &found.session == session))
}

/// True if the message has no words of its own in the transcript.
pub(crate) fn is_again(inbound: &Inbound) -> bool {
    matches!(inbound.overrides.place, Some(Place::Again { .. }))
}

/// Where the owner task went for a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Went {
    /// The message goes where the session is.
    Nowhere,
    To(Option<EntryId>),
    /// The place is not in the session any more; the session stays where it is.
    Astray,
}

/// Goes where the messages of a turn belong. One with a place has a turn to itself.
pub(crate) async fn go(
    house: &House,
    record: &mut Record,
    window: &mut Window,
    batch: &[Waiting],
) -> Result<Went, StoreError> {
    match batch.first() {
        Some(first) => go_back(house, record, window, &first.inbound).await,
        None => Ok(Went::Nowhere),
    }
}

/// Goes where a message belongs.
pub(crate) async fn go_back(
    house: &House,
    record: &mut Record,
    window: &mut Window,
    inbound: &Inbound,
) -> Result<Went, StoreError> {
    let Some(place) = &inbound.overrides.place else {
        return Ok(Went::Nowhere);
    };
    let leaf = place.leaf().cloned();
    if record.row.leaf == leaf {
        return Ok(Went::Nowhere);
    }
    let store = &house.parts.store;
    if let Some(leaf) = &leaf {
        let found = entry(store, record.session(), leaf).await?;
        let fits = |entry: &Entry| match place {
            Place::Under { .. } => true,
            Place::Again { .. } => matches!(entry.body, EntryBody::User { .. }),
        };
        if !found.as_ref().is_some_and(fits) {
            return Ok(Went::Astray);
        }
    }
    let why = match place {
        Place::Under { .. } => BranchReason::Edit,
        Place::Again { .. } => BranchReason::Retry,
    };
    let (from, to) = (record.move_leaf(leaf.clone()), leaf.clone());
    record.event(Label::owner(), EventKind::Branch { why, from, to });
    *window = history::load(store, &record.row, &house.settings().zone).await?;
    Ok(Went::To(leaf))
}

/// What the sender is told of a message whose place is gone.
pub(crate) fn astray() -> UserError {
    UserError {
        class: ErrorClass::Cancelled,
        message: "The place that this message was for is not in the conversation any more."
            .to_owned(),
        next_step: "Send it again at the end of the conversation.".to_owned(),
    }
}
