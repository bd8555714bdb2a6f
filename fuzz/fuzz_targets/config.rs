//! Any text is read as a configuration or refused with problems that have places inside it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if let Err(problems) = instar_config::parse_str(text) {
        assert!(!problems.is_empty());
        let lines = text.lines().count().max(1) + 1;
        assert!(problems.iter().all(|one| one.line >= 1 && one.line <= lines));
    }
});
