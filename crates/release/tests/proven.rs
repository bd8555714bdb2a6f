//! What is signed of a candidate's way: what it was made of, what the gates said and for how long, how its rollout ended.

use instar_protocol::{ObjectHash, Timestamp};
use instar_release::gate::{Asked, Autonomy, Finding, Gate, Outcome, Step};
use instar_release::sign::{Envelope, SignError};
use instar_release::{Signer, read_deltas};
use serde_json::{Value, json};

use crate::traffic::{House, Rates, plan};

const DAY: u64 = 24 * 60 * 60 * 1_000;

fn signer() -> Signer {
    Signer::of_seed(&[1; 32]).unwrap()
}

impl House {
    fn later(&self, millis: u64) -> Timestamp {
        Timestamp::from_millis(self.now + millis)
    }

    /// All gates have passed, and the owner has said yes.
    async fn passed(&self, candidate: &str, asked: Asked) {
        let releases = &self.releases;
        let checking = releases.check_candidate(candidate, |_| Vec::new(), &[], asked);
        let checking = checking.await.unwrap();
        for gate in [Gate::Evals, Gate::RedTeam] {
            let finding = Finding::pass("no case got worse");
            let signed = releases.attest(&checking, gate, finding, asked);
            signed.await.unwrap();
        }
        let approved = releases.approve_candidate(candidate, "owner", &[], asked);
        approved.await.unwrap();
    }

    async fn may(&self, candidate: &str, at: Timestamp) -> (Step, Vec<String>) {
        let candidate = self.releases.candidate(candidate).await.unwrap();
        let table = self
            .releases
            .gates(&candidate, Autonomy::default(), &[], at);
        let table = table.await.unwrap();
        let whys = table.rows.iter().map(|row| row.finding.why.clone());
        (table.decision.may, whys.collect())
    }

    /// The newest statement of a kind, as it was signed.
    async fn signed(&self, kind: &str) -> (String, Value) {
        let rows = self.store.envelopes(None).await.unwrap();
        let row = rows.iter().find(|row| row.kind == kind).unwrap();
        let bytes = self.store.object(&row.object).await.unwrap();
        let envelope = Envelope::read(&bytes).unwrap();
        let (payload, _) = envelope.verify(&[signer().public()]).unwrap();
        (
            row.object.to_string(),
            serde_json::from_slice(&payload).unwrap(),
        )
    }

    async fn problems(&self) -> Vec<String> {
        let found = self.releases.verify(&signer(), None, true, &[]).await;
        found.unwrap().problems
    }

    /// What the lineage of a release says of its signed statements of a kind.
    async fn told(&self, release: &str, kind: &str) -> String {
        let at = self.later(0);
        let lineage = self.releases.lineage(release, &signer(), &[], at).await;
        let nodes = lineage.unwrap().nodes;
        let node = nodes.into_iter().find(|node| node.name == kind);
        node.unwrap().says
    }

    fn change(&self, sql: &str) {
        let file = self.folder.path().join("instar.sqlite");
        let connection = rusqlite::Connection::open(file).unwrap();
        connection.execute_batch(sql).unwrap();
    }
}

