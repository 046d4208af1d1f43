//! What `#[job(…)]` says.

use std::ops::RangeInclusive;

use syn::{Attribute, LitInt, LitStr, Result, meta::ParseNestedMeta};

/// The attribute's options; what is `None` was not given.
#[derive(Default)]
pub struct Options {
    pub kind: Option<LitStr>,
    pub queue: Option<LitStr>,
    pub endpoint: Option<LitStr>,
    pub priority: Option<LitInt>,
    pub max_attempts: Option<LitInt>,
    pub timeout_ms: Option<LitInt>,
}

impl Options {
    /// Reads the `job` attributes among these.
    pub fn read(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("job")) {
            attribute.parse_nested_meta(|meta| options.set(&meta))?;
        }
        Ok(options)
    }

    fn set(&mut self, meta: &ParseNestedMeta) -> Result<()> {
        let option = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
        match option.as_str() {
            "kind" => once(&mut self.kind, meta, name),
            "queue" => once(&mut self.queue, meta, name),
            "endpoint" => once(&mut self.endpoint, meta, name),
            "priority" => once(&mut self.priority, meta, |meta| number(meta, 1..=4)),
            "max_attempts" => once(&mut self.max_attempts, meta, |meta| number(meta, 1..=1000)),
            "timeout_ms" => once(&mut self.timeout_ms, meta, |meta| number(meta, 1..=3_600_000)),
            _ => Err(meta.error("must be one of kind, queue, endpoint, priority, max_attempts, timeout_ms")),
        }
    }
}

fn once<T>(
    slot: &mut Option<T>,
    meta: &ParseNestedMeta,
    read: impl FnOnce(&ParseNestedMeta) -> Result<T>,
) -> Result<()> {
    match slot.replace(read(meta)?) {
        Some(_) => Err(meta.error("is given more than once")),
        None => Ok(()),
    }
}

fn name(meta: &ParseNestedMeta) -> Result<LitStr> {
    let literal: LitStr = meta.value()?.parse()?;
    if is_name(&literal.value()) {
        return Ok(literal);
    }
    let message = "must be 1 to 200 letters, digits and _ - . : /, the first a letter or digit";
    Err(syn::Error::new(literal.span(), message))
}

fn is_name(name: &str) -> bool {
    name.len() <= 200
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.:/".contains(&byte))
}

fn number(meta: &ParseNestedMeta, range: RangeInclusive<i32>) -> Result<LitInt> {
    let literal: LitInt = meta.value()?.parse()?;
    match literal.base10_parse::<i32>() {
        Ok(number) if range.contains(&number) => Ok(literal),
        _ => {
            let message = format!("must be {} to {}", range.start(), range.end());
            Err(syn::Error::new(literal.span(), message))
        }
    }
}
