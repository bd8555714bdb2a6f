//! What kind of address an address is, after unwrapping what tunnels and mappings embed.
//!
//! The decision is on the parsed value, never on a spelling. Ranges follow the IANA registries of
//! special-purpose addresses; whatever is not known to be global unicast is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The kind of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Class {
    /// Global unicast.
    Public,
    /// This machine.
    Loopback,
    /// RFC 1918, unique local and carrier-grade shared space: somebody's own network.
    Private,
    /// One link, without a router; where cloud machines find their credentials.
    LinkLocal,
    /// A cloud's service for machine credentials outside the link-local range.
    Metadata,
    /// No host at all: on many systems it means this machine.
    Unspecified,
    Multicast,
    /// Documentation, benchmarks, discard, reserved and unassigned space.
    Reserved,
}

impl Class {
    /// Why an address of this class is refused, for people.
    #[must_use]
    pub fn why(self) -> &'static str {
        match self {
            Self::Public => "it is public",
            Self::Loopback => "it is this machine",
            Self::Private => "it is in a private network",
            Self::LinkLocal => "it is link-local, where machines keep credentials",
            Self::Metadata => "it is a cloud metadata service",
            Self::Unspecified => "it names no host",
            Self::Multicast => "it is a multicast address",
            Self::Reserved => "it is reserved",
        }
    }

    /// True for addresses that an owner may name for a model of their own.
    #[must_use]
    pub fn is_local(self) -> bool {
        matches!(self, Self::Loopback | Self::Private)
    }
}

/// Judges an address.
#[must_use]
pub fn classify(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(v4) => classify_v4(v4),
        IpAddr::V6(v6) => classify_v6(v6),
    }
}

type Range4 = ([u8; 4], u32, Class);
type Range6 = ([u16; 8], u32, Class);

/// First match wins; what matches nothing is public.
const RANGES_V4: &[Range4] = &[
    ([100, 100, 100, 200], 32, Class::Metadata),
    ([168, 63, 129, 16], 32, Class::Metadata),
    ([192, 0, 0, 192], 32, Class::Metadata),
    ([0, 0, 0, 0], 8, Class::Unspecified),
    ([10, 0, 0, 0], 8, Class::Private),
    ([100, 64, 0, 0], 10, Class::Private),
    ([127, 0, 0, 0], 8, Class::Loopback),
    ([169, 254, 0, 0], 16, Class::LinkLocal),
    ([172, 16, 0, 0], 12, Class::Private),
    ([192, 0, 0, 0], 24, Class::Reserved),
    ([192, 0, 2, 0], 24, Class::Reserved),
    ([192, 31, 196, 0], 24, Class::Reserved),
    ([192, 52, 193, 0], 24, Class::Reserved),
    ([192, 88, 99, 0], 24, Class::Reserved),
    ([192, 168, 0, 0], 16, Class::Private),
    ([192, 175, 48, 0], 24, Class::Reserved),
    ([198, 18, 0, 0], 15, Class::Reserved),
    ([198, 51, 100, 0], 24, Class::Reserved),
    ([203, 0, 113, 0], 24, Class::Reserved),
    ([224, 0, 0, 0], 4, Class::Multicast),
    ([240, 0, 0, 0], 4, Class::Reserved),
];

/// First match wins; what matches nothing and lies outside `2000::/3` is reserved.
const RANGES_V6: &[Range6] = &[
    ([0; 8], 128, Class::Unspecified),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Class::Loopback),
    ([0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254], 128, Class::Metadata),
    ([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48, Class::Reserved),
    ([0x100, 0, 0, 0, 0, 0, 0, 0], 64, Class::Reserved),
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Class::Reserved),
    ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32, Class::Reserved),
    ([0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0], 48, Class::Reserved),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Class::Reserved),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Class::Private),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Class::LinkLocal),
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Class::Private),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Class::Multicast),
    ([0x2000, 0, 0, 0, 0, 0, 0, 0], 3, Class::Public),
];

fn classify_v4(address: Ipv4Addr) -> Class {
    let bits = u32::from(address);
    RANGES_V4
        .iter()
        .find(|(base, prefix, _)| (bits ^ u32::from(Ipv4Addr::from(*base))) >> (32 - prefix) == 0)
        .map_or(Class::Public, |range| range.2)
}

fn classify_v6(address: Ipv6Addr) -> Class {
    // What is embedded is what a gateway on the way would connect to: the worst of it counts.
    let worst = embedded(address).into_iter().map(classify_v4).max();
    if let Some(class) = worst {
        return class;
    }
    let bits = u128::from(address);
    let outer = RANGES_V6
        .iter()
        .find(|(base, prefix, _)| (bits ^ u128::from(Ipv6Addr::from(*base))) >> (128 - prefix) == 0)
        .map_or(Class::Reserved, |range| range.2);
    // An ISATAP tunnel stands behind any prefix: whichever of the two is worse counts.
    isatap(address).map_or(outer, |inner| outer.max(classify_v4(inner)))
}

/// The IPv4 address behind the interface identifier of an ISATAP tunnel.
fn isatap(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.segments() {
        [_, _, _, _, 0 | 0x200, 0x5efe, high, low] => Some(v4(high, low)),
        _ => None,
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

/// The IPv4 addresses inside a mapped, compatible, translated, 6to4, NAT64 or Teredo address.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    let s = address.segments();
    match s {
        // `::` and `::1` are classes of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => vec![],
        // ::a.b.c.d, ::ffff:a.b.c.d, ::ffff:0:a.b.c.d and 64:ff9b::a.b.c.d
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => vec![v4(high, low)],
        [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo holds its server in clear and its client with all bits turned.
        [0x2001, 0, server_high, server_low, _, _, high, low] => {
            vec![v4(server_high, server_low), v4(!high, !low)]
        }
        _ => vec![],
    }
}
