//! Peers and networks.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// A peer as limits count it: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Peer(IpAddr);

impl Peer {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(four) => Self(IpAddr::V4(four)),
            IpAddr::V6(six) => {
                let network = u128::from(six) & !u128::from(u64::MAX);
                Self(IpAddr::V6(Ipv6Addr::from(network)))
            }
        }
    }
}

impl From<SocketAddr> for Peer {
    fn from(address: SocketAddr) -> Self {
        Self::of(address.ip())
    }
}

/// An address or network in the usual notation, `10.0.0.0/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let max = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(max);
        (bits <= max).then_some(Self { address, bits })
    }

    /// How many bits of an address belong to the network.
    #[must_use]
    pub fn bits(&self) -> u8 {
        self.bits
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(one)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                u32::from(net) & mask == u32::from(one) & mask
            }
            (IpAddr::V6(net), IpAddr::V6(one)) => {
                let mask = u128::MAX
                    .checked_shl(128 - u32::from(self.bits))
                    .unwrap_or(0);
                u128::from(net) & mask == u128::from(one) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_of_six_is_its_network_and_one_of_four_its_address() {
        let peer = |text: &str| Peer::of(text.parse().unwrap());
        for (one, other, same) in [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("10.1.2.3", "::ffff:10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("::ffff:10.1.2.3", "::ffff:10.1.2.4", false),
        ] {
            assert_eq!(peer(one) == peer(other), same, "{one} {other}");
        }
        let socket: SocketAddr = "[2001:db8:1:2::7]:80".parse().unwrap();
        assert_eq!(Peer::from(socket), peer("2001:db8:1:2::1"));
    }

    #[test]
    fn networks_hold_what_their_bits_say() {
        for (net, address, holds) in [
            ("10.128.0.0/9", "10.255.0.1", true),
            ("10.128.0.0/9", "10.127.255.255", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.2", false),
            ("10.1.2.3/24", "10.1.2.9", true),
            ("fd00::/8", "fdff::1", true),
            ("fd00::/8", "fe00::1", false),
            ("2001:db8::/33", "2001:db8:7fff::1", true),
            ("2001:db8::/33", "2001:db8:8000::1", false),
            ("2001:db8::1/64", "2001:db8::ffff", true),
            ("::1", "::1", true),
            ("::/0", "2001:db8::1", true),
            ("::/0", "10.0.0.1", false),
            ("0.0.0.0/0", "::2", false),
        ] {
            let network = Network::parse(net).unwrap();
            let held = network.contains(address.parse().unwrap());
            assert_eq!(held, holds, "{net} {address}");
        }
        for (net, bits) in [
            ("10.0.0.0/8", 8),
            ("10.0.0.1", 32),
            ("::1", 128),
            ("::/0", 0),
        ] {
            assert_eq!(Network::parse(net).unwrap().bits(), bits, "{net}");
        }
    }

    #[test]
    fn networks_hold_their_addresses_only() {
        let net = Network::parse("10.1.0.0/16").unwrap();
        assert!(net.contains("10.1.255.1".parse().unwrap()));
        assert!(net.contains("::ffff:10.1.2.3".parse().unwrap()));
        assert!(!net.contains("10.2.0.1".parse().unwrap()));
        assert!(
            Network::parse("0.0.0.0/0")
                .unwrap()
                .contains("8.8.8.8".parse().unwrap())
        );
        assert!(
            !Network::parse("::1")
                .unwrap()
                .contains("::2".parse().unwrap())
        );
        for bad in ["", "10.0.0.0/33", "x", "10.0.0.0/-1", "::/129"] {
            assert!(Network::parse(bad).is_none(), "{bad}");
        }
    }
}
