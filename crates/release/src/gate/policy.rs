//! The policy gate: an authority that is not plainly the same or narrower has to be proved no wider,
//! and whatever is not proved is not.

use instar_policy::Authority;
use instar_policy::proof::{Counter, Proof, Reading};

use super::Finding;
use crate::delta::{parts, rules};

/// One solver's answer to one script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Said {
    /// Which solver, for people.
    pub solver: String,
    pub answer: Result<String, String>,
}

/// Asks every solver that there is. It runs elsewhere, behind walls, and takes its time.
pub type Prover<'a> = &'a (dyn Fn(&str) -> Vec<Said> + Send + Sync);

pub(super) fn policy(before: &Authority, after: &Authority, prover: Prover<'_>) -> Finding {
    if before == after {
        return match after.hash() {
            Ok(hash) => Finding::pass("the authority is the same; no proof is needed")
                .with([format!("sha256 of the authority {hash}")]),
            Err(error) => Finding::fail(error.to_string()),
        };
    }
    let wider = parts(before, after);
    if let Some(first) = wider.first() {
        return Finding::fail(format!("it may let through more: {first}")).with(wider.clone());
    }
    let unlike = rules(before, after);
    if unlike.is_empty() {
        return Finding::pass("every part of the authority is the same or plainly narrower");
    }
    let proof = match Proof::of(&before.rules, &after.rules) {
        Ok(proof) => proof,
        Err(error) => return Finding::no_data(error.to_string()).with(unlike),
    };
    if proof.is_plain() {
        return Finding::pass("the rules are written differently and say the same");
    }
    judge(&proof, prover).with(unlike)
}

fn judge(proof: &Proof, prover: Prover<'_>) -> Finding {
    let all = prover(&proof.script());
    if all.is_empty() {
        return Finding::no_data(
            "there is no solver on this machine to prove that the rules let through nothing more: install one with \
             `apt-get install cvc5`, or give it your own signature",
        );
    }
    let (mut held, mut failed, mut silent) = (Vec::new(), None, Vec::new());
    for said in all {
        let reading = said.answer.map(|answer| proof.read(&answer));
        match reading {
            Ok(Reading::Holds) => held.push(said.solver),
            Ok(Reading::Fails(which)) => failed = failed.or(Some((said.solver, which))),
            Ok(Reading::Unknown(why)) | Err(why) => silent.push(format!("{}: {why}", said.solver)),
        }
    }
    match (failed, silent.first()) {
        (Some((solver, which)), _) => {
            let words = counterexample(proof, which, prover);
            let disagree = !held.is_empty();
            let found = Finding::fail(if disagree {
                format!("the solvers disagree, and {solver} says: {words}")
            } else {
                words
            });
            found.with(held.iter().map(|other| format!("{other} found nothing")))
        }
        (None, Some(first)) => {
            Finding::no_data(format!("there is no proof, as {first}")).with(silent.clone())
        }
        (None, None) => Finding::pass(format!(
            "proved for all facts there can be, by {} ({} questions)",
            held.join(" and "),
            proof.questions()
        )),
    }
}

/// The first example that can be told.
fn counterexample(proof: &Proof, which: Counter, prover: Prover<'_>) -> String {
    let script = match proof.counter_script(which) {
        Ok(script) => script,
        Err(error) => return format!("something newly passes, and no example was found: {error}"),
    };
    let mut why = String::new();
    for said in prover(&script) {
        let told = said.answer.and_then(|answer| {
            proof
                .counterexample(which, &answer)
                .map_err(|error| error.to_string())
        });
        match told {
            Ok(words) => return words,
            Err(error) => why = error,
        }
    }
    format!("something newly passes, and no example can be told: {why}")
}
