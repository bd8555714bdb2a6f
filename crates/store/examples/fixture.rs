//! Writes the stored old store of the present schema version:
//! `cargo run -p instar-store --example fixture -- crates/store/tests/fixtures/vN.sqlite`.
//!
//! Run it once, when a version is new, before it is shipped; a fixture of a shipped version is
//! never written again.

#![expect(clippy::unwrap_used, reason = "the values are shared with the tests")]

#[path = "../tests/given.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod given;

use instar_protocol::tool::ToolCall;
use instar_protocol::{AgentId, ObjectHash, ReleaseId};
use instar_store::{Op, SessionPatch, Spend, WebSession};

use given::{
    at, candidate, contact, device, device_token, edit, entry, entry_id, envelope, event, fault,
    healing, inbound, letter, note, note_edit, occasions, outbox, program, question, receipt,
    rollout, run, session, session_id, unit,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let target = std::env::args().nth(1).ok_or("name the file to write")?;
    let (_folder, store) = given::store();
    store.accept(&inbound(1, Some("k")), event(1)).await?;
    store.commit(rows()).await?;
    store.close().await?;
    std::fs::copy(store.path().join("instar.sqlite"), target)?;
    Ok(())
}

fn rows() -> Vec<Op> {
    let release = ReleaseId::from_hex("1".repeat(64));
    vec![
        Op::PutProgramRun(program(1)),
        Op::MeetContact(contact(1)),
        Op::PutCandidate(candidate(1)),
        Op::PutEnvelope(envelope(1)),
        Op::PutLetter(Box::new(letter(1))),
        Op::PutRequest {
            run: run(1),
            body: "{}".to_owned(),
            at: at(1),
        },
        Op::PutFault(Box::new(fault(1))),
        Op::PutOccasions(occasions()),
        Op::EditFaults {
            edit: edit(),
            who: "owner".to_owned(),
            at: at(1),
        },
        Op::PutLabMemory {
            name: "m".to_owned(),
            body: "{}".to_owned(),
        },
        Op::PutLabRun {
            body: "{}".to_owned(),
            at: at(1),
        },
        Op::PutHealing(healing()),
        Op::PutRollout(rollout(1)),
        Op::PutUnit(unit(1)),
        Op::PutNote(Box::new(note(1))),
        Op::PutNoteEdit(Box::new(note_edit(1))),
        Op::PutQuestion(Box::new(question(1))),
        Op::AppendReceipt(receipt(1)),
        Op::AppendReceipt(receipt(2)),
        Op::PutSession(session(1)),
        Op::AppendEntry(entry(1, 1, None)),
        Op::AppendEntry(entry(1, 2, Some(1))),
        Op::PatchSession {
            id: session_id(1),
            patch: SessionPatch {
                leaf: Some(Some(entry_id(2))),
                ..SessionPatch::default()
            },
        },
        Op::PutOutbox(outbox(1)),
        Op::BeginEffect {
            run: run(1),
            session: session_id(1),
            call: ToolCall {
                id: "call".to_owned(),
                name: "send".to_owned(),
                arguments: serde_json::json!({"to": "a"}),
            },
            at: at(1),
        },
        Op::PutRelease {
            id: release.clone(),
            object: ObjectHash::from_hex("2".repeat(64)),
            at: at(1),
        },
        Op::MoveAlias {
            alias: "stable".to_owned(),
            to: release,
            reason: "first".to_owned(),
            by: "owner".to_owned(),
            at: at(1),
        },
        Op::AddSpend(Spend {
            day: "2026-11-21".to_owned(),
            agent: AgentId::main(),
            model: "demo/demo".to_owned(),
            session: session_id(1),
            calls: 1,
            input_tokens: 2,
            output_tokens: 3,
            cost_micros: 4,
        }),
        Op::PutWebSession(WebSession {
            digest: "digest".to_owned(),
            created_at: at(1),
            expires_at: at(2),
            via: "code".to_owned(),
        }),
        Op::PutDevice(device(1)),
        Op::PutDeviceToken(device_token(1)),
    ]
}
