//! JSON as a tree, whatever its members are called.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value as Json};

/// Reads a JSON text. Of members with the same name the last one counts; a number that does not fit 64 bits becomes a
/// double.
///
/// Unlike `serde_json::from_str`, which takes an object whose first member is `$serde_json::private::RawValue` for the
/// JSON text in that member. What is in that text has passed none of the bounds that the text around it has passed, and
/// may hold such a text again, for as long as the stack lasts.
pub fn read(text: &str) -> serde_json::Result<Json> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Tree.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Makes a tree of what is read. Recurses as deep as serde_json does, 128 at most.
struct Tree;

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Json, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Json, E> {
        Ok(flag.into())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Json, E> {
        Ok(number.into())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Json, E> {
        Ok(text.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Self)? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            map.insert(name, members.next_value_seed(Self)?);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_what_serde_json_makes_of_it() {
        for text in
            [r#"{"a": [1, -2, 1.5, "é\n", null, true, {}], "b": 1, "a": 18446744073709551615}"#, "1e999", "[", "1 2"]
        {
            assert_eq!(read(text).ok(), serde_json::from_str(text).ok(), "{text}");
        }
    }

    #[test]
    fn a_member_of_any_name_is_a_member() {
        for name in ["$serde_json::private::RawValue", "$serde_json::private::Number"] {
            let value = Json::from_iter([(name, "[1]")]);
            assert_eq!(read(&format!(r#"{{"{name}": "[1]"}}"#)).unwrap(), value);
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read(&nested(127)).is_ok() && read(&nested(128)).is_err());
    }
}
