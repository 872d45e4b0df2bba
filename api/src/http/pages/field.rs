//! One field of a filed body, in words: codes by their labels, dates as exactly as they are
//! known, amounts with their units. What is concealed is not in a body, so never here.

use greffe_domain::event::At;
use greffe_domain::vocabulary::CODELISTS;
use serde_json::Value;

use super::Frame;
use crate::words::{Lang, find_word};

/// A label and what stands under it.
#[derive(Debug, Clone)]
pub struct Field {
    pub label: String,
    pub text: String,
}

/// The members of `body` named, in that order; those it does not have are left out.
pub fn fields(frame: &Frame, names: &[&str], body: &Value) -> Vec<Field> {
    names
        .iter()
        .filter_map(|name| {
            let text = text(frame, name, body.get(*name)?)?;
            let key = format!("field-{}", name.replace('_', "-"));
            let label = find_word(frame.lang, &key, None)
                .map_or_else(|| name.replace('_', " "), std::borrow::Cow::into_owned);
            Some(Field { label, text })
        })
        .collect()
}

/// Members that hold a date text (EDTF).
const DATES: &[&str] = &["start", "end", "by", "when", "until", "effective_from"];

/// Members whose words have a place of their own in `locales/`, by the member's name.
const SLUGS: &[&str] = &["condition", "milestone"];

fn text(frame: &Frame, name: &str, value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(yes) => Some(frame.t(if *yes { "yes" } else { "no" }).into_owned()),
        Value::Number(number) => Some(amount(frame, name, number.as_i64()?)),
        Value::String(text) if DATES.contains(&name) => {
            Some(At::parse(text).map_or_else(|| text.clone(), |at| frame.days(&at.interval)))
        }
        Value::String(text) if SLUGS.contains(&name) => Some(frame.slug(name, text)),
        Value::String(text) => Some(code_or_text(frame, text)),
        Value::Array(values) => {
            let texts: Vec<String> =
                values.iter().filter_map(|value| self::text(frame, name, value)).collect();
            (!texts.is_empty()).then(|| frame.listed(&texts))
        }
        Value::Object(members) => {
            let member = |name: &str| members.get(name).and_then(Value::as_str);
            if let (Some(low), Some(high)) = (members.get("low"), members.get("high")) {
                let (low, high) = (text(frame, name, low)?, text(frame, name, high)?);
                return Some(
                    frame
                        .with("value-range", &[("low", low.into()), ("high", high.into())])
                        .into_owned(),
                );
            }
            if let Some(fact) = member("fact") {
                let holds = members.get("holds").and_then(Value::as_bool);
                let (yes, no) = match name {
                    "establishes" => ("claim-established", "claim-refuted"),
                    _ => ("claim-holds", "claim-denied"),
                };
                let said = holds.map(|h| frame.t(if h { yes } else { no }));
                // A rule's sentence also covers what nothing shows; a claim says the fact alone.
                let reason = find_word(frame.lang, &format!("claim-{fact}"), None)
                    .map_or_else(|| frame.reason(fact), std::borrow::Cow::into_owned);
                return Some(match said {
                    Some(said) => {
                        let mut rest = reason.trim_end_matches('.').chars();
                        let first = rest.next().map(|c| c.to_lowercase().to_string());
                        let first = first.unwrap_or_default();
                        format!("{said}{} {first}{}", frame.colon(), rest.as_str())
                    }
                    None => reason,
                });
            }
            let name = member("label")
                .or_else(|| member("name"))
                .map(str::to_owned)
                .or_else(|| member("code").or_else(|| member("role")).map(|c| frame.label(c)))
                .or_else(|| member("id").map(str::to_owned))?;
            let more = members
                .get("retention_days")
                .and_then(Value::as_i64)
                .map(|days| amount(frame, "retention_days", days))
                .or_else(|| member("party").map(str::to_owned));
            Some(more.map_or_else(|| name.clone(), |more| format!("{name} ({more})")))
        }
    }
}

fn code_or_text(frame: &Frame, text: &str) -> String {
    if CODELISTS.lists.values().flatten().any(|t| t.code == text) {
        return frame.label(text);
    }
    let slug = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let word = slug.then(|| find_word(frame.lang, &format!("value-{text}"), None)).flatten();
    word.map_or_else(|| text.to_owned(), std::borrow::Cow::into_owned)
}

/// An amount by the unit its name ends with: cents, per mille, days.
pub fn amount(frame: &Frame, name: &str, number: i64) -> String {
    if name.ends_with("_cents") {
        return euros(frame.lang, number);
    }
    if name.ends_with("_permille") {
        return match number % 1_000 {
            0 => format!("× {}", number / 1_000),
            _ => format!("{},{} %", number / 10, number % 10),
        };
    }
    if name.ends_with("_days") {
        return frame.with("value-days", &[("n", number.into())]).into_owned();
    }
    grouped(frame.lang, number)
}

/// Cents as euros; the cents are left out where there are none.
pub fn euros(lang: Lang, cents: i64) -> String {
    let (whole, rest) = (cents / 100, (cents % 100).abs());
    let whole = grouped(lang, whole);
    match (lang, rest) {
        (Lang::Fr, 0) => format!("{whole}\u{a0}€"),
        (Lang::Fr, _) => format!("{whole},{rest:02}\u{a0}€"),
        (Lang::En, 0) => format!("€{whole}"),
        (Lang::En, _) => format!("€{whole}.{rest:02}"),
    }
}

/// Digits by threes, as the language writes them.
fn grouped(lang: Lang, number: i64) -> String {
    let separator = lang.pick("\u{202f}", ",");
    let digits = number.unsigned_abs().to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push_str(separator);
        }
        out.push(digit);
    }
    if number < 0 { format!("−{out}") } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_as_the_language_writes_them() {
        assert_eq!(euros(Lang::Fr, 4_000_000), "40\u{202f}000\u{a0}€");
        assert_eq!(euros(Lang::En, 4_000_050), "€40,000.50");
        assert_eq!(grouped(Lang::Fr, -1_234_567), "−1\u{202f}234\u{202f}567");
    }
}