#[tokio::test]
async fn what_the_gates_said_expires_and_the_candidate_has_to_be_asked_again() {
    let house = House::new().await;
    let one = house.candidate("I am two.").await;
    let asked = Asked {
        at: house.later(0),
        days: 7,
    };
    house.passed(&one, asked).await;
    assert_eq!(house.may(&one, house.later(0)).await.0, Step::Stable);
    let table = house
        .releases
        .gates(
            &house.releases.candidate(&one).await.unwrap(),
            Autonomy::default(),
            &[],
            house.later(0),
        )
        .await
        .unwrap();
    for row in &table.rows {
        let end = row.until.as_deref().unwrap();
        assert!(end.starts_with("2026-11-28T"), "{}: {end}", row.gate.name());
    }
    assert_eq!(
        house.may(&one, house.later(7 * DAY - 1_000)).await.0,
        Step::Stable
    );
    let (may, whys) = house.may(&one, house.later(7 * DAY)).await;
    assert_eq!(may, Step::Nothing);
    assert!(
        whys.iter().all(|why| why.starts_with("it expired at 2026")),
        "{whys:#?}"
    );
    let late = house
        .releases
        .may_go(
            &one,
            Step::Stable,
            Autonomy::default(),
            &[],
            house.later(7 * DAY),
        )
        .await
        .unwrap_err();
    assert!(late.to_string().contains("expired"), "{late}");
    // A gate that speaks again does not make the others hold longer.
    let again = Asked::at(house.later(7 * DAY));
    let checking = house
        .releases
        .check_candidate(&one, |_| Vec::new(), &[], again)
        .await
        .unwrap();
    let (may, whys) = house.may(&one, house.later(7 * DAY)).await;
    assert_eq!(may, Step::Nothing, "{whys:?}");
    assert_eq!(checking.candidate.id, one);
    house.passed(&one, again).await;
    assert_eq!(house.may(&one, house.later(8 * DAY)).await.0, Step::Stable);
    // What expired is no sign that anything was changed.
    assert_eq!(house.problems().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_gate_refused_is_not_forgotten_by_waiting() {
    let house = House::new().await;
    let one = house.candidate("I am two.").await;
    let at = |days: u64| Asked::at(house.later(days * DAY));
    let checking = house
        .releases
        .check_candidate(&one, |_| Vec::new(), &[], at(0))
        .await
        .unwrap();
    let worse = Finding::fail("3 cases got worse");
    let signed = house.releases.attest(&checking, Gate::Evals, worse, at(0));
    signed.await.unwrap();
    // All others are asked again, and the owner says yes.
    house
        .releases
        .check_candidate(&one, |_| Vec::new(), &[], at(29))
        .await
        .unwrap();
    house
        .releases
        .approve_candidate(&one, "owner", &[], at(29))
        .await
        .unwrap();
    for days in [29, 31] {
        assert_eq!(
            house.may(&one, house.later(days * DAY)).await.0,
            Step::Nothing
        );
    }
    let pass = Finding::pass("no case got worse");
    let signed = house.releases.attest(&checking, Gate::Evals, pass, at(31));
    signed.await.unwrap();
    assert_eq!(house.may(&one, house.later(31 * DAY)).await.0, Step::Stable);
}

#[tokio::test]
async fn a_statement_that_says_no_end_counts_for_nothing() {
    let house = House::new().await;
    let one = house.candidate("I am two.").await;
    house.passed(&one, Asked::at(house.later(0))).await;
    let (object, mut statement) = house.signed("gate:evals").await;
    let predicate = statement["predicate"].as_object_mut().unwrap();
    assert!(predicate.remove("urn:instar:expires").is_some());
    let text = instar_policy::canonical::of(&statement).unwrap();
    let endless = Envelope::sign(text.as_bytes(), signer().key());
    let put = house.store.put_object(endless.to_bytes().unwrap()).await;
    let put = put.unwrap();
    house.change(&format!(
        "UPDATE envelopes SET object = '{put}' WHERE object = '{object}'"
    ));
    let (_, whys) = house.may(&one, house.later(0)).await;
    assert!(
        whys.contains(&"it does not say how long it holds: check it again".to_owned()),
        "{whys:?}"
    );
}

#[tokio::test]
async fn the_provenance_names_the_candidate_and_the_digest_of_each_delta() {
    let house = House::new().await;
    let one = house.candidate("I am two.").await;
    house.start(&one, plan(0.5)).await.unwrap();
    let (_, statement) = house.signed("provenance").await;
    let said = &statement["predicate"]["buildDefinition"]["externalParameters"]["candidate"];
    let candidate = house.releases.candidate(&one).await.unwrap();
    let delta = read_deltas(serde_json::to_value(&candidate.spec.deltas).unwrap()).unwrap();
    let text = instar_policy::canonical::of(&delta[0]).unwrap();
    let digest = instar_policy::canonical::sha256(text.as_bytes());
    assert_eq!(said["digest"]["sha256"], json!(one));
    let deltas = said["deltas"].as_array().unwrap();
    assert_eq!(deltas.len(), 1);
    assert_eq!(deltas[0]["digest"]["sha256"], json!(digest));
    assert!(
        deltas[0]["name"].as_str().unwrap().contains("IDENTITY.md"),
        "{said:#}"
    );
}

#[tokio::test]
async fn a_promotion_names_the_gates_and_its_verdict_is_kept() {
    let mut house = House::new().await;
    let one = house.candidate("I am two.").await;
    house.passed(&one, Asked::at(house.later(0))).await;
    let (evals, _) = house.signed("gate:evals").await;
    let begun = house.start(&one, plan(0.5)).await.unwrap();
    let even = Rates {
        stable: 0.0,
        canary: 0.0,
    };
    assert!(house.traffic(even, 2_000).await.is_some());
    let release = begun.release.to_string();
    assert_eq!(house.stable().to_string(), release);

    let (_, summary) = house.signed("adoption").await;
    let predicate = &summary["predicate"];
    assert_eq!(predicate["policy"]["uri"], "urn:instar:checks:gates:v1");
    let gates = predicate["urn:instar:gates"].as_array().unwrap();
    let named = |gate: &str| gates.iter().find(|one| one["gate"] == gate).unwrap();
    assert_eq!(gates.len(), Gate::ALL.len(), "{gates:#?}");
    assert_eq!(named("evals")["outcome"], json!(Outcome::Pass));
    assert_eq!(named("evals")["digest"], json!(evals));
    let inputs = predicate["inputAttestations"].as_array().unwrap();
    assert!(
        inputs
            .iter()
            .any(|one| one["digest"]["sha256"] == json!(evals))
    );

    let (object, verdict) = house.signed("rollout").await;
    assert_eq!(verdict["predicate"]["result"], "PASSED");
    let said = &verdict["predicate"]["urn:instar:rollout"];
    assert_eq!(said["decision"], "promoted");
    assert_eq!(said["candidate"], json!(one));
    assert_eq!(said["level"], json!(begun.plan.level));
    let ended = &house.releases.rollouts(1).await.unwrap()[0];
    let counted = &ended.view.metrics[0];
    assert_eq!(
        (&said["canary"], &said["stable_episodes"]),
        (&json!(counted.canary.units), &json!(counted.stable.units))
    );
    assert_eq!(
        said["sound"]["evidence"],
        json!(ended.view.evidence_sound),
        "{said:#}"
    );
    assert!(said["sound"]["evidence"].as_f64() >= said["sound"]["bound"].as_f64());
    assert_eq!(house.problems().await, Vec::<String>::new());
    assert!(
        house
            .told(&release, "rollout")
            .await
            .starts_with("promoted (by the rollout)")
    );
    assert!(
        house
            .told(&release, "adoption")
            .await
            .contains("; gates: well-formed pass, ")
    );

    // The result of a gate that the summary names is gone: the summary does not hold any more.
    house.change(&format!("DELETE FROM envelopes WHERE object = '{evals}'"));
    let gone = SignError::GateGone("evals").to_string();
    assert!(house.problems().await.iter().any(|one| one.contains(&gone)));
    assert_eq!(
        house.told(&release, "adoption").await,
        format!("refused: {gone}")
    );

    // A byte of the verdict.
    let bytes = house.store.object(&ObjectHash::from_hex(&object)).await;
    let text = String::from_utf8(bytes.unwrap()).unwrap();
    let changed = text.replacen("\"payload\":\"ey", "\"payload\":\"ez", 1);
    assert_ne!(changed, text);
    let put = house.store.put_object(changed.into_bytes()).await.unwrap();
    house.change(&format!(
        "UPDATE envelopes SET object = '{put}' WHERE object = '{object}'"
    ));
    let tampered = SignError::Tampered.to_string();
    assert_eq!(
        house.told(&release, "rollout").await,
        format!("refused: {tampered}")
    );
}

#[tokio::test]
async fn a_candidate_that_was_taken_back_keeps_the_verdict_against_it() {
    let mut house = House::new().await;
    let one = house.candidate("I fail.").await;
    let begun = house.start(&one, plan(0.5)).await.unwrap();
    let bad = Rates {
        stable: 0.02,
        canary: 0.4,
    };
    assert!(house.traffic(bad, 2_000).await.is_some());
    let (_, verdict) = house.signed("rollout").await;
    assert_eq!(verdict["predicate"]["result"], "FAILED");
    let said = &verdict["predicate"]["urn:instar:rollout"];
    assert_eq!(said["decision"], "rolled_back");
    assert!(said["worse"]["evidence"].as_f64() >= said["worse"]["bound"].as_f64());
    let told = house.told(begun.release.as_str(), "rollout").await;
    assert!(
        told.starts_with("rolled_back: the evidence that it is worse"),
        "{told}"
    );
    assert_eq!(house.problems().await, Vec::<String>::new());
}
