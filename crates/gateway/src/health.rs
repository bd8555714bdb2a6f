//! Conditions of the gateway that are not read off a subsystem: its phase, and its configuration.

use instar_protocol::api::Health;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{PoisonError, RwLock};

/// Where the gateway is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    Starting,
    Ready,
    Draining,
}

/// What readiness and the status page show.
#[derive(Debug)]
pub struct Conditions {
    phase: AtomicU8,
    config: RwLock<Health>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self {
            phase: AtomicU8::new(0),
            config: RwLock::new(Health::sound()),
        }
    }
}

impl Conditions {
    #[must_use]
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }

    pub(crate) fn enter(&self, phase: Phase) {
        let number = match phase {
            Phase::Starting => 0,
            Phase::Ready => 1,
            Phase::Draining => 2,
        };
        self.phase.store(number, Ordering::Release);
    }

    /// Whether the files on disk are what is in force.
    #[must_use]
    pub fn config(&self) -> Health {
        self.config
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn set_config(&self, health: Health) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = health;
    }
}
