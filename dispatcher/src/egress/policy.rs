//! What an operator lets through the outgoing filter, and the judgement of every URL, name and address.

use std::net::IpAddr;

use ipnet::IpNet;
use url::{Host, Url};

use super::address;

/// Why a URL or address is not dialled. The wording names no URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EgressRefusal {
    /// Only `https`, and `http` to what the operator allows.
    #[error("the scheme must be https")]
    Scheme,
    /// The URL names no host.
    #[error("the URL has no host")]
    NoHost,
    /// Credentials belong into the endpoint's `auth`, not its URL.
    #[error("the URL must not contain a user name or password")]
    UserInfo,
    /// `localhost`, `*.internal` and their like.
    #[error("the host name is local")]
    ForbiddenName,
    /// Not the public internet.
    #[error("the address is not public: {0}")]
    ForbiddenAddress(&'static str),
    /// Plain HTTP to something that is not on the operator's list.
    #[error("plain http is only for addresses and names that POSTHASTE_EGRESS_ALLOW lists")]
    PlainHttp,
}

/// An entry of the allow-list that is neither an address, a range nor a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address, an address range nor a host name")]
pub struct BadEntry(pub String);

/// The addresses and names that pass although private, plain HTTP included; everything else must be
/// public and HTTPS.
#[derive(Debug, Clone, Default)]
pub struct EgressPolicy {
    nets: Vec<IpNet>,
    names: Vec<String>,
}

/// How much is known about a host name before it is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// The operator listed the name: whatever it resolves to is dialled.
    Listed,
    /// A local name or plain HTTP: only listed addresses are dialled.
    ListedAddresses,
    /// Public and listed addresses are dialled.
    Public,
}

impl EgressPolicy {
    /// Lets these ranges and names through. A name counts for itself, `*.example.com` for all below it.
    pub fn new(nets: Vec<IpNet>, names: Vec<String>) -> Self {
        let names = names.into_iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase()).collect();
        Self { nets, names }
    }

    /// Reads the entries of `POSTHASTE_EGRESS_ALLOW`: addresses, ranges and names, in any order.
    pub fn from_entries<'a>(entries: impl IntoIterator<Item = &'a str>) -> Result<Self, BadEntry> {
        let (mut nets, mut names) = (Vec::new(), Vec::new());
        for entry in entries.into_iter().map(str::trim).filter(|entry| !entry.is_empty()) {
            let bare = entry.trim_start_matches('[').trim_end_matches(']');
            if let Ok(net) = bare.parse::<IpNet>() {
                nets.push(net);
            } else if let Ok(address) = bare.parse::<IpAddr>() {
                nets.push(address.into());
            } else if is_name(entry) {
                names.push(entry.to_owned());
            } else {
                return Err(BadEntry(entry.to_owned()));
            }
        }
        Ok(Self::new(nets, names))
    }

    /// Judges an endpoint's URL: scheme, credentials, literal addresses and names. What a name resolves
    /// to is judged again whenever it is dialled.
    pub fn check_url(&self, url: &Url) -> Result<(), EgressRefusal> {
        let plain = match url.scheme() {
            "https" => false,
            "http" => true,
            _ => return Err(EgressRefusal::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(EgressRefusal::UserInfo);
        }
        match url.host().ok_or(EgressRefusal::NoHost)? {
            Host::Domain(name) => self.judge_name(name, plain).map(drop),
            Host::Ipv4(v4) => self.judge_literal(v4.into(), plain),
            Host::Ipv6(v6) => self.judge_literal(v6.into(), plain),
        }
    }

    pub(super) fn judge_literal(&self, address: IpAddr, plain: bool) -> Result<(), EgressRefusal> {
        self.judge_address(address, if plain { Trust::ListedAddresses } else { Trust::Public })
    }

    pub(super) fn judge_name(&self, name: &str, plain: bool) -> Result<Trust, EgressRefusal> {
        let name = name.strip_suffix('.').unwrap_or(name);
        if name.is_empty() {
            return Err(EgressRefusal::NoHost);
        }
        if self.lists_name(name) {
            return Ok(Trust::Listed);
        }
        let local = address::is_forbidden_name(name);
        match (local || plain, self.nets.is_empty()) {
            (false, _) => Ok(Trust::Public),
            (true, false) => Ok(Trust::ListedAddresses),
            (true, true) if local => Err(EgressRefusal::ForbiddenName),
            (true, true) => Err(EgressRefusal::PlainHttp),
        }
    }

    pub(super) fn judge_address(&self, address: IpAddr, trust: Trust) -> Result<(), EgressRefusal> {
        if trust == Trust::Listed || self.lists_address(address) {
            return Ok(());
        }
        match address::is_forbidden(address) {
            Some(reason) => Err(EgressRefusal::ForbiddenAddress(reason)),
            None if trust == Trust::ListedAddresses => Err(EgressRefusal::PlainHttp),
            None => Ok(()),
        }
    }

    pub(super) fn lists_address(&self, address: IpAddr) -> bool {
        let canonical = address.to_canonical();
        self.nets.iter().any(|net| net.contains(&canonical))
    }

    fn lists_name(&self, name: &str) -> bool {
        self.names.iter().any(|listed| match listed.strip_prefix("*.") {
            Some(zone) => name.len() > zone.len() && address::in_zone(name, zone),
            None => name.eq_ignore_ascii_case(listed),
        })
    }
}

