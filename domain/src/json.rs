//! Strict JSON in, canonical JSON out.
//!
//! Every outside byte that claims to be JSON passes through [`parse`] once, before anything
//! else looks at it; every byte we hash or sign is written by [`canonical`] once and never
//! re-serialised to check. Deliberately not here: which members a text must have.
//!
//! What always holds: a value returned by [`parse`] has no duplicate member, no fraction, no
//! integer outside ±(2^53 − 1), no U+0000, and no more than the stated nesting, so that every
//! reader of I-JSON (RFC 7493) sees the same value and RFC 8785 gives it one spelling.

use std::cell::Cell;
use std::cmp::Ordering;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::map::Entry;
use serde_json::{Map, Number, Value};

use crate::refusal::{Refusal, RefusalCode};

/// Deepest nesting of arrays and objects in a filing; the outermost one is level 1.
pub const MAX_DEPTH: usize = 16;

/// Largest magnitude of an integer: 2^53 − 1, the last that a double holds exactly.
/// Source: RFC 7493 §2.2.
pub const MAX_INTEGER: u64 = (1 << 53) - 1;

/// Why bytes are not JSON that we accept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    #[error("the bytes are not UTF-8")]
    InvalidUtf8,
    #[error("not JSON at line {line}, column {column}: {reason}")]
    Syntax { line: usize, column: usize, reason: String },
    #[error("the member {0:?} appears twice in one object")]
    DuplicateKey(String),
    #[error("{0} is not written as a plain integer")]
    NotAnInteger(String),
    #[error("{0} is outside ±(2^53 − 1)")]
    OutOfRange(String),
    #[error("a text contains U+0000")]
    NulCharacter,
    #[error("nested more than {0} levels deep")]
    TooDeep(usize),
}

impl JsonError {
    /// What to tell the author: `number-not-integer` for numbers, else `malformed`.
    pub fn refusal(&self) -> Refusal {
        let code = match self {
            JsonError::NotAnInteger(_) | JsonError::OutOfRange(_) => RefusalCode::NumberNotInteger,
            _ => RefusalCode::Malformed,
        };
        let (fr, en) = match self {
            JsonError::InvalidUtf8 => (
                "Le texte n’est pas en UTF-8. Encodez-le en UTF-8.".to_owned(),
                "The text is not UTF-8. Encode it as UTF-8.".to_owned(),
            ),
            JsonError::Syntax { line, column, reason } => (
                format!("JSON illisible, ligne {line}, colonne {column} ({reason}). Corrigez-le."),
                format!("Not JSON at line {line}, column {column} ({reason}). Correct it."),
            ),
            JsonError::DuplicateKey(key) => (
                format!("Le membre {key:?} figure deux fois. Gardez-en un seul."),
                format!("The member {key:?} appears twice. Keep one."),
            ),
            JsonError::NotAnInteger(number) => (
                format!(
                    "{number} n’est pas un entier simple. Écrivez un entier sans point, \
                     exposant ni zéro négatif (centimes, jours, pour mille)."
                ),
                format!(
                    "{number} is not a plain integer. Write an integer without point, \
                     exponent or negative zero (cents, days, per mille)."
                ),
            ),
            JsonError::OutOfRange(number) => (
                format!("{number} dépasse ±(2^53 − 1). Écrivez un nombre plus petit ou un texte."),
                format!("{number} is outside ±(2^53 − 1). Write a smaller number or a text."),
            ),
            JsonError::NulCharacter => (
                "Un texte contient le caractère U+0000. Retirez-le.".to_owned(),
                "A text contains the character U+0000. Remove it.".to_owned(),
            ),
            JsonError::TooDeep(levels) => (
                format!("Plus de {levels} niveaux imbriqués. Aplatissez la structure."),
                format!("More than {levels} nested levels. Flatten the structure."),
            ),
        };
        Refusal::new(code, fr, en)
    }
}

/// Reads one JSON value, refusing whatever two readers could understand differently.
///
/// `bytes`: the whole text; white space around the value is allowed, anything else is not.
/// Errors: [`JsonError`], the first one met.
/// Source: RFC 8259, narrowed as RFC 7493 (I-JSON) and `docs/format.md` §1.
pub fn parse(bytes: &[u8]) -> Result<Value, JsonError> {
    parse_nested(bytes, MAX_DEPTH)
}

