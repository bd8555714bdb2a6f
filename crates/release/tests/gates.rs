//! Gates: what each says, what is signed of it, and what may come of a candidate.

use instar_protocol::{Label, Readers, ReleaseId, Timestamp};
use instar_release::gate::{
    Asked, Autonomy, CheckError, Finding, Gate, Outcome, Row, Said, Step, Table, decide,
};
use instar_release::sign::{PublicKey, minisign, sshsig};
use instar_release::{Candidate, Class, Proposal, Releases, Signer, read_deltas};
use instar_store::{Options, Store};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

use crate::fixture::{behaviour, main_agent};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_286_385_000);
pub(crate) const LATER: Timestamp = Timestamp::from_millis(1_795_286_390_000);

pub(crate) struct House {
    pub(crate) folder: TempDir,
    pub(crate) releases: Releases,
    pub(crate) store: Store,
}

pub(crate) fn signer(seed: u8) -> Signer {
    Signer::of_seed(&[seed; 32]).unwrap()
}

impl House {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), Options::default()).unwrap();
        let releases = Releases::open_signed(store.clone(), signer(1), NOW)
            .await
            .unwrap();
        let house = Self {
            folder,
            releases,
            store,
        };
        house.adopt("# Who\nA helper.\n", "owner", 1).await;
        house
    }

    pub(crate) async fn adopt(&self, text: &str, by: &str, n: u8) -> ReleaseId {
        self.adopt_at(text, by, n, NOW).await
    }

    pub(crate) async fn adopt_at(&self, text: &str, by: &str, n: u8, at: Timestamp) -> ReleaseId {
        let made = self
            .releases
            .adopt(behaviour(text), by, "an edit", at, [n; 10]);
        made.await.unwrap().0
    }

    pub(crate) async fn propose(&self, delta: Value, evidence: Label) -> Candidate {
        let proposal = Proposal {
            from: "stable".to_owned(),
            deltas: read_deltas(delta).unwrap(),
            proposer: "session ses_1".to_owned(),
            reason: "why not".to_owned(),
            evidence,
            sources: Vec::new(),
        };
        self.releases.propose(proposal, NOW).await.unwrap()
    }

    /// All gates that need nothing measured, with solvers that say this.
    pub(crate) async fn check(
        &self,
        candidate: &Candidate,
        says: &'static [&'static str],
    ) -> Table {
        let prover = move |script: &str| {
            let questions = script.matches("(check-sat)").count();
            let said = |word: &&str| Said {
                solver: format!("the one that says {word}"),
                answer: match *word {
                    "late" => Err("it took longer than 90 seconds".to_owned()),
                    "short" => Ok("unsat\n".to_owned()),
                    word => Ok(format!("{word}\n").repeat(questions)),
                },
            };
            says.iter().map(said).collect()
        };
        self.releases
            .check_candidate(&candidate.id, prover, &[], Asked::at(NOW))
            .await
            .unwrap();
        self.table(candidate, &[]).await
    }

    /// The same, and suites that found nothing.
    pub(crate) async fn measured(&self, candidate: &Candidate) {
        let checking =
            self.releases
                .check_candidate(&candidate.id, |_| Vec::new(), &[], Asked::at(NOW));
        let checking = checking.await.unwrap();
        for gate in [Gate::Evals, Gate::RedTeam] {
            let finding = Finding::pass("no case got worse");
            self.releases
                .attest(&checking, gate, finding, Asked::at(NOW))
                .await
                .unwrap();
        }
    }

    pub(crate) async fn table(&self, candidate: &Candidate, owners: &[PublicKey]) -> Table {
        let candidate = self.releases.candidate(&candidate.id).await.unwrap();
        let table = self
            .releases
            .gates(&candidate, Autonomy::default(), owners, NOW);
        table.await.unwrap()
    }
}

pub(crate) fn section(text: &str) -> Value {
    json!({"set_prompt_section": {"agent": "main", "file": "IDENTITY.md", "section": "# Who", "text": text}})
}

fn rules(text: &str) -> Value {
    json!({"rules": {"file": "mine.cedar", "text": text}})
}

pub(crate) fn outcome(table: &Table, gate: Gate) -> Outcome {
    table.row(gate).unwrap().finding.outcome
}

pub(crate) fn why(table: &Table, gate: Gate) -> &str {
    &table.row(gate).unwrap().finding.why
}

