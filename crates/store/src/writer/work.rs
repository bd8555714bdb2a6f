//! What the writer is asked to do, and what became of it.

use instar_protocol::Timestamp;
use instar_protocol::event::Event;
use instar_protocol::message::Inbound;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::error::StoreError;
use crate::op::{Accepted, Op, Retention};

pub(super) type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// What the writer is asked to do.
#[derive(Debug)]
pub(crate) enum Work {
    Accept(Box<Inbound>, Box<Event>, Reply<Accepted>),
    Commit(Vec<Op>, Reply<()>),
    /// May wait for company; nobody waits for the answer.
    Lazy(Vec<Op>),
    Maintain(Timestamp, Retention, Reply<u64>),
    Close(Reply<()>),
}

/// Work with its place in the queue, which is free again when the work is done.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) work: Work,
    pub(crate) place: Option<OwnedSemaphorePermit>,
}

/// Work that was tried, with who waits for it.
pub(super) enum Outcome {
    Accept(Result<Accepted, StoreError>, Reply<Accepted>),
    Commit(Result<(), StoreError>, Reply<()>),
    Lazy(Result<(), StoreError>),
    Maintain(Result<u64, StoreError>, Reply<u64>),
}

impl Work {
    pub(super) fn failed(self, error: StoreError) -> Outcome {
        match self {
            Self::Accept(_, _, reply) => Outcome::Accept(Err(error), reply),
            Self::Commit(_, reply) | Self::Close(reply) => Outcome::Commit(Err(error), reply),
            Self::Lazy(_) => Outcome::Lazy(Err(error)),
            Self::Maintain(_, _, reply) => Outcome::Maintain(Err(error), reply),
        }
    }
}

impl Outcome {
    pub(super) fn error(&self) -> Option<&StoreError> {
        match self {
            Self::Accept(result, _) => result.as_ref().err(),
            Self::Commit(result, _) | Self::Lazy(result) => result.as_ref().err(),
            Self::Maintain(result, _) => result.as_ref().err(),
        }
    }

    pub(super) fn failed(self, error: StoreError) -> Self {
        match self {
            Self::Accept(_, reply) => Self::Accept(Err(error), reply),
            Self::Commit(_, reply) => Self::Commit(Err(error), reply),
            Self::Lazy(_) => Self::Lazy(Err(error)),
            Self::Maintain(_, reply) => Self::Maintain(Err(error), reply),
        }
    }

    /// Answers; a batch that was applied fails with the group's commit.
    pub(super) fn send(self, group: Option<&StoreError>) {
        let done = match group {
            Some(error) if self.error().is_none() => self.failed(error.again()),
            _ => self,
        };
        match done {
            Self::Accept(result, reply) => answer(reply, result),
            Self::Commit(result, reply) => answer(reply, result),
            Self::Maintain(result, reply) => answer(reply, result),
            Self::Lazy(Ok(())) => {}
            Self::Lazy(Err(error)) => tracing::warn!(%error, "a lazy batch was not stored"),
        }
    }
}

pub(super) fn answer<T>(reply: Reply<T>, result: Result<T, StoreError>) {
    // Who asked may have gone; what was committed stays committed.
    drop(reply.send(result));
}

/// Takes the request to close out of the group; what came after it is refused.
pub(super) fn take_close(group: &mut Vec<Job>) -> Option<Reply<()>> {
    let at = group
        .iter()
        .position(|job| matches!(job.work, Work::Close(_)))?;
    for late in group.drain(at + 1..) {
        late.work.failed(StoreError::Closed).send(None);
    }
    match group.pop()?.work {
        Work::Close(reply) => Some(reply),
        Work::Accept(..) | Work::Commit(..) | Work::Lazy(_) | Work::Maintain(..) => None,
    }
}
