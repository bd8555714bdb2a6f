//! What the tests put behind walls, and what puts it there.
//!
//! `drive CASE FOLDER` runs as an ordinary user outside and starts `try CASE` inside; an attempt
//! prints `held: why` or `ESCAPED: how`. Started as root, it refuses: permissions and limits on
//! processes mean nothing to root, so nothing would be shown.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a program of tests"
)]

mod attempts;
mod drive;
mod several;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = instar_sandbox::stage() {
        return code.into();
    }
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "drive", case, maker, folder] => drive::drive(case, maker, folder.as_ref()),
        [_, "drive", case, maker, folder, groups] => {
            several::grouped(case, maker, folder.as_ref(), groups.as_ref())
        }
        [_, "try", case, rest @ ..] => attempts::attempt(case, rest),
        _ => {
            println!("drive CASE MAKER FOLDER, or try CASE");
            ExitCode::FAILURE
        }
    }
}