#[tokio::test]
async fn a_harmless_candidate_goes_as_far_as_its_class_and_with_a_yes_all_the_way() {
    let house = House::new().await;
    let one = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    let table = house.table(&one, &[]).await;
    assert_eq!(table.rows.len(), Gate::ALL.len());
    assert!(
        table
            .rows
            .iter()
            .all(|row| row.finding.outcome == Outcome::NoData)
    );
    assert_eq!(table.decision.may, Step::Nothing);

    let table = house.check(&one, &[]).await;
    for gate in [
        Gate::WellFormed,
        Gate::Reach,
        Gate::Policy,
        Gate::Secrets,
        Gate::Skills,
    ] {
        assert_eq!(
            outcome(&table, gate),
            Outcome::Pass,
            "{}",
            why(&table, gate)
        );
    }
    assert!(why(&table, Gate::Policy).contains("the same"));
    let evidence = &table.row(Gate::WellFormed).unwrap().finding.evidence;
    assert_eq!(evidence[0], format!("sha256 of the candidate {}", one.id));
    // No data is no pass: nothing goes out by itself, and the sentence says why.
    assert_eq!(table.decision.may, Step::Nothing);
    let needed = table.decision.needed.join("\n");
    assert!(
        needed.contains("evals has no data") && needed.contains("red-team has no data"),
        "{needed}"
    );
    assert!(needed.contains("instar candidate approve"), "{needed}");

    house.measured(&one).await;
    assert_eq!(house.table(&one, &[]).await.decision.may, Step::Shadow);
    let refused = house
        .releases
        .may_go(&one.id, Step::Canary, Autonomy::default(), &[], NOW)
        .await
        .unwrap_err();
    assert!(
        matches!(
            &refused,
            CheckError::NotYet {
                wanted: "canary",
                ..
            }
        ),
        "{refused}"
    );
    let wide = Autonomy {
        b: Step::Stable,
        ..Autonomy::default()
    };
    let table = house
        .releases
        .may_go(&one.id, Step::Stable, wide, &[], NOW)
        .await
        .unwrap();
    assert_eq!((table.class, table.decision.needed.len()), (Class::B, 0));

    // Whoever proposed it is not who approves it.
    let own = house
        .releases
        .approve_candidate(&one.id, "session ses_1", &[], Asked::at(NOW))
        .await;
    assert!(matches!(own.unwrap_err(), CheckError::OwnWord(_)));
    house
        .releases
        .approve_candidate(&one.id, "owner", &[], Asked::at(NOW))
        .await
        .unwrap();
    let table = house.table(&one, &[]).await;
    assert_eq!(table.decision.may, Step::Stable);
    assert_eq!(table.row(Gate::Human).unwrap().by.as_deref(), Some("owner"));
    // And all of it is sound to who verifies everything.
    let found = house
        .releases
        .verify(&signer(1), None, true, &[])
        .await
        .unwrap();
    assert_eq!(found.problems, Vec::<String>::new());
}

#[tokio::test]
async fn text_of_others_asks_and_a_failed_suite_cannot_be_approved() {
    let house = House::new().await;
    let one = house
        .propose(
            section("# Who\nA kind helper.\n"),
            Label::stranger(Readers::Private),
        )
        .await;
    house.measured(&one).await;
    let table = house.table(&one, &[]).await;
    assert_eq!((table.class, table.decision.may), (Class::C, Step::Nothing));
    house
        .releases
        .approve_candidate(&one.id, "owner", &[], Asked::at(NOW))
        .await
        .unwrap();
    assert_eq!(house.table(&one, &[]).await.decision.may, Step::Stable);
    let checking = house
        .releases
        .check_candidate(&one.id, |_| Vec::new(), &[], Asked::at(NOW))
        .await
        .unwrap();
    let finding = Finding::fail("3 of 40 cases got worse").with(["greeting".to_owned()]);
    house
        .releases
        .attest(&checking, Gate::Evals, finding, Asked::at(LATER))
        .await
        .unwrap();
    let table = house.table(&one, &[]).await;
    assert_eq!(table.decision.may, Step::Nothing);
    assert!(table.decision.needed[0].contains("3 of 40 cases got worse"));
}

