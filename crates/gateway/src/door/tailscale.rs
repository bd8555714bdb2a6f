//! Tailscale: who stands behind an address of the tailnet, by the word of the daemon of this machine.
//!
//! The address is the socket's own peer. Headers are not read: whoever can reach the port from this
//! machine can write them.

use instar_egress::ask_local;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::network::Network;
use crate::config::TailscaleConfig;

/// Where the daemon listens when nobody says otherwise.
const SOCKET: &str = "/var/run/tailscale/tailscaled.sock";
/// The host that its API answers to.
const HOST: &str = "local-tailscaled.sock";
const BYTES_MAX: usize = 1 << 20;
const WITHIN: Duration = Duration::from_secs(3);
/// The addresses of every tailnet.
const NETWORKS: [&str; 2] = ["100.64.0.0/10", "fd7a:115c:a1e0::/48"];

/// True for an address that a tailnet gives out.
#[must_use]
pub fn is_tailnet(address: IpAddr) -> bool {
    NETWORKS
        .iter()
        .filter_map(|text| Network::parse(text))
        .any(|network| network.contains(address))
}

fn socket(config: &TailscaleConfig) -> PathBuf {
    config.socket.as_deref().unwrap_or(SOCKET).into()
}

/// Who of a tailnet is the owner.
#[derive(Debug)]
pub struct Tailscale {
    socket: PathBuf,
    users: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WhoIs {
    node: Node,
    user_profile: Profile,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Node {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Profile {
    login_name: String,
}

impl Tailscale {
    #[must_use]
    pub fn new(config: &TailscaleConfig) -> Self {
        Self {
            socket: socket(config),
            users: config
                .allow_users
                .iter()
                .map(|user| user.to_lowercase())
                .collect(),
        }
    }

    /// True if the person at this address is one of the owner's; an error if nobody can say.
    pub(super) async fn admits(&self, peer: SocketAddr) -> Result<bool, String> {
        let path = format!("/localapi/v0/whois?addr={}", escape(peer));
        let (status, body) = ask_local(&self.socket, HOST, &path, BYTES_MAX, WITHIN)
            .await
            .map_err(|error| format!("tailscaled cannot be asked: {error}"))?;
        if status == 404 {
            return Ok(false);
        }
        if status != 200 {
            return Err(format!("tailscaled answers {status}"));
        }
        let who: WhoIs = serde_json::from_slice(&body)
            .map_err(|_| "tailscaled answers in another form".to_owned())?;
        // A tagged machine is nobody's: its profile is made up.
        let tagged = who.node.tags.is_some_and(|tags| !tags.is_empty());
        let user = who.user_profile.login_name.to_lowercase();
        Ok(!tagged && !user.is_empty() && self.users.contains(&user))
    }
}

/// An address as it stands in a query.
fn escape(peer: SocketAddr) -> String {
    let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
    peer.to_string().replace('[', "%5B").replace(']', "%5D")
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Status {
    #[serde(default)]
    backend_state: String,
    #[serde(rename = "Self")]
    own: Own,
}

#[derive(Deserialize)]
struct Own {
    #[serde(rename = "TailscaleIPs", default)]
    addresses: Option<Vec<IpAddr>>,
}

/// This machine's address in its tailnet.
pub async fn own_address(config: &TailscaleConfig) -> Result<IpAddr, String> {
    let socket: &Path = &socket(config);
    let (status, body) = ask_local(socket, HOST, "/localapi/v0/status", BYTES_MAX, WITHIN)
        .await
        .map_err(|error| {
            format!(
                "tailscaled cannot be asked over {}: {error}",
                socket.display()
            )
        })?;
    let read = serde_json::from_slice::<Status>(&body).ok();
    let running = read.filter(|status| status.backend_state == "Running");
    let Some(found) = running.filter(|_| status == 200) else {
        return Err("Tailscale is not connected: run `tailscale up`".to_owned());
    };
    let addresses = found.own.addresses.unwrap_or_default();
    let mut own = addresses.into_iter().filter(|address| is_tailnet(*address));
    own.next()
        .ok_or_else(|| "Tailscale gives this machine no address".to_owned())
}

#[cfg(test)]
mod tests;