fn is_name(entry: &str) -> bool {
    let name = entry.strip_prefix("*.").unwrap_or(entry).trim_end_matches('.');
    let label =
        |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    // A last label of digits is a mistyped address, not a name.
    let numeric = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    name.len() <= 253 && !numeric && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &EgressPolicy, url: &str) -> Result<(), EgressRefusal> {
        policy.check_url(&Url::parse(url).unwrap_or_else(|error| panic!("{url}: {error}")))
    }

    #[test]
    fn no_spelling_of_a_private_host_passes() {
        let policy = EgressPolicy::default();
        for host in [
            "127.0.0.1",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f.1",
            "0x7f000001",
            "0x7f.0x0.0x0.0x1",
            "017700000001",
            "0177.0.0.1",
            "0177.1",
            "127.0.0.1.",
            "127.1.",
            "１２７.0.0.1",
            "１２７。０。０。１",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
            "0",
            "0.0.0.0",
            "00",
            "0x0",
            "10.1.2.3",
            "167838211",
            "0xa.1.2.3",
            "012.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "2852039166",
            "0xa9fea9fe",
            "0xA9.0xFE.0xA9.0xFE",
            "0251.0376.0251.0376",
            "169.254.43518",
            "172.16.0.1",
            "172.31.255.254",
            "192.168.0.1",
            "3232235521",
            "192.168.1",
            "192.0.0.1",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "4294967295",
            "[::]",
            "[::1]",
            "[0:0:0:0:0:0:0:1]",
            "[0000::0001]",
            "[::127.0.0.1]",
            "[::ffff:127.0.0.1]",
            "[::FFFF:7f00:1]",
            "[::ffff:7f00:0001]",
            "[0:0:0:0:0:ffff:127.0.0.1]",
            "[::ffff:169.254.169.254]",
            "[::ffff:a9fe:a9fe]",
            "[::ffff:10.0.0.1]",
            "[::ffff:0:127.0.0.1]",
            "[2002:7f00:1::]",
            "[2002:a9fe:a9fe::]",
            "[64:ff9b::127.0.0.1]",
            "[64:ff9b::a9fe:a9fe]",
            "[64:ff9b:1::1]",
            "[2001::1]",
            "[2001:0:7f00:1::]",
            "[fc00::1]",
            "[fd12:3456::1]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[2001:db8::1]",
            "[5f00::1]",
            "[fd00:ec2::254]",
            "[100::1]",
            "[3fff::1]",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "foo.localhost",
            "ｌｏｃａｌｈｏｓｔ",
            "loc%61lhost",
            "metadata.google.internal",
            "METADATA.google.internal.",
            "x.internal",
            "ip-10-0-0-1.ec2.internal",
            "printer.local",
            "printer.local.",
            "localhost.localdomain",
        ] {
            assert!(check(&policy, &format!("https://{host}/f")).is_err(), "{host}");
            assert!(check(&policy, &format!("http://{host}:8080/f")).is_err(), "{host} by http");
        }
    }

    #[test]
    fn public_hosts_pass_by_https_only() {
        let policy = EgressPolicy::default();
        for host in [
            "example.com",
            "1.1.1.1",
            "[2606:4700::1111]",
            "134744072",
            "f.lambda-url.eu-west-1.on.aws",
            "bücher.example",
        ] {
            assert_eq!(check(&policy, &format!("https://{host}/f")), Ok(()), "{host}");
            assert_eq!(check(&policy, &format!("http://{host}/f")), Err(EgressRefusal::PlainHttp), "{host}");
        }
    }

    #[test]
    fn other_schemes_and_credentials_are_refused() {
        let policy = EgressPolicy::default();
        assert_eq!(check(&policy, "ftp://example.com/"), Err(EgressRefusal::Scheme));
        assert_eq!(check(&policy, "file:///etc/passwd"), Err(EgressRefusal::Scheme));
        assert_eq!(check(&policy, "https://user@example.com/"), Err(EgressRefusal::UserInfo));
        assert_eq!(check(&policy, "https://:pass@example.com/"), Err(EgressRefusal::UserInfo));
    }

    #[test]
    fn listed_ranges_and_names_pass_even_by_plain_http() {
        let policy =
            EgressPolicy::from_entries(["127.0.0.0/8", "::1", " 10.1.0.0/16 ", "*.corp.internal", "Printer.local."])
                .unwrap();
        for url in [
            "http://127.0.0.1:9000/",
            "http://0x7f.1/",
            "http://[::1]:9000/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost:9000/",
            "http://10.1.2.3/",
            "https://10.1.2.3/",
            "http://a.corp.internal/",
            "http://printer.LOCAL/",
            "https://example.com/",
        ] {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
        }
        for url in ["http://10.2.0.1/", "https://10.2.0.1/", "http://1.1.1.1/", "https://169.254.169.254/"] {
            assert!(check(&policy, url).is_err(), "{url}");
        }
    }

    #[test]
    fn a_local_or_plain_name_may_only_resolve_to_what_is_listed() {
        let policy = EgressPolicy::from_entries(["127.0.0.0/8", "a.example"]).unwrap();
        let (private, public): (IpAddr, IpAddr) = ("10.0.0.1".parse().unwrap(), "1.1.1.1".parse().unwrap());
        assert_eq!(policy.judge_name("localhost", false), Ok(Trust::ListedAddresses));
        assert_eq!(policy.judge_name("b.example", true), Ok(Trust::ListedAddresses));
        assert_eq!(policy.judge_name("b.example", false), Ok(Trust::Public));
        assert_eq!(policy.judge_name("A.example.", true), Ok(Trust::Listed));
        assert_eq!(policy.judge_address(public, Trust::ListedAddresses), Err(EgressRefusal::PlainHttp));
        assert_eq!(policy.judge_address(private, Trust::Public), Err(EgressRefusal::ForbiddenAddress("private")));
        assert_eq!(policy.judge_address(private, Trust::Listed), Ok(()));
    }

    #[test]
    fn a_mistyped_entry_is_named() {
        for entry in ["10.0.0.0/33", "300.1.1.1", "http://x", "a b", "*.", "-:"] {
            assert_eq!(EgressPolicy::from_entries([entry]).unwrap_err(), BadEntry(entry.to_owned()));
        }
    }
}