#[tokio::test]
async fn a_wider_policy_is_refused_with_a_sentence_and_only_a_signature_from_elsewhere_helps() {
    let house = House::new().await;
    let one = house
        .propose(json!({"widen_policy": {"posture": "open"}}), Label::owner())
        .await;
    let table = house.check(&one, &["unsat"]).await;
    assert_eq!(
        (outcome(&table, Gate::Policy), table.class),
        (Outcome::Fail, Class::D)
    );
    assert!(why(&table, Gate::Policy).contains("the posture lets more through"));
    assert_eq!(table.decision.may, Step::Nothing);
    let refused = house
        .releases
        .approve_candidate(&one.id, "owner", &[], Asked::at(NOW))
        .await;
    assert!(matches!(
        refused.unwrap_err(),
        CheckError::NeedsSignature(_)
    ));

    // A key that the gateway does not have signs what the gateway wrote.
    let elsewhere = signer(9);
    let owners = [elsewhere.public()];
    let spoken = house
        .releases
        .statement(one.spec.release.as_str())
        .await
        .unwrap();
    let signature = sshsig::sign(spoken.statement.as_bytes(), elsewhere.key());
    house
        .releases
        .endorse(one.spec.release.as_str(), &signature, &owners, NOW)
        .await
        .unwrap();
    // It counts as long as the key is the owner's.
    assert_eq!(house.table(&one, &[]).await.decision.may, Step::Nothing);
    let table = house.table(&one, &owners).await;
    assert_eq!((table.endorsed, table.decision.may), (true, Step::Stable));

    // So does a key of minisign's, and no other than the one that is named.
    let (theirs, stranger) = (signer(10), signer(11));
    let owners = [theirs.public()];
    let by = |key| minisign::sign(spoken.statement.as_bytes(), key);
    let release = one.spec.release.as_str();
    let foreign = house
        .releases
        .endorse(release, &by(stranger.key()), &owners, NOW)
        .await;
    assert!(
        foreign
            .unwrap_err()
            .to_string()
            .contains("nobody signed it"),
        "a stranger's"
    );
    assert!(!house.table(&one, &owners).await.endorsed);
    let own = house
        .releases
        .endorse(release, &by(theirs.key()), &owners, NOW)
        .await;
    own.unwrap();
    let table = house.table(&one, &owners).await;
    assert_eq!((table.endorsed, table.decision.may), (true, Step::Stable));
}

#[tokio::test]
async fn rules_pass_by_proof_alone_and_whatever_is_no_proof_is_no() {
    let house = House::new().await;
    let first =
        "forbid (principal, action == Action::\"send\", resource) when { context.tainted };\n";
    let other =
        "forbid (principal, action in [Action::\"send\"], resource) unless { !context.tainted };\n";
    let mut stable = behaviour("# Who\nA helper.\n");
    stable.authority.rules =
        instar_policy::cedar::Rules::read(vec![instar_policy::cedar::RuleFile {
            name: "mine.cedar".to_owned(),
            text: first.to_owned(),
        }])
        .unwrap();
    house
        .releases
        .adopt(stable, "owner", "rules", NOW, [7; 10])
        .await
        .unwrap();
    let one = house
        .propose(json!({"widen_policy": rules(other)}), Label::owner())
        .await;
    assert_eq!(one.assessment.class, Class::D);
    for (says, expected, part) in [
        (&["unsat"][..], Outcome::Pass, "proved"),
        (
            &["unsat", "unsat"],
            Outcome::Pass,
            "and the one that says unsat",
        ),
        (&["sat"], Outcome::Fail, "newly passes"),
        (&["unsat", "sat"], Outcome::Fail, "the solvers disagree"),
        (
            &["unsat", "late"],
            Outcome::NoData,
            "longer than 90 seconds",
        ),
        (&["unknown"], Outcome::NoData, "unknown"),
        (&["short"], Outcome::NoData, "ended early"),
        (&[], Outcome::NoData, "there is no solver"),
    ] {
        let table = house.check(&one, says).await;
        assert_eq!(outcome(&table, Gate::Policy), expected, "{says:?}");
        assert!(
            why(&table, Gate::Policy).contains(part),
            "{}",
            why(&table, Gate::Policy)
        );
        let class = if expected == Outcome::Pass {
            Class::B
        } else {
            Class::D
        };
        assert_eq!(table.class, class, "{says:?}");
    }
    // The same text needs none.
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    let plain = house
        .propose(section("# Who\nA kind helper.\n"), Label::owner())
        .await;
    let prover = move |_: &str| {
        *counted.lock().unwrap() += 1;
        Vec::new()
    };
    house
        .releases
        .check_candidate(&plain.id, prover, &[], Asked::at(NOW))
        .await
        .unwrap();
    assert_eq!(*asked.lock().unwrap(), 0);
}

