//! The URL of an endpoint.

use url::Url;

use crate::field::Field;
use crate::object::Faults;

const MAX_BYTES: usize = 2048;

/// Reads a URL that can be POSTed to. Which addresses it may resolve to is the egress filter's business.
pub(super) fn read(field: &Field, faults: &mut Faults) -> Option<Url> {
    let text = field.text(faults)?;
    match check(&text) {
        Ok(url) => Some(url),
        Err(message) => {
            field.fault("invalid_url", message, faults);
            None
        }
    }
}

/// What a URL of `Invoke` looks like, for people.
pub(super) const INVOKE: &str = "must be that of Invoke for the format lambda: \
    https://lambda.<region>.amazonaws.com/2015-03-31/functions/<name>/invocations";

/// Whether this is the path of Lambda's `Invoke`, whoever serves it.
pub(super) fn is_invoke(url: &Url) -> bool {
    let name = url.path().strip_prefix("/2015-03-31/functions/").and_then(|rest| rest.strip_suffix("/invocations"));
    name.is_some_and(|name| !name.is_empty() && !name.contains('/'))
}

fn check(text: &str) -> Result<Url, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("must be at most 2048 bytes");
    }
    // The parser drops or mends these, so that what is shown would not be what is called.
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '\\') {
        return Err("must not contain spaces, control characters or backslashes");
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    if !matches!(scheme.as_deref(), Some("http" | "https")) {
        return Err("must begin with http:// or https://");
    }
    let url = Url::parse(text).map_err(|_| "is not a valid URL")?;
    let authority = text.split(['/', '?', '#']).nth(2).unwrap_or_default();
    if authority.is_empty() || url.host().is_none() {
        return Err("must name a host");
    }
    if authority.contains('@') {
        return Err("must not contain a user name or password: use auth or headers");
    }
    if url.fragment().is_some() {
        return Err("must not contain a fragment");
    }
    if url.port() == Some(0) {
        return Err("must not use port 0");
    }
    if url.as_str().len() > MAX_BYTES {
        return Err("must be at most 2048 bytes once percent-encoded");
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_http_or_https_url_is_taken() {
        for good in ["https://a.example/x?y=z", "http://127.0.0.1:9000", "HTTPS://a.example", "http://[::1]:1/"] {
            assert!(check(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn invoke_is_known_by_its_path() {
        let is = |path: &str| is_invoke(&Url::parse(&format!("https://lambda.eu-west-1.amazonaws.com{path}")).unwrap());
        assert!(
            is("/2015-03-31/functions/pdf/invocations") && is("/2015-03-31/functions/pdf/invocations?Qualifier=live")
        );
        assert!(is("/2015-03-31/functions/arn:aws:lambda:eu-west-1:123456789012:function:pdf/invocations"));
        for other in
            ["/", "/2015-03-31/functions//invocations", "/2015-03-31/functions/a/b/invocations", "/pdf/invocations"]
        {
            assert!(!is(other), "{other}");
        }
    }

    #[test]
    fn every_other_url_is_refused_with_its_reason() {
        let long = format!("https://a.example/{}", "x".repeat(MAX_BYTES));
        let swollen = format!("https://a.example/{}", "é".repeat(800));
        for (bad, reason) in [
            ("", "must begin"),
            ("a.example", "must begin"),
            ("ftp://a.example", "must begin"),
            ("https:a.example", "must begin"),
            ("file:///etc/passwd", "must begin"),
            ("https://", "not a valid"),
            ("https:///x", "must name a host"),
            ("https://?x", "not a valid"),
            ("https://:80", "not a valid"),
            ("https://u:p@a.example", "user name"),
            ("https://u@a.example", "user name"),
            ("https://@a.example", "user name"),
            ("https://a.example/#x", "fragment"),
            ("https://a.example#", "fragment"),
            ("https://a.example:0/", "port 0"),
            ("https://a.example:99999/", "not a valid"),
            ("https://a b/", "spaces"),
            (" https://a.example", "spaces"),
            ("https://a.example\n", "spaces"),
            ("https://a.example\\@b", "backslashes"),
            ("http://999.1.1.1/", "not a valid"),
            (&long, "at most 2048"),
            (&swollen, "percent-encoded"),
        ] {
            let message = check(bad).unwrap_err();
            assert!(message.contains(reason), "{bad}: {message}");
        }
    }
}
