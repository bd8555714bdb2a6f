//! The network of one run: the way to its hosts, as far as its principal may go there.

use instar_tools::{Caller, ToolError};

use super::Inner;
pub(super) use crate::hands::way::Way;
use crate::hands::way::open_way;

/// Opens the way to these hosts, as far as the caller's principal may go there.
pub(super) fn open(inner: &Inner, caller: &Caller, hosts: &[String]) -> Result<Way, ToolError> {
    let rights = inner.egress.rights(&caller.principal);
    let who = format!("the run {}", caller.run);
    open_way(&inner.egress, &inner.state, rights, hosts, who)
        .map_err(|why| ToolError::Failed(format!("the network of the program: {why}")))
}
