//! What a provider may be told: whose eyes a text is for decides where it goes, a model not excepted.

use instar_protocol::Readers;
use instar_protocol::event::ErrorClass;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::Failure;

/// What may be sent to a provider. Nothing is cleared for secrets.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Clearance {
    /// What anybody may read. Your own words and files are not that.
    Public,
    /// And what one conversation with somebody else may read.
    Session,
    /// And what is for you alone.
    #[default]
    Private,
}

impl Clearance {
    pub(crate) fn admits(self, readers: &Readers) -> bool {
        match readers {
            Readers::Public => true,
            Readers::Session(_) => self >= Self::Session,
            Readers::Private => self == Self::Private,
            Readers::Secret => false,
        }
    }

    /// Refuses a text for these readers.
    pub(crate) fn check(self, provider: &str, readers: &Readers) -> Result<(), Failure> {
        if self.admits(readers) {
            return Ok(());
        }
        let text = match readers {
            Readers::Secret => "a secret",
            Readers::Private => "for its owner alone",
            Readers::Session(_) => "for one conversation alone",
            Readers::Public => "for anybody",
        };
        let why = format!(
            "what would be sent is {text}, and models.providers.{provider}.clearance does not cover it"
        );
        let message = format!("No model was called: {why}.");
        Err(Failure::new(ErrorClass::Config, why).saying(message))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use instar_protocol::{SessionId, Timestamp};

    #[test]
    fn each_text_goes_as_far_as_its_readers() {
        let session = Readers::Session(SessionId::new(Timestamp::from_millis(1), [1; 10]));
        let cleared = |clearance: Clearance| {
            [
                &Readers::Public,
                &session,
                &Readers::Private,
                &Readers::Secret,
            ]
            .map(|readers| clearance.check("acme", readers).is_ok())
        };
        assert_eq!(cleared(Clearance::Public), [true, false, false, false]);
        assert_eq!(cleared(Clearance::Session), [true, true, false, false]);
        assert_eq!(cleared(Clearance::Private), [true, true, true, false]);
    }
}
