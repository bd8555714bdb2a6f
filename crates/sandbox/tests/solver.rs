//! Solvers behind walls, where this machine has them.

use instar_sandbox::native::Native;
use instar_sandbox::solver::Solver;
use std::path::PathBuf;

const SCRIPT: &str = "(reset)\n(set-logic ALL)\n(declare-const a String)\n(assert (= a \"x\"))\n(check-sat)\n\
                      (reset)\n(set-logic ALL)\n(assert false)\n(check-sat)\n";

/// The packages beside the Python that the tests are given.
fn packages() -> Option<PathBuf> {
    let python = PathBuf::from(std::env::var_os("INSTAR_TEST_PYTHON")?);
    let lib = python.parent()?.parent()?.join("lib");
    let mut versions = std::fs::read_dir(lib).ok()?.filter_map(Result::ok);
    let folder = versions.next()?.path().join("site-packages");
    folder.join("cvc5").is_dir().then_some(folder)
}

fn native() -> Native {
    Native::of_this_binary().with_binary(PathBuf::from(env!("CARGO_BIN_EXE_instar-walls-probe")))
}

#[test]
fn each_solver_answers_line_by_line_and_a_broken_question_is_no_answer() {
    let solvers = Solver::found(packages().as_deref());
    if solvers.is_empty() {
        eprintln!("there is no solver here: nothing is shown");
    }
    for solver in solvers {
        let answer = solver.ask(&native(), SCRIPT, &|| false).unwrap();
        assert_eq!(answer, "sat\nunsat\n", "{}", solver.name());
        match solver.ask(&native(), "(assert (= a b))\n(check-sat)\n", &|| false) {
            Ok(answer) => assert!(!answer.contains("unsat"), "{answer}"),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
}

#[test]
fn a_solver_that_nobody_waits_for_any_more_is_ended() {
    // Factors of a number that is the product of two large primes: nothing for a minute.
    let hard = "(set-logic QF_NIA)\n(declare-const a Int)\n(declare-const b Int)\n(assert (> a 1))\n(assert (> b 1))\n\
                (assert (= (* a b) 1000000016000000063))\n(check-sat)\n"
        .repeat(50);
    for solver in Solver::found(packages().as_deref()) {
        let ended = solver.ask(&native(), &hard, &|| true);
        assert!(ended.is_err(), "{ended:?}");
    }
}

#[test]
fn what_is_not_there_is_not_found_and_does_not_start() {
    let nowhere = PathBuf::from("/nowhere");
    let with_nowhere = Solver::found(Some(&nowhere));
    assert_eq!(with_nowhere, Solver::found(None));
    for solver in [Solver::Program(nowhere.clone()), Solver::Package(nowhere)] {
        assert!(solver.ask(&native(), SCRIPT, &|| false).is_err());
    }
}