/// As [`parse`], with another limit of nesting: a leaf wraps a filing's body in more levels
/// than the filing had, and must still be readable. `max_depth` is at most 100.
pub fn parse_nested(bytes: &[u8], max_depth: usize) -> Result<Value, JsonError> {
    let text = std::str::from_utf8(bytes).map_err(|_| JsonError::InvalidUtf8)?;
    let fault = Cell::new(None);
    let mut reader = serde_json::Deserializer::from_str(text);
    let strict = Strict { left: max_depth, max_depth, fault: &fault };
    let outcome = strict.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    outcome.map_err(|error| fault.take().unwrap_or_else(|| syntax(&error)))
}

/// The reader reports an exponent beyond a double as a syntax error; to the author it is a
/// number problem like any other.
fn syntax(error: &serde_json::Error) -> JsonError {
    let text = error.to_string();
    let reason = text.split(" at line ").next().unwrap_or_default();
    if reason.starts_with("number out of range") {
        return JsonError::OutOfRange("a number".to_owned());
    }
    JsonError::Syntax { line: error.line(), column: error.column(), reason: reason.to_owned() }
}

/// Builds the value itself rather than asking `Value` to: that one keeps the last duplicate.
#[derive(Clone, Copy)]
struct Strict<'f> {
    /// Levels that may still be opened.
    left: usize,
    max_depth: usize,
    /// The reason, which `serde`'s error can only carry as text.
    fault: &'f Cell<Option<JsonError>>,
}

impl Strict<'_> {
    fn fail<E: serde::de::Error>(&self, error: JsonError) -> E {
        self.fault.set(Some(error));
        E::custom("refused")
    }

    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        match self.left.checked_sub(1) {
            Some(left) => Ok(Self { left, ..self }),
            None => Err(self.fail(JsonError::TooDeep(self.max_depth))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Value, E> {
        if number > MAX_INTEGER {
            return Err(self.fail(JsonError::OutOfRange(number.to_string())));
        }
        Ok(Value::Number(Number::from(number)))
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Value, E> {
        if number.unsigned_abs() > MAX_INTEGER {
            return Err(self.fail(JsonError::OutOfRange(number.to_string())));
        }
        Ok(Value::Number(Number::from(number)))
    }

    /// Reached by a fraction, an exponent, `-0`, and integers too long for 64 bits.
    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        Err(self.fail(JsonError::NotAnInteger(format!("{number:?}"))))
    }

    /// Borrowed text had no escape, and a raw U+0000 is already a syntax error.
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Value, E> {
        if text.as_bytes().contains(&0) {
            return Err(self.fail(JsonError::NulCharacter));
        }
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut array = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            array.push(element);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key_seed(Name(self))? {
            match object.entry(name) {
                Entry::Vacant(place) => {
                    place.insert(members.next_value_seed(inner)?);
                }
                Entry::Occupied(taken) => {
                    return Err(self.fail(JsonError::DuplicateKey(taken.key().clone())));
                }
            }
        }
        Ok(Value::Object(object))
    }
}

/// A member's name, with its escapes already undone: `"a"` and `"\u0061"` are the same name.
struct Name<'f>(Strict<'f>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<String, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member name")
    }

    fn visit_borrowed_str<E>(self, name: &'de str) -> Result<String, E> {
        Ok(name.to_owned())
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<String, E> {
        if name.as_bytes().contains(&0) {
            return Err(self.0.fail(JsonError::NulCharacter));
        }
        Ok(name.to_owned())
    }
}

/// The canonical bytes of a value: no white space, members in order, shortest escapes.
///
/// `value`: integers only, as [`parse`] returns.
/// Panics: on a number that is not an integer, which no value of ours holds.
/// Source: RFC 8785 §3.2.
pub fn canonical(value: &Value) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write_canonical(value, &mut out);
    out
}

/// As [`canonical`], appended to `out`.
pub fn write_canonical(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => write_number(number, out),
        Value::String(text) => write_canonical_str(text, out),
        Value::Array(elements) => {
            out.push(b'[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(element, out);
            }
            out.push(b']');
        }
        Value::Object(members) => write_object(members, out),
    }
}

