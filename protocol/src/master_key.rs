//! Lists of master keys as settings give them: `kid:hex64[,kid:hex64]`.

use zeroize::Zeroizing;

/// The most keys in a ring.
const MAX_KEYS: usize = 32;

/// Thirty-two secret bytes from which the keys of each purpose are derived; wiped when dropped.
pub(crate) type MasterKey = Zeroizing<[u8; 32]>;

/// Why a text is not such a list. Never holds a part of the text but a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// There is nothing in it.
    Empty,
    /// This entry, counted from 1, cannot be read.
    Entry(usize),
    /// Two entries have this key id.
    Duplicate(u16),
    /// More than 32 entries.
    TooMany,
}

/// Reads `kid:value[,kid:value…]`, each value by `read`; white space around entries, as at the end of a file, does
/// not matter. Key ids are 1 to 65535, each once.
pub(crate) fn entries<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> Result<Vec<(u16, T)>, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Fault::Empty);
    }
    let mut entries: Vec<(u16, T)> = Vec::new();
    for (index, entry) in text.split(',').enumerate() {
        let (kid, value) = split(entry.trim()).ok_or(Fault::Entry(index + 1))?;
        let value = read(value).ok_or(Fault::Entry(index + 1))?;
        if index == MAX_KEYS {
            return Err(Fault::TooMany);
        }
        if entries.iter().any(|(other, _)| *other == kid) {
            return Err(Fault::Duplicate(kid));
        }
        entries.push((kid, value));
    }
    Ok(entries)
}

/// Reads the 64 hexadecimal digits of a master key.
pub(crate) fn master(hex_digits: &str) -> Option<MasterKey> {
    let mut master = Zeroizing::new([0; 32]);
    hex::decode_to_slice(hex_digits, master.as_mut_slice()).ok()?;
    Some(master)
}

fn split(entry: &str) -> Option<(u16, &str)> {
    let (kid, value) = entry.split_once(':')?;
    let plain = kid.bytes().all(|b| b.is_ascii_digit());
    let kid = kid.parse().ok().filter(|&kid| plain && kid != 0)?;
    Some((kid, value))
}
