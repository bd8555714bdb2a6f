//! Small values that the tests store.

use instar_protocol::amend::{EditState, NoteEdit, NoteRef};
use instar_protocol::approval::{Question, QuestionState};
use instar_protocol::contact::Contact;
use instar_protocol::event::{Arm, Event, EventKind, GatewayFact};
use instar_protocol::fault::{Fault, FaultEdit, Occasions, SignalKind};
use instar_protocol::label::Label;
use instar_protocol::letter::{Letter, LetterKind, LetterState};
use instar_protocol::memory::NoteState;
use instar_protocol::message::{
    Entry, EntryBody, Inbound, NoticeKind, OnRestart, Outbox, OutboxState, Overrides, Part,
};
use instar_protocol::principal::{Principal, Via};
use instar_protocol::receipt::{Receipt, ReceiptKind};
use instar_protocol::{
    AgentId, EntryId, EventId, InboundId, LetterId, ObjectHash, OutboxId, QuestionId, Readers,
    ReleaseId, RunId, SessionId, SessionKey, Timestamp,
};
use instar_store::{
    CandidateRow, CandidateState, DeviceRow, DeviceToken, EnvelopeRow, FaultRow, HealingRow,
    NoteRow, Op, Options, ProgramRun, RolloutRow, SessionRow, Store, UnitRow,
};
use tempfile::TempDir;

pub(crate) fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

pub(crate) fn store() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    (folder, store)
}

pub(crate) fn open(folder: &TempDir) -> Store {
    Store::open(&folder.path().join("state"), Options::default()).unwrap()
}

pub(crate) fn key(name: &str) -> SessionKey {
    SessionKey::parse(&format!("agent:main:{name}")).unwrap()
}

pub(crate) fn session_id(number: u64) -> SessionId {
    SessionId::from_stored(format!("ses_{number:08}"))
}

pub(crate) fn entry_id(number: u64) -> EntryId {
    EntryId::from_stored(format!("ent_{number:08}"))
}

pub(crate) fn run(number: u64) -> RunId {
    RunId::from_stored(format!("run_{number:08}"))
}

pub(crate) fn session(number: u64) -> SessionRow {
    SessionRow {
        id: session_id(number),
        key: key(&format!("chat{number}")),
        agent: AgentId::main(),
        title: Some(format!("Talk {number}")),
        created_at: at(number),
        updated_at: at(number),
        leaf: None,
        model: None,
        deleted_at: None,
        entries: 0,
        input_tokens: 0,
        output_tokens: 0,
        cost_micros: 0,
        parent: Some(key("chat0")),
    }
}

pub(crate) fn entry(session: u64, number: u64, parent: Option<u64>) -> Entry {
    Entry {
        id: entry_id(number),
        parent: parent.map(entry_id),
        session: session_id(session),
        at: at(number),
        run: Some(run(number / 2)),
        label: Label::owner(),
        body: EntryBody::Notice {
            kind: NoticeKind::Command,
            text: format!("entry {number}"),
        },
    }
}

pub(crate) fn reset(session: u64, number: u64, parent: Option<u64>) -> Entry {
    Entry {
        body: EntryBody::Reset {
            reason: "new".to_owned(),
        },
        ..entry(session, number, parent)
    }
}

pub(crate) fn event(number: u64) -> Event {
    Event {
        session: number.is_multiple_of(2).then(|| session_id(number % 4)),
        ..Event::of_house(
            EventId::from_stored(format!("evt_{number:08}")),
            at(number),
            if number.is_multiple_of(3) {
                EventKind::Gateway {
                    what: GatewayFact::Stopping,
                }
            } else {
                EventKind::Compaction {
                    tokens_before: number,
                    tokens_after: 1,
                }
            },
        )
    }
}