/// The map iterates in UTF-8 order, which is UTF-16 order except between U+E000–U+FFFF and
/// the supplementary planes. Order is checked rather than assumed: another crate in the build
/// may turn the map into one that keeps insertion order.
fn write_object(members: &Map<String, Value>, out: &mut Vec<u8>) {
    out.push(b'{');
    if members.keys().is_sorted_by(|a, b| utf16_order(a, b).is_lt()) {
        write_members(members.iter(), out);
    } else {
        let mut sorted: Vec<_> = members.iter().collect();
        sorted.sort_unstable_by(|a, b| utf16_order(a.0, b.0));
        write_members(sorted.into_iter(), out);
    }
    out.push(b'}');
}

fn write_members<'v>(members: impl Iterator<Item = (&'v String, &'v Value)>, out: &mut Vec<u8>) {
    for (index, (name, value)) in members.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_canonical_str(name, out);
        out.push(b':');
        write_canonical(value, out);
    }
}

/// Order of UTF-16 code units (RFC 8785 §3.2.3). With an ASCII side the first difference
/// involves an ASCII character, where the two orders agree.
fn utf16_order(a: &str, b: &str) -> Ordering {
    if a.is_ascii() || b.is_ascii() { a.cmp(b) } else { a.encode_utf16().cmp(b.encode_utf16()) }
}

fn write_number(number: &Number, out: &mut Vec<u8>) {
    if let Some(number) = number.as_u64() {
        write_u64(number, out);
    } else if let Some(number) = number.as_i64() {
        out.push(b'-');
        write_u64(number.unsigned_abs(), out);
    } else {
        panic!("every number in the ledger is an integer, {number} is not");
    }
}

