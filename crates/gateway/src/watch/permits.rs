//! Calls that ran, judged again by the facts that their receipts keep. Deciding is a plain function of rules and facts, so that under
//! a sound release every call that was let through is let through once more.

use instar_policy::Recorded;
use instar_policy::cedar::Rules;
use instar_protocol::SessionId;
use instar_protocol::tool::ToolDecision;
use instar_store::StoreError;
use serde_json::Value;

use super::Whole;
use crate::app::App;

/// Receipts that are read at once.
const RECEIPTS: usize = 200;

/// The newest receipt that was looked at.
#[derive(Debug, Default)]
pub(super) struct Permits {
    seen: u64,
}

impl Permits {
    /// A call that ran in one of these episodes and that none of these rules lets through. `newest` is the newest
    /// receipt there was before anybody asked which episodes there are.
    pub(super) async fn look(
        &mut self,
        app: &App,
        wholes: &[Whole],
        laws: &[&Rules],
        newest: u64,
    ) -> Result<Option<String>, StoreError> {
        let Some(since) = wholes.iter().map(|whole| whole.episode.since).min() else {
            return Ok(None);
        };
        let mut before = None;
        loop {
            let page = app.store.receipts(None, before, RECEIPTS).await?;
            let fresh = page
                .iter()
                .take_while(|one| one.seq > self.seen && one.at >= since);
            let mut read = 0;
            for receipt in fresh {
                read += 1;
                let is_in = |session: &SessionId| receipt.session.as_ref() == Some(session);
                let is_theirs =
                    |whole: &Whole| whole.spans(receipt.at) && whole.sessions().any(is_in);
                if wholes.iter().any(is_theirs)
                    && let Some(body) = &receipt.body
                    && let Some(what) = unlawful(&receipt.kind, body, laws)
                {
                    return Ok(Some(what));
                }
            }
            if read < RECEIPTS {
                self.seen = self.seen.max(newest);
                return Ok(None);
            }
            before = page.last().map(|one| one.seq);
        }
    }
}

/// What a receipt tells of a call that should not have been made.
fn unlawful(kind: &str, body: &Value, laws: &[&Rules]) -> Option<String> {
    let decision: ToolDecision = serde_json::from_value(body.get("decision")?.clone()).ok()?;
    let facts: Recorded = serde_json::from_value(body.get("facts")?.clone()).ok()?;
    let has_run = kind == "decision" && matches!(decision, ToolDecision::Allowed { .. });
    // Where values were left out nothing can be said.
    if !has_run
        || facts.cut
        || laws
            .iter()
            .any(|rules| facts.judge(rules).outcome() == "allow")
    {
        return None;
    }
    Some(format!(
        "{} was called, and no rule lets that through",
        facts.tool
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_policy::{Posture, Reach, Role};
    use instar_protocol::tool::Effect;
    use instar_protocol::{Label, Readers};
    use serde_json::json;

    fn receipt(decision: &ToolDecision, role: Role, effect: Effect) -> Value {
        json!({
            "decision": decision,
            "facts": {
                "role": role, "person": "", "agent": "main", "tool": "look_up", "connector": "", "effect": effect,
                "reach": Reach::default(), "undoable": false, "posture": Posture::Balanced,
                "context": Label::stranger(Readers::Private), "grade": 0, "needed": 3, "evidenced": false,
                "foreign": false, "cleared": false, "plan": "outside", "verb": false, "standing": false,
                "approved": false, "done": 0, "refused": 0, "values": [],
            },
        })
    }

    #[test]
    fn a_call_that_no_rule_lets_through_is_found_and_what_was_not_made_is_none() {
        let rules = Rules::read(Vec::new()).unwrap();
        let allowed = ToolDecision::Allowed {
            rule: "reads".to_owned(),
        };
        let denied = ToolDecision::Denied {
            rule: "reads".to_owned(),
            reason: "no".to_owned(),
        };
        let told = |kind: &str, body: &Value| unlawful(kind, body, &[&rules]);
        let spent = receipt(&allowed, Role::Owner, Effect::Destroy);
        assert_eq!(
            told("decision", &spent).unwrap(),
            "look_up was called, and no rule lets that through"
        );
        assert_eq!(told("effect", &spent), None);
        let refused = receipt(&denied, Role::Owner, Effect::Destroy);
        assert_eq!(told("decision", &refused), None);
        let read = receipt(&allowed, Role::Owner, Effect::Read);
        assert_eq!(told("decision", &read), None);
        let mut cut = spent;
        cut["facts"]["cut"] = json!(true);
        assert_eq!(told("decision", &cut), None);
    }
}