pub(crate) fn inbound(number: u64, idempotency_key: Option<&str>) -> Inbound {
    Inbound {
        id: InboundId::from_stored(format!("inb_{number:08}")),
        session_key: key("chat"),
        principal: Principal::Owner { via: Via::Token },
        received_at: at(number),
        surface: "web".to_owned(),
        idempotency_key: idempotency_key.map(str::to_owned),
        parts: vec![Part::text(format!("hello {number}"))],
        on_restart: OnRestart::Resume,
        overrides: Overrides::default(),
    }
}

pub(crate) fn outbox(number: u64) -> Outbox {
    Outbox {
        id: OutboxId::from_stored(format!("out_{number:08}")),
        session: session_id(1),
        run: run(number),
        surface: "web".to_owned(),
        idempotency_key: format!("key-{number}"),
        text: format!("reply {number}"),
        state: OutboxState::Pending,
        at: at(number),
    }
}

pub(crate) fn device(n: u64) -> DeviceRow {
    DeviceRow {
        id: format!("device{n}"),
        public_key: format!("key{n}"),
        role: "operator".to_owned(),
        scopes: vec!["operator.read".to_owned()],
        name: None,
        about: serde_json::json!({ "platform": "linux" }),
        approved_by: "owner".to_owned(),
        created_at: at(n),
        approved_at: at(n),
        last_seen_at: None,
    }
}

pub(crate) fn device_token(n: u64) -> DeviceToken {
    DeviceToken {
        device: format!("device{n}"),
        digest: format!("digest{n}"),
        scopes: vec!["operator.read".to_owned()],
        created_at: at(n),
    }
}

pub(crate) fn question(number: u64) -> Question {
    Question {
        id: QuestionId::from_stored(format!("ask_{number:08}")),
        digest: "d".repeat(64),
        session: session_id(1),
        key: key("chat1"),
        run: run(1),
        agent: AgentId::main(),
        principal: Principal::Owner { via: Via::Token },
        release: instar_protocol::ReleaseId::from_hex("1".repeat(64)),
        call: instar_protocol::tool::ToolCall {
            id: "call".to_owned(),
            name: "send".to_owned(),
            arguments: serde_json::json!({"to": "a"}),
        },
        effect: instar_protocol::tool::Effect::Send,
        context: Label::owner(),
        arguments: Vec::new(),
        touches: vec!["a".to_owned()],
        why: vec!["posture-careful".to_owned()],
        always: None,
        facts: serde_json::Value::Null,
        asked_at: at(number),
        expires_at: at(number + 1000),
        state: QuestionState::Open,
        answer: None,
    }
}

pub(crate) fn receipt(number: u64) -> Receipt {
    Receipt {
        at: at(number),
        kind: ReceiptKind::Decision,
        session: Some(session_id(1)),
        run: Some(run(1)),
        body: serde_json::json!({"tool": "read", "number": number}),
        salt: [7; 16],
    }
}

pub(crate) fn candidate(number: u64) -> CandidateRow {
    CandidateRow {
        id: ObjectHash::from_hex("3".repeat(64)),
        release: instar_protocol::ReleaseId::from_hex("4".repeat(64)),
        state: CandidateState::Open,
        at: at(number),
        settled_at: None,
        said: 0,
    }
}

pub(crate) fn envelope(number: u64) -> EnvelopeRow {
    EnvelopeRow {
        release: instar_protocol::ReleaseId::from_hex("1".repeat(64)),
        kind: "provenance".to_owned(),
        object: ObjectHash::from_hex("5".repeat(64)),
        at: at(number),
    }
}

pub(crate) fn move_stable(number: u64) -> Op {
    Op::MoveAlias {
        alias: "stable".to_owned(),
        to: instar_protocol::ReleaseId::from_hex(format!("{number:064}")),
        reason: format!("move {number}"),
        by: "owner".to_owned(),
        at: at(number),
    }
}

