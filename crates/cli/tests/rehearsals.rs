//! Rehearsals: calls that were recorded are played again behind walls, by the whole agent, with and without a fix.

use instar_demo::{Answer, Fault, Script, When};
use serde_json::{Value, json};

use crate::healing::{failing, fault, proposed};
use crate::rollouts::serve;
use crate::support::{Instar, Setup, until};
use crate::tools::{calling, said, workspace};

#[test]
fn a_recorded_call_is_played_again_counted_apart_and_proves_nothing() {
    let instar = failing();
    said(&instar, "look");
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let fault = fault(&instar);
    let made = instar.run(["heal", "rehearse", &fault, "--json"]).json();
    assert_eq!(made["synthetic"], true, "{made:#}");
    // The call of the turn is played again, as the model had made it.
    assert_eq!(
        (&made["recorded"], &made["made_up"]),
        (&json!(1), &json!(0)),
        "{made:#}"
    );
    let units = |arm: &str| made[arm][0].as_u64().unwrap();
    let bad = |arm: &str| made[arm][1].as_f64().unwrap();
    assert!(units("treated") > 0 && units("control") > 0, "{made:#}");
    // Without the fix each call is refused; with it none is.
    let control = u32::try_from(units("control")).unwrap();
    assert!(
        (bad("control") - f64::from(control)).abs() < 0.5,
        "{made:#}"
    );
    assert!(bad("treated") < 0.5, "{made:#}");
    let stage = made["verdict"].as_str().unwrap_or("running");
    assert!(
        ["running", "supported_synthetic", "undecided"].contains(&stage),
        "{made:#}"
    );
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(told.contains("made up, no proof"), "{told}");
    // One that happens is counted by itself.
    let id = proposed(&instar)["id"].as_str().unwrap().to_owned();
    serve(&instar, &id);
    said(&instar, "look");
    let both = until("both are counted", || {
        let trials = instar.run(["heal", "status", "--json"]).json();
        (trials.as_array().unwrap().len() == 2).then_some(trials)
    });
    let real = both
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["synthetic"] == false);
    let real = real.unwrap();
    assert_eq!(real["stage"], "running");
    let of = |arm: &str| real[arm][0].as_u64().unwrap();
    assert!(of("treated") + of("control") <= 1, "{real:#}");
    let told = instar.run(["heal", "explain", &fault]).stdout;
    assert!(
        told.contains("made up") && told.contains("(happened: "),
        "{told}"
    );
}

/// Puts a second try of `read` to what was recorded of the fault.
fn again(instar: &Instar, fault: &str, id: &str) -> Value {
    let mitigation = json!({
        "id": id, "gene": "retry-flaky-read@0", "fault": fault, "reach": "everybody",
        "act": {"retry": {"tool": "read", "again": 1, "pause_ms": 5_000}},
    });
    let asked = json!({"mitigation": mitigation});
    let made = instar.http.post("/api/v1/healing/rehearse", &asked);
    made.expect(200)
}

/// A call that fails is made again by the agent, and gets what the calls after the failure had got.
#[test]
fn a_failure_is_injected_and_a_second_try_gets_what_was_recorded_after_it() {
    let late = json!({"path": "late.md"});
    let instar = Instar::start(Setup::scripted(calling(&[("look", "read", late)])));
    let folder = workspace(&instar);
    said(&instar, "look");
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let fault = fault(&instar);
    let arms = |made: &Value| {
        assert_eq!(made["recorded"], 1, "{made:#}");
        let of = |arm: &str| {
            (
                made[arm][0].as_u64().unwrap(),
                made[arm][1].as_f64().unwrap(),
            )
        };
        (of("treated"), of("control"))
    };
    let all = |(units, bad): (u64, f64)| units.to_string() == format!("{bad:.0}");
    // Nothing came after it: that a second try helps is made up by nobody. It may be given up before the coin has
    // said no once.
    let (treated, control) = arms(&again(&instar, &fault, "again-nothing"));
    assert!(
        treated.0 + control.0 > 0 && all(treated) && all(control),
        "{treated:?} {control:?}"
    );

    std::fs::write(folder.join("late.md"), "here now\n").unwrap();
    assert!(said(&instar, "look").contains("here now"));
    let made = again(&instar, &fault, "again-something");
    let (treated, control) = arms(&made);
    assert!(
        treated.0 + control.0 > 0 && treated.1 < 0.5 && all(control),
        "{made:#}"
    );
    let stage = made["verdict"].as_str().unwrap_or("running");
    assert!(
        ["running", "supported_synthetic"].contains(&stage),
        "{made:#}"
    );
}

