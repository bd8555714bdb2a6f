//! The gateway as a service of the user: what is written for the service manager, and asking it.
//!
//! [`unit`] and [`plist`] are plain text made from a [`Plan`]; [`Manager`] runs the programs that
//! the system has for it.

mod control;
mod plan;
mod plist;
mod unit;

pub(crate) use control::{Manager, Reach, Standing, enable_linger, is_a_build, lingers, run, said};
pub(crate) use plan::Plan;