pub(crate) fn program(number: u64) -> ProgramRun {
    ProgramRun {
        id: format!("prg_{number}"),
        agent: "main".to_owned(),
        session: session_id(1),
        began: 10 * number,
        ended: None,
        label: Label::owner(),
        present: ["AGENTS.md".to_owned()].into(),
    }
}

pub(crate) fn rollout(number: u64) -> RolloutRow {
    RolloutRow {
        id: format!("rol_{number}"),
        is_open: true,
        coin: [7; 32],
        at: at(number),
        ended_at: None,
        notes: NoteState::Open,
        body: "{}".to_owned(),
    }
}

pub(crate) fn note(number: u64) -> NoteRow {
    NoteRow {
        id: format!("{number:010}"),
        rollout: "rol_1".to_owned(),
        release: ReleaseId::from_hex("1".repeat(64)),
        agent: AgentId::main(),
        session: session_id(1),
        run: run(1),
        day: "2026-11-21".to_owned(),
        time: "14:03".to_owned(),
        text: "the boat is Ida".to_owned(),
        label: Label::stranger(Readers::Private),
        state: NoteState::Open,
        at: at(number),
    }
}

pub(crate) fn contact(number: u64) -> Contact {
    Contact {
        kind: "address".to_owned(),
        text: format!("person{number}@example.org"),
        tool: "mail_send".to_owned(),
        session: session_id(1),
        run: run(1),
        at: at(number),
    }
}

pub(crate) fn note_edit(number: u64) -> NoteEdit {
    NoteEdit {
        id: format!("edt_{number}"),
        agent: AgentId::main(),
        fault: "flt_1".to_owned(),
        gene: "amend-note".to_owned(),
        why: "two of two answers were corrected".to_owned(),
        note: NoteRef {
            path: "memory/2026-11-21.md".to_owned(),
            digest: "1".repeat(64),
        },
        turns: 2,
        corrected: 2,
        text: "the boat is Ida".to_owned(),
        origin: "owner".to_owned(),
        state: EditState::Proposed,
        at: at(number),
        who: None,
        decided_at: None,
        inverse: None,
    }
}

pub(crate) fn unit(number: u64) -> UnitRow {
    UnitRow {
        id: format!("epi_{number}"),
        rollout: "rol_1".to_owned(),
        session: session_id(number),
        arm: Arm::Canary,
        share: 0.5,
        at: at(number),
        closed_at: None,
        settled_at: None,
        bad: None,
    }
}

pub(crate) fn letter(number: u64) -> Letter {
    Letter {
        id: LetterId::from_stored(format!("let_{number}")),
        kind: LetterKind::Question,
        session: session_id(1),
        key: key("chat1"),
        run: run(1),
        agent: AgentId::main(),
        label: Label::owner(),
        text: "When?".to_owned(),
        options: vec!["now".to_owned()],
        facts: serde_json::Value::Null,
        at: at(number),
        expires_at: Some(at(number + 10)),
        state: LetterState::Open,
        reply: None,
    }
}

pub(crate) fn fault(number: u64) -> FaultRow {
    let place = "tool:fetch".to_owned();
    let mut fault = Fault::new(
        format!("flt_{number}"),
        SignalKind::Timeout,
        place,
        at(number),
    );
    fault.template = "no answer from <*>".to_owned();
    fault.happened(&event(number), "no answer from x");
    FaultRow {
        fault,
        into: None,
        is_apart: false,
        name: String::new(),
        is_muted: false,
    }
}

pub(crate) fn healing() -> HealingRow {
    HealingRow {
        kind: "trial".to_owned(),
        id: "fix/main/again/1".to_owned(),
        at: at(1),
        body: "{}".to_owned(),
    }
}

pub(crate) fn occasions() -> Occasions {
    Occasions {
        place: "tool:fetch".to_owned(),
        count: 3,
        ..Occasions::default()
    }
}

pub(crate) fn edit() -> FaultEdit {
    FaultEdit::Name {
        fault: "flt_1".to_owned(),
        name: "slow".to_owned(),
    }
}