#[tokio::test]
async fn when_stable_moves_on_the_gates_are_asked_again_and_a_candidate_is_rebased_or_made_anew() {
    let house = House::new().await;
    let one = house
        .propose(
            json!({"set_limit": {"agent": "main", "limit": "tool_calls_max", "value": 10}}),
            Label::owner(),
        )
        .await;
    house.measured(&one).await;
    let current = house.releases.rebase_candidate(&one.id, NOW).await;
    assert!(matches!(current.unwrap_err(), CheckError::Current(_)));
    house.adopt("# Who\nAnother helper.\n", "owner", 3).await;
    let table = house.table(&one, &[]).await;
    assert_eq!(table.decision.may, Step::Nothing);
    assert!(table.decision.needed[0].contains("instar candidate rebase"));
    assert!(why(&table, Gate::Evals).contains("check it again"));

    let new = house
        .releases
        .rebase_candidate(&one.id, LATER)
        .await
        .unwrap();
    assert_eq!(new.spec.deltas, one.spec.deltas);
    assert_eq!(new.spec.proposer, one.spec.proposer);
    let old = house.releases.candidate(&one.id).await.unwrap();
    assert_eq!(old.state, instar_store::CandidateState::Withdrawn);
    let after = house.table(&new, &[]).await;
    assert!(
        after
            .rows
            .iter()
            .all(|row| row.finding.outcome == Outcome::NoData)
    );
    assert!(
        house
            .releases
            .check_candidate(&one.id, |_| Vec::new(), &[], Asked::at(NOW))
            .await
            .is_err()
    );

    let mut other = behaviour("# Who\nAnother helper.\n");
    main_agent(&mut other).limits.tool_calls_max = 30;
    house
        .releases
        .adopt(other, "owner", "limits", NOW, [9; 10])
        .await
        .unwrap();
    let conflict = house
        .releases
        .rebase_candidate(&new.id, LATER)
        .await
        .unwrap_err();
    assert!(
        matches!(&conflict, CheckError::Conflict { .. }),
        "{conflict}"
    );
}

#[test]
fn no_data_is_never_a_pass_and_only_what_is_asked_for_is_let_out() {
    let outcomes = [Outcome::Pass, Outcome::Fail, Outcome::NoData];
    let wide = Autonomy {
        a: Step::Stable,
        b: Step::Canary,
        c: Step::Shadow,
    };
    for number in 0..3_usize.pow(8) {
        let rows: Vec<Row> = Gate::ALL
            .into_iter()
            .enumerate()
            .map(|(at, gate)| Row {
                gate,
                finding: Finding {
                    outcome: outcomes[number / 3_usize.pow(u32::try_from(at).unwrap()) % 3],
                    why: "because".to_owned(),
                    evidence: Vec::new(),
                    materials: Vec::new(),
                    reach: Vec::new(),
                },
                at: None,
                by: None,
                until: None,
                is_expired: false,
            })
            .collect();
        let of = |gate: Gate| {
            rows.iter()
                .find(|row| row.gate == gate)
                .unwrap()
                .finding
                .outcome
        };
        let measured = Gate::ALL.into_iter().filter(|gate| *gate != Gate::Human);
        let all_passed = measured.clone().all(|gate| of(gate) == Outcome::Pass);
        let one_failed = measured
            .filter(|gate| *gate != Gate::Policy)
            .any(|gate| of(gate) == Outcome::Fail);
        for class in [Class::A, Class::B, Class::C, Class::D] {
            for endorsed in [false, true] {
                let found = decide(&rows, class, endorsed, wide);
                let by_itself = of(Gate::Human) != Outcome::Pass && !endorsed;
                if found.may > Step::Nothing {
                    assert!(!one_failed);
                    assert!(of(Gate::Policy) == Outcome::Pass || endorsed);
                    assert!(class < Class::D || endorsed);
                    assert!(!by_itself || all_passed);
                    assert!(of(Gate::Human) != Outcome::Fail);
                }
                if by_itself {
                    let most = [Step::Stable, Step::Canary, Step::Shadow, Step::Nothing];
                    assert!(found.may <= most[class as usize]);
                }
                // Whatever is held says what it waits for.
                assert!(found.may == Step::Stable || !found.needed.is_empty());
            }
        }
    }
}
