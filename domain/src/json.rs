//! Strict JSON in, canonical JSON out.
//!
//! Reading refuses what two readers could understand differently: duplicate keys, floating
//! point, integers past ±(2^53−1), U+0000, deep nesting (RFC 8785, RFC 7493). Writing gives
//! RFC 8785 bytes for what reading accepts: numbers are integers, so only member order and
//! string escapes are left to get right.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::refusal::{Refusal, RefusalCode};

/// Most levels of objects and arrays.
pub const MAX_DEPTH: usize = 16;
/// Largest integer that every reader holds exactly: 2^53 − 1.
pub const MAX_INTEGER: i64 = 9_007_199_254_740_991;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("not valid UTF-8")]
    InvalidUtf8,
    #[error("not valid JSON: {0}")]
    Syntax(String),
    #[error("the member `{0}` appears twice")]
    DuplicateKey(String),
    #[error("the number {0} is not an integer between -(2^53-1) and 2^53-1")]
    NotAnInteger(String),
    #[error("the character U+0000 is not allowed")]
    NulCharacter,
    #[error("too many levels of nesting")]
    TooDeep,
}

impl JsonError {
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::NotAnInteger(number) => Refusal::new(
                RefusalCode::NumberNotInteger,
                format!(
                    "{number} : écrire un entier entre -(2^53-1) et 2^53-1 (centimes, jours, millièmes)"
                ),
                format!(
                    "{number}: write an integer between -(2^53-1) and 2^53-1 (cents, days, per mille)"
                ),
            ),
            other => Refusal::new(
                RefusalCode::Malformed,
                format!("JSON refusé : {other}"),
                format!("JSON refused: {other}"),
            ),
        }
    }
}

/// Reads one JSON value, strictly.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_nested(bytes, MAX_DEPTH)
}

/// The same with another limit of nesting.
pub fn parse_nested(bytes: &[u8], max_depth: usize) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::InvalidUtf8)?;
    let mut fault = None;
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = Strict { levels_left: max_depth, fault: &mut fault }
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match (value, fault) {
        (_, Some(fault)) => Err(fault),
        (Ok(value), None) => Ok(value),
        (Err(e), None) => Err(JsonError::Syntax(e.to_string())),
    }
}

/// Reads one value at a depth; the first fault of ours is kept beside serde's error, which
/// holds only text.
struct Strict<'a> {
    levels_left: usize,
    fault: &'a mut Option<JsonError>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(&mut self, fault: JsonError) -> E {
        let error = E::custom(&fault);
        self.fault.get_or_insert(fault);
        error
    }

    fn text<E: serde::de::Error>(&mut self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(self.fail(JsonError::NulCharacter)) } else { Ok(()) }
    }

    fn deeper<E: serde::de::Error>(&mut self) -> Result<usize, E> {
        match self.levels_left.checked_sub(1) {
            Some(left) => Ok(left),
            None => Err(self.fail(JsonError::TooDeep)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Value, D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON with integers only")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, v: bool) -> Result<Value, E> {
        Ok(Value::Bool(v))
    }

    fn visit_i64<E: serde::de::Error>(mut self, v: i64) -> Result<Value, E> {
        if v.unsigned_abs() > MAX_INTEGER.unsigned_abs() {
            return Err(self.fail(JsonError::NotAnInteger(v.to_string())));
        }
        Ok(v.into())
    }

    fn visit_u64<E: serde::de::Error>(mut self, v: u64) -> Result<Value, E> {
        if v > MAX_INTEGER.unsigned_abs() {
            return Err(self.fail(JsonError::NotAnInteger(v.to_string())));
        }
        Ok(v.into())
    }

    fn visit_f64<E: serde::de::Error>(mut self, v: f64) -> Result<Value, E> {
        Err(self.fail(JsonError::NotAnInteger(v.to_string())))
    }

    fn visit_str<E: serde::de::Error>(mut self, v: &str) -> Result<Value, E> {
        self.text(v)?;
        Ok(Value::String(v.to_owned()))
    }

    fn visit_string<E: serde::de::Error>(mut self, v: String) -> Result<Value, E> {
        self.text(&v)?;
        Ok(Value::String(v))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<Value, A::Error> {
        let levels_left = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Strict { levels_left, fault: self.fault })? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Value, A::Error> {
        let levels_left = self.deeper()?;
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            self.text(&key)?;
            if members.contains_key(&key) {
                return Err(self.fail(JsonError::DuplicateKey(key)));
            }
            let value = map.next_value_seed(Strict { levels_left, fault: self.fault })?;
            members.insert(key, value);
        }
        Ok(Value::Object(members))
    }
}

/// RFC 8785 bytes of a value with integers only.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(512);
    write_canonical(value, &mut out);
    out
}