/// Appends decimal digits, without the formatting machinery.
pub(crate) fn write_u64(mut number: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

/// Appends a quoted string with the escapes of RFC 8785 §3.2.2.2: the two-letter ones where
/// they exist, `\u00xx` in lower case for other controls, everything else as it is.
pub fn write_canonical_str(text: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut copied = 0;
    for (index, &byte) in bytes.iter().enumerate() {
        if !(byte < 0x20 || byte == b'"' || byte == b'\\') {
            continue;
        }
        out.extend_from_slice(&bytes[copied..index]);
        copied = index + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            0x08 => out.extend_from_slice(b"\\b"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\r' => out.extend_from_slice(b"\\r"),
            control => {
                let (high, low) = (usize::from(control >> 4), usize::from(control & 15));
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', HEX[high], HEX[low]]);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn plain_values_are_read() {
        let value = parse(br#" {"a":[1,-2,null,true,"\u00e9\n"],"b":{}} "#).unwrap();
        assert_eq!(value, json!({"a": [1, -2, null, true, "é\n"], "b": {}}));
        assert_eq!(parse(b"9007199254740991").unwrap(), json!(9_007_199_254_740_991_i64));
        assert_eq!(parse(b"-9007199254740991").unwrap(), json!(-9_007_199_254_740_991_i64));
    }

    #[test]
    fn a_duplicate_member_is_refused_even_when_escaped_or_deep() {
        for text in [r#"{"a":1,"a":1}"#, r#"{"a":1,"\u0061":2}"#, r#"[{"x":{"a":1,"b":2,"a":3}}]"#]
        {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::DuplicateKey("a".into())), "{text}");
        }
        assert!(parse(br#"[{"a":1},{"a":1}]"#).is_ok());
    }

    #[test]
    fn every_spelling_of_a_fraction_is_refused() {
        let bad = ["1.0", "1e3", "1E0", "-0", "-0.0", "0.5", "1e400", "18446744073709551616"];
        for text in bad.iter().chain(&["9007199254740992", "-9007199254740992"]) {
            let wrapped = format!(r#"{{"n":[{text}]}}"#);
            let error = parse(wrapped.as_bytes()).unwrap_err();
            assert_eq!(error.refusal().code, RefusalCode::NumberNotInteger, "{text}");
        }
    }

    #[test]
    fn nul_is_refused_in_texts_and_names() {
        for text in [r#""a\u0000""#, r#"{"a\u0000b":1}"#] {
            assert_eq!(parse(text.as_bytes()), Err(JsonError::NulCharacter));
        }
        assert!(parse(b"\"a\0\"").is_err());
    }

    #[test]
    fn nesting_stops_after_sixteen_levels() {
        assert!(parse(nested(16).as_bytes()).is_ok());
        assert_eq!(parse(nested(17).as_bytes()), Err(JsonError::TooDeep(16)));
        assert_eq!(parse(nested(1000).as_bytes()), Err(JsonError::TooDeep(16)));
        assert!(parse_nested(nested(18).as_bytes(), 18).is_ok());
        let objects = r#"{"a":"#.repeat(16) + "1" + &"}".repeat(16);
        assert!(parse(objects.as_bytes()).is_ok());
    }

    #[test]
    fn other_texts_are_malformed() {
        let bad: [&[u8]; 12] = [
            b"",
            b"{}x",
            b"{} {}",
            b"\xef\xbb\xbf{}",
            b"\"\xff\"",
            b"{'a':1}",
            b"[1,]",
            b"01",
            b"\"\\ud800\"",
            b"NaN",
            b"\"a\nb\"",
            b"+1",
        ];
        for text in bad {
            let error = parse(text).unwrap_err();
            assert_eq!(error.refusal().code, RefusalCode::Malformed, "{text:?}");
        }
    }

    #[test]
    fn a_name_that_the_parser_library_gives_a_meaning_is_only_a_name() {
        let text = br#"{"$serde_json::private::RawValue":"[1.5]"}"#;
        assert_eq!(canonical(&parse(text).unwrap()), text);
    }

    #[test]
    fn members_are_ordered_by_utf16_code_units() {
        // RFC 8785 §3.2.3, its own example.
        let text = r#"{"\u20ac":"Euro Sign","\r":"Carriage Return","\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\ud83d\ude00":"Emoji: Grinning Face","\u0080":"Control","\u00f6":"Latin Small Letter O With Diaeresis"}"#;
        let value = parse(text.as_bytes()).unwrap();
        let out = String::from_utf8(canonical(&value)).unwrap();
        let order = ["Carriage", "One", "Control", "Latin", "Euro", "Emoji", "Hebrew"];
        let places: Vec<_> = order.iter().map(|word| out.find(word).unwrap()).collect();
        assert!(places.is_sorted(), "{out}");
    }

    #[test]
    fn strings_carry_the_shortest_escapes() {
        let mut out = Vec::new();
        write_canonical_str("\u{20ac}$\u{f}\nA'B\"\\\u{8}\t\u{c}\r\u{7f}/", &mut out);
        let expected = "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\b\\t\\f\\r\u{7f}/\"";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (-(MAX_INTEGER as i64)..=MAX_INTEGER as i64).prop_map(|n| json!(n)),
            any::<String>().prop_map(Value::String),
            "[\u{e000}-\u{ffff}\u{10000}-\u{10010}a-c]{0,4}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 48, 6, |inner| {
            let name = prop_oneof![any::<String>(), "[\u{e000}-\u{ffff}\u{10000}-\u{10010}a]{1,3}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((name, inner), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_bytes_agree_with_another_implementation(value in values()) {
            let ours = String::from_utf8(canonical(&value)).unwrap();
            prop_assert_eq!(ours, serde_json_canonicalizer::to_string(&value).unwrap());
        }

        #[test]
        fn canonical_bytes_read_back_as_the_same_value(value in values()) {
            let bytes = canonical(&value);
            match parse(&bytes) {
                Ok(read) => {
                    prop_assert_eq!(&read, &value);
                    prop_assert_eq!(canonical(&read), bytes);
                }
                Err(error) => prop_assert_eq!(error, JsonError::NulCharacter),
            }
        }

        #[test]
        fn whatever_is_accepted_a_tolerant_reader_reads_alike(text in "[\\[\\]{}:,\"a0-9.eE\\\\u \\-]{0,24}") {
            if let Ok(value) = parse(text.as_bytes()) {
                prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
            }
        }
    }
}
