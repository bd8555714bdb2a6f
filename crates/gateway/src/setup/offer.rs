//! What was found before the first question: it decides which questions there are.

use instar_models::LocalServer;
use std::path::PathBuf;

use crate::config::Bind;

/// What was found.
#[derive(Clone, Debug)]
pub struct Offer {
    /// When the notice about risks was accepted, if it was; it is not asked again.
    pub risk_accepted: Option<String>,
    /// The folder with the main agent's identity files.
    pub workspace: PathBuf,
    /// What `~` stands for.
    pub home: Option<PathBuf>,
    /// The model that the configuration names.
    pub model: Option<String>,
    /// Servers on this machine that answer.
    pub local: Vec<LocalServer>,
    /// The vendors that Instar knows, those with a key first.
    pub vendors: Vec<VendorOffer>,
    pub listen: Listen,
    /// The service manager, if there is one and it may be asked.
    pub service: Option<Service>,
}

/// Where the gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listen {
    pub port: u16,
    pub bind: Bind,
    /// People are signed in by a proxy that speaks TLS, so that it may listen beyond this machine.
    pub may_open: bool,
    /// It does so now: another port or address waits for its next start.
    pub running: bool,
}

/// A vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VendorOffer {
    pub id: String,
    pub name: String,
    pub key: KeyPlace,
    /// Its models that are known by name, the usual one first.
    pub models: Vec<String>,
}

/// Where a vendor's key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyPlace {
    Missing,
    /// In this variable of the environment, which a service does not have.
    Environment(String),
    /// It runs on this machine.
    NotNeeded,
    /// In the encrypted store, or where the configuration says.
    Kept,
}

/// The service manager of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// For people: `systemd`.
    pub manager: &'static str,
    pub installed: bool,
}

impl Offer {
    pub(crate) fn vendor(&self, id: &str) -> Option<&VendorOffer> {
        self.vendors.iter().find(|vendor| vendor.id == id)
    }
}
