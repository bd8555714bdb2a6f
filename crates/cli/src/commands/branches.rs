//! `instar sessions branches`, `switch`, `retry` and `fork`: ways on from what was said.

use instar_protocol::EntryId;
use instar_protocol::api::{BranchList, Done, ForkSession, ForkedSession, Retry, Switch};
use instar_protocol::message::EntryBody;

use super::events::escape;
use super::{agent, offline, sessions};
use crate::context::Context;
use crate::failure::{Code, Failure};
use crate::out::{Style, ago, visible};

/// The most characters of what was said last on a branch.
const HEADLINE_CHARS: usize = 60;

pub(super) async fn list(session: &str, limit: usize, run: &Context) -> anyhow::Result<()> {
    let list: BranchList = match offline::live(run).await? {
        Some(client) => {
            let path = path(session, &format!("branches?limit={limit}"));
            client.get(&path).await?
        }
        None => offline::branches(run, session, limit).await?,
    };
    if run.out.json() {
        return run.out.value(&list);
    }
    if list.branches.is_empty() {
        run.out.note("nothing was said in this conversation");
        return Ok(());
    }
    let now = run.now();
    let rows: Vec<Vec<(Style, String)>> = list
        .branches
        .iter()
        .map(|branch| {
            let headline = visible(&branch.headline);
            vec![
                (Style::Good, if branch.active { "*" } else { "" }.to_owned()),
                (
                    Style::Plain,
                    headline.chars().take(HEADLINE_CHARS).collect(),
                ),
                (Style::Plain, branch.messages.to_string()),
                (Style::Faint, ago(branch.updated_at, now)),
                (Style::Faint, visible(branch.leaf.as_str())),
            ]
        })
        .collect();
    run.out
        .table(&["", "said last", "messages", "written", "end"], &rows);
    if list.cut {
        run.out.note("there are more: ask for them with --limit");
    }
    Ok(())
}

pub(super) async fn switch(session: &str, entry: &str, run: &Context) -> anyhow::Result<()> {
    let to = Switch {
        entry: EntryId::from_stored(entry),
    };
    let done: Done = run.client()?.post(&path(session, "switch"), &to).await?;
    sessions::changed(&done, "the conversation goes on on that branch", run)
}

pub(super) async fn retry(session: &str, entry: Option<&str>, run: &Context) -> anyhow::Result<()> {
    let entry = match entry {
        Some(entry) => EntryId::from_stored(entry),
        None => last_message(session, run).await?,
    };
    let body = Retry {
        entry,
        idempotency_key: None,
        model: None,
    };
    agent::follow(&path(session, "retry"), &body, run).await
}

/// The last thing that a person said in a conversation.
async fn last_message(session: &str, run: &Context) -> anyhow::Result<EntryId> {
    let detail = sessions::detail(session, run).await?;
    let is_message = |body: &EntryBody| matches!(body, EntryBody::User { .. });
    let last = detail.entries.into_iter().rev();
    match last.into_iter().find(|entry| is_message(&entry.body)) {
        Some(entry) => Ok(entry.id),
        None => Err(Failure::new(Code::NotFound, "nothing was asked there yet")
            .next("`instar agent --message ...` asks something")
            .into()),
    }
}

pub(super) async fn fork(session: &str, entry: &str, run: &Context) -> anyhow::Result<()> {
    let body = ForkSession {
        entry: EntryId::from_stored(entry),
    };
    let forked: ForkedSession = run.client()?.post(&path(session, "fork"), &body).await?;
    if run.out.json() {
        return run.out.value(&forked);
    }
    run.out.line(&visible(&forked.key));
    if let Some(text) = &forked.text {
        run.out.note(&format!("cut off before: {}", visible(text)));
    }
    Ok(())
}

fn path(session: &str, rest: &str) -> String {
    format!("/api/v1/sessions/{}/{rest}", escape(session))
}
