//! Whom the owner wrote to first: kept once his message went out, and known from then on.

use instar_policy::{Evidence, Kind, Typed};
use instar_protocol::Timestamp;
use instar_protocol::contact::Contact;
use instar_protocol::receipt::{Receipt, ReceiptKind};
use instar_store::Op;
use serde_json::{Value, json};

use crate::asking::salt;
use crate::driver::Turn;

impl Turn {
    /// What keeps these people, with a receipt for each: it widens what passes without a question.
    pub(crate) fn meet(&self, tool: &str, people: &[Typed]) -> Vec<Op> {
        let met = people.iter().filter_map(|person| {
            Some(Contact {
                kind: name_of(person.kind)?,
                text: person.form.clone(),
                tool: tool.to_owned(),
                session: self.record.session().clone(),
                run: self.run.clone(),
                at: self.house.now(),
            })
        });
        met.flat_map(|contact| {
            let body =
                json!({ "what": "met", "kind": contact.kind, "who": contact.text, "tool": tool });
            let receipt = self.record.receipt_of(ReceiptKind::Contact, body);
            [Op::MeetContact(contact), Op::AppendReceipt(receipt)]
        })
        .collect()
    }
}

/// What forgets somebody, with its receipt.
#[must_use]
pub fn forgotten(contact: Contact, at: Timestamp) -> Vec<Op> {
    let body = json!({ "what": "forgotten", "kind": contact.kind, "who": contact.text });
    let receipt = Receipt {
        at,
        kind: ReceiptKind::Contact,
        session: None,
        run: None,
        body,
        salt: salt(),
    };
    let text = contact.text;
    vec![Op::ForgetContact { text }, Op::AppendReceipt(receipt)]
}

/// Adds the people who are known to what a run has seen.
pub fn know(evidence: &mut Evidence, contacts: &[Contact]) {
    for contact in contacts {
        if let Ok(kind) = serde_json::from_value::<Kind>(json!(contact.kind)) {
            evidence.contact(kind, &contact.text);
        }
    }
}

fn name_of(kind: Kind) -> Option<String> {
    match serde_json::to_value(kind) {
        Ok(Value::String(name)) => Some(name),
        _ => None,
    }
}
