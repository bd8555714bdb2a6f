//! Tables for people.

/// Speaks on standard output: the bench's result is its output.
#[expect(clippy::print_stdout, reason = "the bench's result")]
pub(crate) fn say(text: &str) {
    println!("{text}");
}

/// Says how far the bench is, on standard error.
#[expect(clippy::print_stderr, reason = "progress beside the result")]
pub(crate) fn progress(text: &str) {
    eprintln!("… {text}");
}

/// One figure with its bar.
pub(crate) fn row(name: &str, figure: &str, bar: &str, met: Option<bool>) {
    let mark = match met {
        Some(true) => "met",
        Some(false) => "NOT MET",
        None => "",
    };
    say(&format!("{name:<46} {figure:>22}   {bar:<18} {mark}"));
}
