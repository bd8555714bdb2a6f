//! How long going back takes: from the owner's word until it is answered, after which the next turn of every conversation
//! is served the release before.

use anyhow::Context;
use instar_protocol::event::EventKind;
use serde_json::{Value, json};
use std::time::Instant;

use crate::house::House;
use crate::report::row;

const ROUNDS: usize = 20;
const MILLIS_MAX: f64 = 100.0;

pub(super) struct Back {
    /// Sorted.
    millis: Vec<f64>,
    /// The next turn of an open conversation was served what was gone back to, each time.
    reached: bool,
}

impl Back {
    /// Goes back and forth between two releases that were stable, and asks in a conversation that is open.
    pub(super) async fn measure(house: &mut House, session: &str) -> anyhow::Result<Self> {
        let mut millis = Vec::new();
        let mut reached = true;
        for number in 0..ROUNDS {
            let begun = Instant::now();
            let asked = json!({"reason": "a bench"});
            let back = house.post("/api/v1/releases/rollback", &asked).await?;
            millis.push(begun.elapsed().as_secs_f64() * 1_000.0);
            house.ask(session, &format!("again {number}")).await?;
            let events = house.events(None).await?;
            let mut turns = events.iter().rev();
            let last = turns.find(|event| matches!(event.kind, EventKind::Turn { .. }));
            let served = last.context("the turn was told")?.release.as_ref();
            reached &= served.is_some_and(|served| back["to"] == json!(served));
        }
        millis.sort_by(f64::total_cmp);
        Ok(Self { millis, reached })
    }

    fn middle(&self) -> f64 {
        self.millis.get(ROUNDS / 2).copied().unwrap_or(f64::NAN)
    }

    fn most(&self) -> f64 {
        self.millis.last().copied().unwrap_or(f64::NAN)
    }

    pub(super) fn met(&self) -> bool {
        self.reached && self.most() < MILLIS_MAX
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "rounds": ROUNDS, "median_ms": self.middle(), "max_ms": self.most(), "reached": self.reached, "met": self.met(),
        })
    }

    pub(super) fn print(&self) {
        row(
            "  going back",
            &format!("{:.1} ms, {:.1} at the most", self.middle(), self.most()),
            "100 ms",
            Some(self.met()),
        );
    }
}
