//! W3C trace context: the `traceparent` header.
//!
//! Source: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;
use std::str::FromStr;

/// A position in a trace: which trace, which span, and whether it is sampled. Neither id is all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

/// The text is not a `traceparent`, or an id is all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a W3C traceparent")]
pub struct InvalidTraceparent;

impl TraceContext {
    /// The flag of a sampled trace.
    pub const SAMPLED: u8 = 1;

    /// A context of these ids; `Err` if one is all zeros.
    pub fn new(trace_id: [u8; 16], span_id: [u8; 8], flags: u8) -> Result<Self, InvalidTraceparent> {
        if trace_id == [0; 16] || span_id == [0; 8] {
            return Err(InvalidTraceparent);
        }
        Ok(Self { trace_id, span_id, flags })
    }

    /// The trace's id.
    pub const fn trace_id(&self) -> [u8; 16] {
        self.trace_id
    }

    /// The span's id.
    pub const fn span_id(&self) -> [u8; 8] {
        self.span_id
    }

    /// The flags; bit 0 is [`Self::SAMPLED`].
    pub const fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the trace is sampled.
    pub const fn is_sampled(&self) -> bool {
        self.flags & Self::SAMPLED != 0
    }

    /// A child span in the same trace, with the same flags; `Err` if `new_span_id` is all zeros.
    pub fn child(&self, new_span_id: [u8; 8]) -> Result<Self, InvalidTraceparent> {
        Self::new(self.trace_id, new_span_id, self.flags)
    }
}

impl fmt::Display for TraceContext {
    /// The `traceparent` header of version 00.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace_id = u128::from_be_bytes(self.trace_id);
        let span_id = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace_id:032x}-{span_id:016x}-{:02x}", self.flags)
    }
}

impl FromStr for TraceContext {
    type Err = InvalidTraceparent;

    /// Strict: lower-case hexadecimal, exact lengths, version 00 without a tail. A later version may go on after
    /// another dash, as the standard asks; of its flags only the sampled one is kept.
    fn from_str(text: &str) -> Result<Self, InvalidTraceparent> {
        let mut parts = text.splitn(5, '-');
        let [version] = hex_bytes(parts.next())?;
        let trace_id = hex_bytes(parts.next())?;
        let span_id = hex_bytes(parts.next())?;
        let [flags] = hex_bytes(parts.next())?;
        match (version, parts.next()) {
            (0xff, _) | (0, Some(_)) => Err(InvalidTraceparent),
            (0, None) => Self::new(trace_id, span_id, flags),
            _ => Self::new(trace_id, span_id, flags & Self::SAMPLED),
        }
    }
}

fn hex_bytes<const N: usize>(part: Option<&str>) -> Result<[u8; N], InvalidTraceparent> {
    let digits = part.filter(|p| !p.bytes().any(|b| b.is_ascii_uppercase())).ok_or(InvalidTraceparent)?;
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| InvalidTraceparent)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_standards_example_comes_back() {
        let context: TraceContext = EXAMPLE.parse().unwrap();
        assert!(context.is_sampled());
        assert_eq!(context.to_string(), EXAMPLE);
    }

    #[test]
    fn a_child_stays_in_the_trace() {
        let parent: TraceContext = EXAMPLE.parse().unwrap();
        let child = parent.child([0, 0, 0, 0, 0, 0, 0, 1]).unwrap();
        assert_eq!(child.to_string(), "00-0af7651916cd43dd8448eb211c80319c-0000000000000001-01");
        assert_eq!(parent.child([0; 8]), Err(InvalidTraceparent));
    }

    #[test]
    fn later_versions_may_go_on() {
        let later = EXAMPLE.replacen("00", "01", 1);
        assert_eq!(format!("{later}-what").parse::<TraceContext>(), EXAMPLE.parse());
        assert_eq!(later.replace("-01", "-ff").parse::<TraceContext>().map(|c| c.flags()), Ok(1));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "00",
            &EXAMPLE.to_uppercase(),
            &format!("{EXAMPLE}-x"),
            &format!("{EXAMPLE} "),
            &EXAMPLE[..EXAMPLE.len() - 1],
            &EXAMPLE.replacen("00", "ff", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319-b7ad6b71692033311-01",
            "00-éaf7651916cd43dd8448eb211c80319-b7ad6b7169203331-01",
        ] {
            assert_eq!(bad.parse::<TraceContext>(), Err(InvalidTraceparent), "{bad}");
        }
    }
}
