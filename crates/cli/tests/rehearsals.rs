//! Rehearsals: calls that were recorded are played again behind walls, by the whole agent, with and without a fix.

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
    let all = |(units, bad): (u64, f64)| units > 0 && units.to_string() == format!("{bad:.0}");
    // Nothing came after it: that a second try helps is made up by nobody.
    let (treated, control) = arms(&again(&instar, &fault, "again-nothing"));
    assert!(all(treated) && all(control), "{treated:?} {control:?}");

    std::fs::write(folder.join("late.md"), "here now\n").unwrap();
    assert!(said(&instar, "look").contains("here now"));
    let made = again(&instar, &fault, "again-something");
    let (treated, control) = arms(&made);
    assert!(treated.0 > 0 && treated.1 < 0.5 && all(control), "{made:#}");
    let stage = made["verdict"].as_str().unwrap_or("running");
    assert!(
        ["running", "supported_synthetic"].contains(&stage),
        "{made:#}"
    );
    // What cannot be played is refused, and says so.
    let lesson = json!({
        "id": "say", "gene": "g@0", "fault": fault, "reach": "everybody",
        "act": {"pace": {"tool": "read", "per_minute": 10}},
    });
    let refused = instar
        .http
        .post("/api/v1/healing/rehearse", &json!({"mitigation": lesson}));
    assert!(refused.expect(400).to_string().contains("can be rehearsed"));
}
