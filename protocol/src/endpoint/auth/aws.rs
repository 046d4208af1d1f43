//! AWS Signature Version 4: for which region and service, and as whom.

use url::Url;

use super::{Auth, part::Parts};
use crate::field::Field;
use crate::object::Faults;
use crate::word::words;

words! {
    /// A service that requests are signed for.
    pub enum AwsService {
        /// The Invoke API and function URLs.
        Lambda = "lambda",
        /// API Gateway.
        ExecuteApi = "execute-api",
    }
}

/// Where AWS answers.
const ZONES: &[&str] = &[".amazonaws.com", ".amazonaws.com.cn", ".on.aws", ".api.aws", ".api.amazonwebservices.com.cn"];
/// The labels of a host that its region follows.
const BEFORE_REGION: &[&str] = &["lambda", "lambda-fips", "lambda-url", "execute-api"];

pub(super) fn read(parts: &mut Parts, faults: &mut Faults) -> Option<Auth> {
    let region = parts.take("region").and_then(|part| checked(&part, 64, is_region, "such as eu-west-1", faults));
    let service = parts.take("service").map_or(Some(AwsService::Lambda), |part| part.word(faults));
    let role_arn = parts
        .take("role_arn")
        .and_then(|part| checked(&part, 2048, is_role, "such as arn:aws:iam::123456789012:role/invoke", faults));
    let external_id = parts.take("external_id");
    if let (Some(part), None) = (&external_id, &role_arn) {
        part.fault("conflict", "is for a role: give role_arn too", faults);
    }
    let like = "2 to 1224 letters, digits and = , . @ : / + _ -";
    let external_id = external_id.and_then(|part| checked(&part, 1224, is_external_id, like, faults));
    Some(Auth::AwsSigv4 { region, service: service?, role_arn, external_id })
}

fn checked(
    part: &Field,
    max: usize,
    is_right: impl Fn(&str) -> bool,
    like: &str,
    faults: &mut Faults,
) -> Option<String> {
    let text = part.text_within(max, faults)?;
    if !is_right(&text) {
        part.fault("wrong_format", format!("must be {like}"), faults);
        return None;
    }
    Some(text)
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

fn is_role(text: &str) -> bool {
    let mut parts = text.splitn(6, ':');
    let head = (parts.next(), parts.next(), parts.next(), parts.next());
    let account =
        parts.next().is_some_and(|account| account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()));
    let role = parts.next().and_then(|rest| rest.strip_prefix("role/")).is_some_and(|name| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"/+=,.@_-".contains(&b))
    });
    matches!(head, (Some("arn"), Some(partition), Some("iam"), Some("")) if partition.starts_with("aws"))
        && account
        && role
}

fn is_external_id(text: &str) -> bool {
    text.len() >= 2 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"=,.@:/+_-".contains(&b))
}

/// The region that the host of an AWS service names.
pub(super) fn region_of(url: &Url) -> Option<&str> {
    let host = url.domain()?;
    if !ZONES.iter().any(|zone| host.ends_with(zone)) {
        return None;
    }
    let mut labels = host.split('.');
    labels.find(|label| BEFORE_REGION.contains(label))?;
    labels.next().filter(|region| is_region(region) && region.contains('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_of_aws_names_its_region() {
        let region = |host: &str| {
            let url = Url::parse(&format!("https://{host}/x")).unwrap();
            region_of(&url).map(str::to_owned)
        };
        for (host, expected) in [
            ("lambda.eu-west-1.amazonaws.com", Some("eu-west-1")),
            ("lambda-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("lambda.us-east-2.api.aws", Some("us-east-2")),
            ("lambda.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("abc123.lambda-url.ap-south-1.on.aws", Some("ap-south-1")),
            ("abc123.execute-api.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("vpce-1.lambda.eu-west-3.vpce.amazonaws.com", Some("eu-west-3")),
            ("lambda.amazonaws.com", None),
            ("lambda.eu-west-1.example.com", None),
            ("127.0.0.1", None),
        ] {
            assert_eq!(region(host).as_deref(), expected, "{host}");
        }
    }

    #[test]
    fn a_role_is_known_by_its_arn() {
        for good in ["arn:aws:iam::123456789012:role/invoke", "arn:aws-cn:iam::123456789012:role/path/of/invoke"] {
            assert!(is_role(good), "{good}");
        }
        for bad in [
            "invoke",
            "arn:aws:iam::123456789012:user/ada",
            "arn:aws:iam::1:role/x",
            "arn:aws:sts::123456789012:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
        ] {
            assert!(!is_role(bad), "{bad}");
        }
    }
}
