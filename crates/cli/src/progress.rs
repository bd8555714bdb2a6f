//! Work that takes longer than a second says on a terminal that it goes on.
//!
//! It says so on standard error, in one line that it takes away again. In a pipe, with `--json`, with
//! `NO_COLOR` and on a terminal that cannot move its cursor nothing is said.

use std::future::Future;
use std::io::IsTerminal as _;
use std::time::Duration;
use tokio::time::Instant;

use crate::context::{Context, environment};

/// Work that takes longer than this says that it goes on.
const QUIET: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(200);
/// Places of the bar that wanders while nobody knows how far it is.
const BAR: usize = 12;
const WANDERER: usize = 4;

/// Waits for something, and says on a terminal that it goes on.
pub(crate) async fn waiting<T>(
    what: &str,
    run: &Context,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let shown = can_be_shown(run);
    let begun = Instant::now();
    let mut work = std::pin::pin!(work);
    let mut line = Line::default();
    let mut wait = QUIET;
    loop {
        tokio::select! {
            result = &mut work => return result,
            () = tokio::time::sleep(wait) => {
                wait = STEP;
                if shown {
                    line.show(run, what, begun.elapsed());
                }
            }
        }
    }
}

/// True if there is somebody to see it, on a terminal that can take a line away again.
pub(crate) fn can_be_shown(run: &Context) -> bool {
    let set = |name: &str| environment(name).filter(|value| !value.is_empty());
    std::io::stderr().is_terminal()
        && !run.out.json()
        && set("NO_COLOR").is_none()
        && set("TERM").is_none_or(|kind| kind != "dumb")
}

/// The line while it is there. Whatever ends the work, it is taken away.
#[derive(Default)]
struct Line {
    steps: usize,
    out: Option<crate::out::Out>,
}

impl Line {
    fn show(&mut self, run: &Context, what: &str, since: Duration) {
        self.out = Some(run.out);
        let bar = bar(self.steps);
        self.steps += 1;
        run.out
            .progress(&format!("{bar} {what}, {} s", since.as_secs()));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(out) = self.out {
            out.progress("");
        }
    }
}

/// The bar at one step: what wanders turns back at both ends.
fn bar(step: usize) -> String {
    let room = BAR - WANDERER;
    let at = step % (2 * room);
    let at = at.min(2 * room - at);
    let mut bar = String::from("[");
    bar.extend((0..BAR).map(|place| {
        if (at..at + WANDERER).contains(&place) {
            '='
        } else {
            ' '
        }
    }));
    bar.push(']');
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_wanders_to_the_end_and_back() {
        assert_eq!(bar(0), "[====        ]");
        assert_eq!(bar(8), "[        ====]");
        assert_eq!(bar(9), "[       ==== ]");
        assert_eq!(bar(16), bar(0));
    }
}
