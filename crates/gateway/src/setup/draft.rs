//! What has been told of a model so far. It stays while it is corrected.

use instar_models::config::Api;
use instar_protocol::Secret;

use super::candidate::{Candidate, Custom};
use super::step::Refused;
use super::wizard::{Question, Verdict};

/// A model as far as it is described.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) vendor: String,
    /// Where the vendor's key is copied from.
    pub(super) key_of: Option<String>,
    pub(super) key: Option<Secret>,
    /// The vendor wants a key.
    pub(super) keyed: bool,
    pub(super) base_url: String,
    pub(super) api: Api,
    /// The name of the model, as far as one was given.
    pub(super) model: String,
    /// The short name of the server, as far as one was given.
    pub(super) provider: Option<String>,
    pub(super) candidate: Option<Candidate>,
    pub(super) verdict: Option<Verdict>,
}

impl Draft {
    pub(super) fn empty() -> Self {
        Self {
            vendor: String::new(),
            key_of: None,
            key: None,
            keyed: false,
            base_url: String::new(),
            api: Api::OpenaiCompletions,
            model: String::new(),
            provider: None,
            candidate: None,
            verdict: None,
        }
    }

    /// True if something was typed that may be what is wrong.
    pub(super) fn correctable(&self) -> bool {
        !self.base_url.is_empty() || self.keyed
    }

    /// Where correcting begins.
    pub(super) fn first(&self) -> Question {
        if self.base_url.is_empty() {
            Question::Key
        } else {
            Question::BaseUrl
        }
    }

    pub(super) fn server(&self) -> Result<Custom, Refused> {
        Custom::new(&self.base_url, self.api)
    }

    /// The usual name for the server that is described.
    pub(super) fn usual_id(&self) -> String {
        self.server()
            .map_or_else(|_| "custom".to_owned(), |server| server.usual_id())
    }
}
