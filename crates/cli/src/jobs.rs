//! What this binary is when it was started as a job behind walls.

use instar_gateway::healing::{REHEARSAL_ROLE, play_rehearsal};
use instar_improve::lab::Lab;
use instar_protocol::{judge, lab};
use instar_sandbox::confined::{Post, enter};

/// Does the work of a job, if this process is one; its exit code.
pub(crate) fn work() -> Option<u8> {
    let post = match enter()? {
        Ok(post) => post,
        Err(code) => return Some(code),
    };
    Some(match post.role() {
        lab::ROLE => lab(post),
        lab::PROBE_ROLE => crate::commands::walls::probe(post),
        REHEARSAL_ROLE => play_rehearsal(post),
        judge::ROLE => crate::commands::judge::judge(post),
        judge::ASSERTS_ROLE => crate::commands::asserts::look(post),
        _ => 2,
    })
}

/// The lab: hears events, says what it found in them, and ends when it was closed.
fn lab(mut post: Post) -> u8 {
    let mut lab = Lab::default();
    // A caller that is gone needs no answer.
    while let Ok(words) = post.hear() {
        if let Some(said) = lab.hear(words)
            && post.tell(&said).is_err()
        {
            return 1;
        }
    }
    0
}
