//! Peer: who is at the other end of a connection.

use std::net::{IpAddr, Ipv6Addr};

/// Who is behind an address: a machine, or the 64 bits of network that one subscriber has in IPv6.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
    }
}
