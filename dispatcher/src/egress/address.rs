//! Which addresses and host names are not the public internet.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IANA's special-purpose IPv4 blocks that no function lives in, and one cloud's platform address.
const IPV4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::UNSPECIFIED, 8, "this network"),
    (Ipv4Addr::new(10, 0, 0, 0), 8, "private"),
    (Ipv4Addr::new(100, 64, 0, 0), 10, "shared (carrier-grade NAT)"),
    (Ipv4Addr::new(127, 0, 0, 0), 8, "loopback"),
    (Ipv4Addr::new(168, 63, 129, 16), 32, "cloud platform"),
    (Ipv4Addr::new(169, 254, 0, 0), 16, "link-local or metadata"),
    (Ipv4Addr::new(172, 16, 0, 0), 12, "private"),
    (Ipv4Addr::new(192, 0, 0, 0), 24, "protocol assignments"),
    (Ipv4Addr::new(192, 0, 2, 0), 24, "documentation"),
    (Ipv4Addr::new(192, 88, 99, 0), 24, "6to4 relay"),
    (Ipv4Addr::new(192, 168, 0, 0), 16, "private"),
    (Ipv4Addr::new(198, 18, 0, 0), 15, "benchmarking"),
    (Ipv4Addr::new(198, 51, 100, 0), 24, "documentation"),
    (Ipv4Addr::new(203, 0, 113, 0), 24, "documentation"),
    (Ipv4Addr::new(224, 0, 0, 0), 4, "multicast"),
    (Ipv4Addr::BROADCAST, 32, "broadcast"),
    (Ipv4Addr::new(240, 0, 0, 0), 4, "reserved"),
];

/// The same for IPv6: special blocks inside 2000::/3, and those outside that deserve their own name.
const IPV6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::UNSPECIFIED, 128, "unspecified"),
    (Ipv6Addr::LOCALHOST, 128, "loopback"),
    (Ipv6Addr::UNSPECIFIED, 96, "IPv4-compatible"),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48, "local NAT64"),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64, "discard"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32, "Teredo"),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, "protocol assignments"),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, "documentation"),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, "documentation"),
    (Ipv6Addr::new(0x5f00, 0, 0, 0, 0, 0, 0, 0), 16, "segment routing"),
    (Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128, "metadata"),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, "unique local"),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, "link-local"),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, "site-local"),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, "multicast"),
];

/// Names that mean this machine, this network or a cloud's metadata service.
const NAMES: &[&str] = &["localhost", "internal", "local", "localdomain", "home.arpa", "in-addr.arpa", "ip6.arpa"];

/// Why this address is not the public internet; `None` if it is. IPv4 inside IPv6 (mapped, 6to4, NAT64,
/// ISATAP) is judged by the IPv4 address.
pub fn is_forbidden(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(v4) => forbidden_v4(v4),
        IpAddr::V6(v6) => forbidden_v6(v6),
    }
}

/// Whether this host name (any case, with or without its trailing dot) is one that never names a public
/// function: `localhost`, `*.internal` and their like.
pub fn is_forbidden_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    NAMES.iter().any(|zone| in_zone(name, zone))
}

/// Whether `name` is `zone` or below it; case does not matter.
pub(super) fn in_zone(name: &str, zone: &str) -> bool {
    let Some(split) = name.len().checked_sub(zone.len()) else { return false };
    let (head, tail) = name.as_bytes().split_at(split);
    tail.eq_ignore_ascii_case(zone.as_bytes()) && (head.is_empty() || head.ends_with(b"."))
}

fn forbidden_v4(address: Ipv4Addr) -> Option<&'static str> {
    let bits = address.to_bits();
    let found = IPV4.iter().find(|(net, prefix, _)| (bits ^ net.to_bits()) >> (32 - prefix) == 0);
    found.map(|(_, _, reason)| *reason)
}

fn forbidden_v6(address: Ipv6Addr) -> Option<&'static str> {
    if let Some(v4) = address.to_ipv4_mapped() {
        return forbidden_v4(v4);
    }
    let bits = address.to_bits();
    if let Some((_, _, reason)) = IPV6.iter().find(|(net, prefix, _)| (bits ^ net.to_bits()) >> (128 - prefix) == 0) {
        return Some(reason);
    }
    if let Some(v4) = translated(address) {
        return forbidden_v4(v4);
    }
    // Only 2000::/3 has been handed out; whatever else exists is somebody's local arrangement.
    (bits >> 125 != 1).then_some("not global unicast")
}

/// The IPv4 address a relay or translator would turn this one into.
fn translated(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    match address.segments() {
        [0x2002, high, low, ..] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        // ISATAP: any prefix, then 0:5efe (or 200:5efe) and the IPv4 address. Public ones are left to the prefix.
        [first, _, _, _, 0 | 0x200, 0x5efe, high, low] if first >> 13 == 1 => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_beside_the_special_blocks_are_public() {
        for public in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
            "2001:4860:4860::8888",
        ] {
            let address: IpAddr = public.parse().unwrap();
            assert_eq!(is_forbidden(address), None, "{public}");
        }
    }

    #[test]
    fn the_ends_of_every_special_block_are_forbidden() {
        for special in [
            "0.0.0.0",
            "0.255.255.255",
            "10.0.0.0",
            "10.255.255.255",
            "100.64.0.0",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.0",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.255.255",
            "198.18.0.0",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::2",
            "::7f00:1",
            "::ffff:10.0.0.1",
            "::ffff:0:7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fdff::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
            "2a00:1450::5efe:a00:1",
            "2a00:1450::200:5efe:7f00:1",
        ] {
            let address: IpAddr = special.parse().unwrap();
            assert!(is_forbidden(address).is_some(), "{special}");
        }
    }

    #[test]
    fn local_names_are_forbidden_in_any_spelling() {
        for name in
            ["localhost", "LOCALHOST.", "a.localhost", "metadata.google.internal", "x.Internal.", "printer.local"]
        {
            assert!(is_forbidden_name(name), "{name}");
        }
        for name in ["localhost.example.com", "notlocalhost", "internal.example", "mylocal", "example.com", ""] {
            assert!(!is_forbidden_name(name), "{name}");
        }
    }
}
