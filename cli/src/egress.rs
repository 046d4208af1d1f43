//! The outgoing filter, as commands and services ask it: what is let through, and how to mend a refusal.

use clap::Args;
use posthaste_dispatcher::egress::{EgressPolicy, EgressRefusal};
use posthaste_service::config::{ConfigError, EgressAllow, Problem};
use url::Url;

const EGRESS_ALLOW: &str = "POSTHASTE_EGRESS_ALLOW";

/// What the dispatchers let through, for commands that judge endpoints before they do.
#[derive(Debug, Args)]
pub struct EgressConfig {
    /// Addresses, ranges or names that the dispatchers let through although private (comma list)
    #[arg(long, env = EGRESS_ALLOW, value_name = "LIST", default_value = "", hide_default_value = true)]
    egress_allow: String,
}

impl EgressConfig {
    /// The filter; that of a running `posthaste dev` lets loopback through too.
    pub fn policy(&self, of_dev: bool) -> Result<EgressPolicy, ConfigError> {
        let allow = EgressAllow::parse(&self.egress_allow).map_err(|messages| ConfigError {
            problems: messages.into_iter().map(|message| Problem { setting: EGRESS_ALLOW, message }).collect(),
        })?;
        Ok(policy(if of_dev { allow.and(EgressAllow::loopback()) } else { allow }))
    }
}

/// The filter that lets this through.
pub fn policy(allow: EgressAllow) -> EgressPolicy {
    EgressPolicy::new(allow.nets, allow.names)
}

/// Whether an endpoint may have this URL; else why not and what to do, for the API and the command line alike.
pub fn check(policy: &EgressPolicy, url: &Url) -> Result<(), String> {
    policy.check_url(url).map_err(|refusal| match refusal {
        EgressRefusal::Scheme | EgressRefusal::NoHost | EgressRefusal::UserInfo => refusal.to_string(),
        EgressRefusal::PlainHttp => {
            format!("{refusal}; use https, or list its host there, here and for every dispatcher")
        }
        EgressRefusal::ForbiddenName | EgressRefusal::ForbiddenAddress(_) => {
            format!(
                "{refusal}; use a public https URL, or list its host in {EGRESS_ALLOW}, here and for every dispatcher"
            )
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_that_the_list_can_lift_names_the_list_and_never_the_host() {
        let check = |url: &str| check(&EgressPolicy::default(), &Url::parse(url).unwrap());
        for url in ["https://10.9.8.7/", "http://127.0.0.1:9000/", "https://jobs.internal/", "http://example.com/"] {
            let said = check(url).unwrap_err();
            assert!(said.contains(EGRESS_ALLOW) && said.contains("every dispatcher"), "{said}");
            assert!(!said.contains("10.9.8.7") && !said.contains("jobs"), "{said}");
        }
        assert!(!check("https://user@example.com/").unwrap_err().contains(EGRESS_ALLOW));
        assert!(check("https://example.com/").is_ok());
    }

    #[test]
    fn the_filter_of_dev_lets_loopback_through_and_the_list_goes_with_it() {
        let config = EgressConfig { egress_allow: "10.0.0.0/8".to_owned() };
        let url = |text: &str| Url::parse(text).unwrap();
        assert!(check(&config.policy(true).unwrap(), &url("http://127.0.0.1:9000/")).is_ok());
        assert!(check(&config.policy(false).unwrap(), &url("http://127.0.0.1:9000/")).is_err());
        assert!(check(&config.policy(false).unwrap(), &url("http://10.1.1.1/")).is_ok());
        let wrong = EgressConfig { egress_allow: "300.1.1.1,a b".to_owned() };
        assert_eq!(wrong.policy(false).unwrap_err().problems.len(), 2);
    }
}
