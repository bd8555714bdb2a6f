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
mod confined;
mod drive;
mod lists;
mod missing;
mod several;
mod table;

use instar_sandbox::confined::{Bounds, Starter};
use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(code) = instar_sandbox::stage() {
        return code.into();
    }
    match instar_sandbox::confined::enter() {
        None => {}
        Some(Ok(post)) => return confined::work(post),
        Some(Err(code)) => return code.into(),
    }
    let words: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "drive", case, maker, folder] => drive::drive(case, maker, folder.as_ref()),
        [_, "drive", case, maker, folder, groups] => {
            several::grouped(case, maker, folder.as_ref(), groups.as_ref())
        }
        [_, "leave-a-job"] => {
            let job = Starter::default().start("wait", Bounds::default()).unwrap();
            println!("{}", job.id());
            std::thread::sleep(std::time::Duration::from_secs(600));
            ExitCode::SUCCESS
        }
        [_, "try", case, rest @ ..] => attempts::attempt(case, rest),
        [_, "covered", cases @ ..] => lists::covered(cases),
        _ => {
            println!("drive CASE MAKER FOLDER, try CASE, or covered CASE...");
            ExitCode::FAILURE
        }
    }
}
