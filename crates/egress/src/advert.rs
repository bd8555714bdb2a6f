//! Telling the local network that a gateway is here, over multicast DNS.
//!
//! What is told is a hint and proves nothing: whoever follows it still has to compare the certificate
//! and to sign in.

use mdns_sd::{IfKind, ServiceDaemon, ServiceInfo};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The kind of service under which clients of the gateway protocol look for gateways.
const SERVICE: &str = "_openclaw-gw._tcp.local.";

/// What is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    /// The name in a list of gateways.
    pub name: String,
    /// The name of the host, without the domain.
    pub host: String,
    /// Where the gateway listens; the unspecified address for every one of this machine.
    pub address: IpAddr,
    pub port: u16,
    pub hints: BTreeMap<String, String>,
}

/// A gateway that is told of. Dropping it takes the word back.
pub struct Advert {
    daemon: ServiceDaemon,
    name: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the local network cannot be told of the gateway")]
pub struct AdvertError(#[from] mdns_sd::Error);

impl Advert {
    /// Tells, and answers who asks, until it is dropped.
    pub fn begin(beacon: &Beacon) -> Result<Self, AdvertError> {
        let everywhere = beacon.address.is_unspecified();
        let addresses: Vec<IpAddr> = if everywhere {
            Vec::new()
        } else {
            vec![beacon.address]
        };
        let host = format!("{}.local.", beacon.host);
        let hints: Vec<(&str, &str)> = beacon
            .hints
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        let service = ServiceInfo::new(
            SERVICE,
            &beacon.name,
            &host,
            &addresses[..],
            beacon.port,
            &hints[..],
        )?;
        let service = if everywhere {
            service.enable_addr_auto()
        } else {
            service
        };
        let daemon = ServiceDaemon::new()?;
        let advert = Self {
            name: service.get_fullname().to_owned(),
            daemon,
        };
        if everywhere {
            // All of them are of the one family.
            let other = if beacon.address.is_ipv4() {
                IfKind::IPv6
            } else {
                IfKind::IPv4
            };
            advert.daemon.disable_interface(other)?;
        } else {
            advert.daemon.disable_interface(IfKind::All)?;
            advert
                .daemon
                .enable_interface(IfKind::Addr(beacon.address))?;
        }
        advert.daemon.register(service)?;
        Ok(advert)
    }
}

impl Drop for Advert {
    fn drop(&mut self) {
        // Commands of one queue: the goodbye is sent before the thread ends. Where the thread has
        // ended already there is nobody left to tell.
        drop(self.daemon.unregister(&self.name));
        drop(self.daemon.shutdown());
    }
}

impl std::fmt::Debug for Advert {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Advert")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
