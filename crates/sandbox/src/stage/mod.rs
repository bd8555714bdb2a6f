//! The walls' side: a second start of the binary with one thread, no environment and no descriptor
//! but the standard three. It builds the walls around itself, becomes the program, and tells first
//! whether the walls stand.
//!
//! Three processes come of it. The *outer* one is the caller's child, stays outside and ends the
//! walls when the caller goes away. The *init* is process 1 inside; when it ends the kernel ends
//! everything inside, so nothing outlives a run. The *program* is its child. `ready` builds the same before
//! there is an order.

mod order;
mod outer;

mod mounts;

pub(crate) mod confined;

mod filter;
mod halving;
mod inside;
mod landlock;
mod narrow;

mod bubblewrap;
mod raw;
mod relay;

pub(crate) mod pass;
mod ready;

pub(crate) use order::{BUILT, Doing, ENDED, Order, READY, REFUSED, Refusal, STAGE_NAME};
pub(crate) use ready::HELPER;

/// To be called first thing in `main`: when this process was started to build walls, that is done
/// and the exit code comes back. Otherwise nothing happens.
#[must_use]
pub fn stage() -> Option<u8> {
    let mut words = std::env::args_os();
    let name = words.next()?;
    let done = if name == STAGE_NAME {
        outer::run()
    } else if name == HELPER {
        ready::help()
    } else if name == bubblewrap::STAGE {
        inside::from_bubblewrap()
    } else {
        return None;
    };
    Some(done.unwrap_or_else(|refusal| {
        refusal.tell();
        1
    }))
}
