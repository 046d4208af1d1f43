//! What the outgoing filter lets through although it is private.

use std::net::IpAddr;

use ipnet::IpNet;

/// Addresses, ranges and names that an operator allows. Empty by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EgressAllow {
    /// Single addresses are ranges of one.
    pub nets: Vec<IpNet>,
    /// Exact host names, lower case, without a trailing dot.
    pub names: Vec<String>,
}

impl EgressAllow {
    /// Loopback by address and by name, which `posthaste dev` allows.
    pub fn loopback() -> Self {
        let nets = ["127.0.0.0/8", "::1/128"];
        Self { nets: nets.iter().filter_map(|net| net.parse().ok()).collect(), names: vec!["localhost".to_owned()] }
    }

    /// Parses a comma list; the error has one message per item that is neither address, range nor name.
    pub fn parse(list: &str) -> Result<Self, Vec<String>> {
        let mut allow = Self::default();
        let mut problems = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            if let Some(net) = parse_net(item) {
                allow.nets.push(net);
            } else if is_name(item) {
                let name = item.strip_suffix('.').unwrap_or(item);
                allow.names.push(name.to_ascii_lowercase());
            } else {
                problems.push(format!(
                    "has {item:?}, which is no address (10.0.0.7), range (10.0.0.0/8) or host name (jobs.internal)"
                ));
            }
        }
        if problems.is_empty() { Ok(allow) } else { Err(problems) }
    }

    /// Adds everything that `other` allows.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.nets.extend(other.nets);
        self.names.extend(other.names);
        self
    }

    /// Whether an address is allowed; an IPv4 address mapped into IPv6 counts as itself.
    pub fn allows_address(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.nets.iter().any(|net| net.contains(&address))
    }

    /// Whether a host name is allowed, whatever its case or trailing dot.
    pub fn allows_name(&self, name: &str) -> bool {
        let name = name.strip_suffix('.').unwrap_or(name);
        self.names.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
    }
}

fn parse_net(item: &str) -> Option<IpNet> {
    let unbracketed = item.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(item);
    item.parse().ok().or_else(|| {
        let address: IpAddr = unbracketed.parse().ok()?;
        Some(IpNet::from(address.to_canonical()))
    })
}

/// A host name; its last label must not be a number, or a mistyped address would pass for one.
fn is_name(item: &str) -> bool {
    let name = item.strip_suffix('.').unwrap_or(item);
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let ends_in_letter =
        name.rsplit('.').next().is_some_and(|label| label.bytes().any(|byte| byte.is_ascii_alphabetic()));
    name.len() <= 253 && name.split('.').all(is_label) && ends_in_letter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_ranges_and_names_are_told_apart() {
        let allow = EgressAllow::parse("10.1.2.3, 192.168.0.0/16,[fd00::1],Jobs.Internal.,localhost").unwrap();
        assert!(allow.allows_address("10.1.2.3".parse().unwrap()));
        assert!(allow.allows_address("::ffff:192.168.9.9".parse().unwrap()));
        assert!(allow.allows_address("fd00::1".parse().unwrap()));
        assert!(!allow.allows_address("10.1.2.4".parse().unwrap()));
        assert!(allow.allows_name("jobs.internal") && allow.allows_name("LOCALHOST."));
        assert!(!allow.allows_name("evil.jobs.internal"));
    }

    #[test]
    fn every_bad_item_is_named() {
        let problems = EgressAllow::parse("10.0.0.0/33,999.1.1.1,a b,http://x,ok.example").unwrap_err();
        assert_eq!(problems.len(), 4, "{problems:?}");
    }

    #[test]
    fn loopback_allows_both_families_and_the_name() {
        let allow = EgressAllow::loopback();
        assert!(allow.allows_address("127.8.8.8".parse().unwrap()));
        assert!(allow.allows_address("::1".parse().unwrap()));
        assert!(allow.allows_name("localhost"));
    }
}
