//! Scripts behind walls, where this machine has what runs them.

use instar_sandbox::AskError;
use instar_sandbox::native::Native;
use instar_sandbox::script::{Interpreter, Language};
use std::path::PathBuf;

fn native() -> Native {
    Native::of_this_binary().with_binary(PathBuf::from(env!("CARGO_BIN_EXE_instar-walls-probe")))
}

#[test]
fn a_script_answers_what_it_is_told_in_its_time_and_its_bounds() {
    for (language, echo, spin, fail) in [
        (
            Language::Python,
            "import sys; sys.stdout.write(sys.stdin.read()[::-1])",
            "while True: pass",
            "raise SystemExit(3)",
        ),
        (
            Language::JavaScript,
            "process.stdout.write([...require('fs').readFileSync(0, 'utf8')].reverse().join(''))",
            "for (;;);",
            "process.exit(3)",
        ),
    ] {
        let Some(interpreter) = Interpreter::find(language) else {
            eprintln!("nothing here runs {language:?}: nothing is shown");
            continue;
        };
        let run = |program: &str| interpreter.run(&native(), program, "abc");
        assert_eq!(run(echo).unwrap(), "cba");
        let failed = run(fail).unwrap_err();
        assert!(failed.to_string().contains("Exit(3)"), "{failed}");
        let hurried = interpreter.clone().within(1);
        let spun = hurried.run(&native(), spin, "").unwrap_err();
        // Its processor time or its time is up, whichever comes first.
        assert!(
            matches!(spun, AskError::TimedOut(1) | AskError::Failed(_)),
            "{spun}"
        );
        let long = "x".repeat((16 << 20) + 1);
        let long = interpreter.run(&native(), echo, &long).unwrap_err();
        assert_eq!(long, AskError::Long);
    }
}