#[test]
fn what_cannot_be_rehearsed_says_why() {
    let instar = failing();
    said(&instar, "look");
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let fault = fault(&instar);
    let lesson = json!({"not_twice_the_same": {"tool": "read"}});
    for (act, why) in [
        (
            json!({"patience": {"tool": "read", "seconds": 30}}),
            "how long the call would have needed",
        ),
        (
            json!({"breaker": {"tool": "read", "failures": 3, "open_seconds": 60}}),
            "a call that is not made counts",
        ),
        (
            json!({"pace": {"tool": "read", "per_minute": 10}}),
            "minutes would have to go by",
        ),
        (
            json!({"prefer": {"tool": "ls", "over": "read"}}),
            "what it would have said",
        ),
        (json!({ "lesson": lesson }), "whether it heeds it"),
        // No model failed here.
        (
            json!({"model_retry": {"again": 1, "pause_ms": 500}}),
            "no call was kept that failed so",
        ),
    ] {
        let mitigation = json!({
            "id": "fix", "gene": "g@0", "fault": fault, "reach": "everybody", "act": act,
        });
        let asked = json!({ "mitigation": mitigation });
        let refused = instar.http.post("/api/v1/healing/rehearse", &asked);
        let refused = refused.expect(400).to_string();
        assert!(refused.contains(why), "{why}: {refused}");
    }
    assert_eq!(instar.run(["heal", "status", "--json"]).json(), json!([]));
}

/// The first call of the model fails; the next one is answered.
#[test]
fn a_model_that_failed_is_played_again_as_its_calls_were_recorded() {
    let down = Answer {
        fault: Some(Box::new(Fault {
            status: Some(503),
            ..Fault::default()
        })),
        ..Answer::default()
    };
    let script = Script::saying("here now").rule_times(1, When::default(), down);
    let config = json!({"models": {"retry": {"maxAttempts": 1}}});
    let instar = Instar::start(Setup::scripted(script).config(config));
    let failed = instar.ask("main", "look");
    assert_eq!(failed["status"], "failed", "{failed:#}");
    instar.run(["lab", "run", "--at-any-load", "--json"]).json();
    let list = instar.run(["fault", "list", "--json"]).json();
    let mut all = list.as_array().unwrap().iter();
    let fault = all.find(|one| one["place"] == "model:scripted/x");
    let fault = fault.unwrap_or_else(|| panic!("{list:#}"))["id"].as_str();
    let fault = fault.unwrap().to_owned();
    let arms = |made: &Value| {
        assert_eq!(
            (&made["recorded"], &made["made_up"], &made["synthetic"]),
            (&json!(1), &json!(0), &json!(true)),
            "{made:#}"
        );
        ["treated", "control"].map(|arm| {
            let units = made[arm][0].as_u64().unwrap();
            (units, made[arm][1].as_f64().unwrap())
        })
    };
    let all_failed = |(units, bad): (u64, f64)| units.to_string() == format!("{bad:.0}");
    // It failed, and nobody saw it come back: it may be given up before the coin has said no once.
    let mitigation = json!({
        "id": "again-nothing", "gene": "ask-model-again@0", "fault": fault, "reach": "everybody",
        "act": {"model_retry": {"again": 1, "pause_ms": 500}},
    });
    let asked = json!({ "mitigation": mitigation });
    let made = instar.http.post("/api/v1/healing/rehearse", &asked);
    let [treated, control] = arms(&made.expect(200));
    assert!(
        treated.0 + control.0 > 0 && all_failed(treated) && all_failed(control),
        "{treated:?} {control:?}"
    );

    assert!(said(&instar, "look").contains("here now"));
    let rehearse = [
        "heal",
        "rehearse",
        &fault,
        "--gene",
        "ask-model-again",
        "--json",
    ];
    let made = instar.run(rehearse).json();
    let [treated, control] = arms(&made);
    assert!(
        treated.0 + control.0 > 0 && treated.1 < 0.5 && all_failed(control),
        "{made:#}"
    );
    let stage = made["verdict"].as_str().unwrap_or("running");
    assert!(
        ["running", "supported_synthetic"].contains(&stage),
        "{made:#}"
    );
    let told = instar.run(["heal", "status"]).stdout;
    assert!(told.contains("made up"), "{told}");
}
