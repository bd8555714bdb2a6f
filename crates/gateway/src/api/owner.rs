//! Who may do what the API token alone may not.

use instar_protocol::Principal;
use instar_protocol::principal::Via;

use crate::auth::Caller;
use crate::problem::ApiProblem;

/// The owner in person: the command line of the same user, or a signed-in browser. The API token is
/// what existing clients hold, and a conversation may come to speak through any of them.
pub(super) fn present(
    caller: &Caller,
    refusal: &str,
    next: &str,
) -> Result<&'static str, ApiProblem> {
    match caller.principal {
        Principal::Owner { via: Via::Local } => Ok("command line"),
        Principal::Owner {
            via: Via::Session | Via::TrustedProxy | Via::Identity,
        } => Ok("browser"),
        Principal::Owner {
            via: Via::Token | Via::Device,
        }
        | Principal::Contact { .. }
        | Principal::Stranger { .. }
        | Principal::Automation { .. } => Err(ApiProblem::forbidden(refusal).next(next)),
    }
}

/// The owner, by whatever he came in.
pub(super) fn alone(caller: &Caller, refusal: &str) -> Result<(), ApiProblem> {
    if caller.principal.is_owner() {
        return Ok(());
    }
    Err(ApiProblem::forbidden(refusal))
}