/// Appends the RFC 8785 bytes of a value with integers only.
pub fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(n) => match n.as_u64() {
            Some(n) => write_integer(n, out),
            None => out.extend_from_slice(n.to_string().as_bytes()),
        },
        Value::String(s) => write_canonical_str(s, out),
        Value::Array(values) => {
            out.push(b'[');
            for (i, value) in values.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                write_canonical(value, out);
            }
            out.push(b']');
        }
        Value::Object(members) => {
            out.push(b'{');
            let mut first = true;
            let mut member = |key: &str, value: &Value| {
                if !std::mem::take(&mut first) {
                    out.push(b',');
                }
                write_canonical_str(key, out);
                out.push(b':');
                write_canonical(value, out);
            };
            // The map iterates in UTF-8 order, which is also UTF-16 order except between
            // U+E000–U+FFFF and the characters above them.
            if members.keys().all(|k| k.is_ascii()) {
                members.iter().for_each(|(k, v)| member(k, v));
            } else {
                let mut sorted: Vec<_> = members.iter().collect();
                sorted.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
                sorted.into_iter().for_each(|(k, v)| member(k, v));
            }
            out.push(b'}');
        }
    }
}

/// Appends an integer in decimal.
pub fn write_integer(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut from = digits.len();
    loop {
        from -= 1;
        digits[from] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[from..]);
}

/// Appends a string with the escapes of RFC 8785 §3.2.2.2, quotes included.
pub fn write_canonical_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut plain = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            0x00..=0x1f => 0,
            _ => continue,
        };
        out.extend_from_slice(&bytes[plain..i]);
        plain = i + 1;
        if short == 0 {
            out.extend_from_slice(format!("\\u{byte:04x}").as_bytes());
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
    }
    out.extend_from_slice(&bytes[plain..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        assert_eq!(parse(br#"{"a":1,"\u0061":2}"#), Err(JsonError::DuplicateKey("a".into())));
        for number in [
            "1.0",
            "1e3",
            "-0",
            "9007199254740992",
            "-9007199254740992",
            "1e400",
            "99999999999999999999",
        ] {
            assert!(
                matches!(
                    parse(number.as_bytes()),
                    Err(JsonError::NotAnInteger(_) | JsonError::Syntax(_))
                ),
                "{number}"
            );
        }
        assert!(matches!(parse(b"9007199254740992"), Err(JsonError::NotAnInteger(_))));
        assert_eq!(parse(b"9007199254740991"), Ok(MAX_INTEGER.into()));
        assert_eq!(parse(br#""\u0000""#), Err(JsonError::NulCharacter));
        assert_eq!(parse(b"\"\xff\""), Err(JsonError::InvalidUtf8));
        assert!(matches!(parse(b"\xef\xbb\xbf1"), Err(JsonError::Syntax(_))));
        assert!(matches!(parse(b"1 2"), Err(JsonError::Syntax(_))));
    }

    #[test]
    fn sixteen_levels_are_read_and_seventeen_are_not() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(parse(nested(16).as_bytes()).is_ok());
        assert_eq!(parse(nested(17).as_bytes()), Err(JsonError::TooDeep));
        assert!(parse(nested(100_000).as_bytes()).is_err());
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-MAX_INTEGER..=MAX_INTEGER).prop_map(Value::from),
            "[^\\x00]{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::btree_map("[^\\x00]{0,6}", inner, 0..6)
                    .prop_map(|m| Value::Object(m.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_are_those_of_a_general_library(v in value()) {
            let expected = serde_json_canonicalizer::to_vec(&v).expect("a general canonicaliser takes it");
            prop_assert_eq!(canonical(&v), expected);
        }

        #[test]
        fn canonical_bytes_read_back_as_the_same_value(v in value()) {
            prop_assert_eq!(parse(&canonical(&v)), Ok(v));
        }
    }
}
