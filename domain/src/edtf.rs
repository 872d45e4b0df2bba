//! Dates as sources give them: EDTF, ISO 8601-2 levels 0 and 1.
//!
//! Kept verbatim, with the days it may stand for. `?`, `~` and `%` say how far the source
//! trusts the date; they do not widen the interval, because nothing says by how much.
//! Beside the standard, `..2022-05` and `2022-05..` are read as `../2022-05` and
//! `2022-05/..`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::date::{Interval, LegalDate, Timestamp, days_in_month};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edtf {
    text: String,
    interval: Interval,
    uncertain: bool,
    approximate: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an EDTF date (ISO 8601-2 levels 0 and 1)")]
pub struct EdtfError(pub String);

/// Longest text read, in bytes.
const MAX_BYTES: usize = 64;

impl Edtf {
    pub fn parse(text: &str) -> Result<Self, EdtfError> {
        let err = || EdtfError(text.chars().take(MAX_BYTES).collect());
        if text.len() > MAX_BYTES || !text.is_ascii() {
            return Err(err());
        }
        let (interval, uncertain, approximate) = read(text).ok_or_else(err)?;
        if matches!((interval.earliest, interval.latest), (Some(e), Some(l)) if e > l) {
            return Err(err());
        }
        Ok(Self { text: text.to_owned(), interval, uncertain, approximate })
    }

    /// As its author wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The days it may stand for.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Marked `?` or `%`.
    pub fn is_uncertain(&self) -> bool {
        self.uncertain
    }

    /// Marked `~` or `%`.
    pub fn is_approximate(&self) -> bool {
        self.approximate
    }
}

type Read = (Interval, bool, bool);

fn read(text: &str) -> Option<Read> {
    let (start, end) = match text.split_once('/') {
        Some((start, end)) => (start, end),
        None => match (text.strip_prefix(".."), text.strip_suffix("..")) {
            (Some(end), None) if !end.is_empty() => ("..", end),
            (None, Some(start)) if !start.is_empty() => (start, ".."),
            _ => return single(text),
        },
    };
    let side = |side: &str| match side {
        "" | ".." => Some(None),
        date => single(date).map(Some),
    };
    let (start, end) = (side(start)?, side(end)?);
    if start.is_none() && end.is_none() {
        return None;
    }
    let interval = Interval {
        earliest: start.and_then(|(i, ..)| i.earliest),
        latest: end.and_then(|(i, ..)| i.latest),
    };
    let marked = |pick: fn(&Read) -> bool| start.iter().chain(&end).any(pick);
    // Each side must itself be in order, and the first must not start after the second ends.
    Some((interval, marked(|r| r.1), marked(|r| r.2)))
}

fn single(text: &str) -> Option<Read> {
    if let Some((day, _)) = text.split_once('T') {
        Timestamp::parse(text)?;
        return Some((Interval::day(LegalDate::parse(day)?), false, false));
    }
    let (body, uncertain, approximate) = match text.as_bytes().last()? {
        b'?' => (&text[..text.len() - 1], true, false),
        b'~' => (&text[..text.len() - 1], false, true),
        b'%' => (&text[..text.len() - 1], true, true),
        _ => (text, false, false),
    };
    Some((days(body)?, uncertain, approximate))
}

/// A year, month, season or day, digits possibly unspecified.
fn days(body: &str) -> Option<Interval> {
    // `Y` and a number of more than four digits: beyond the calendar here.
    let (sign, rest) = match body.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, body),
    };
    let mut parts = rest.split('-');
    let (first, last) = digits(parts.next()?, 4)?;
    let month = parts.next();
    let day = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let (low, high) = if sign < 0 { (-last, -first) } else { (first, last) };
    let span = |from: Option<LegalDate>, to: Option<LegalDate>| {
        Some(Interval { earliest: Some(from?), latest: Some(to?) })
    };
    let Some(month) = month else {
        return span(LegalDate::from_ymd(low, 1, 1), LegalDate::from_ymd(high, 12, 31));
    };
    if low != high && month != "XX" {
        return None;
    }
    let season = match (month, day) {
        ("21", None) => Some(3),
        ("22", None) => Some(6),
        ("23", None) => Some(9),
        ("24", None) => Some(12),
        _ => None,
    };
    if let Some(start) = season {
        let from = LegalDate::from_ymd(low, start, 1)?;
        return span(Some(from), Some(from.add_months(3).add_days(-1)));
    }
    let months = match month {
        "XX" => (1, 12),
        _ => {
            let (month, same) = digits(month, 2)?;
            if month != same || !(1..=12).contains(&month) {
                return None;
            }
            (u32::try_from(month).ok()?, u32::try_from(month).ok()?)
        }
    };
    let whole = |months: (u32, u32)| {
        span(
            LegalDate::from_ymd(low, months.0, 1),
            LegalDate::from_ymd(high, months.1, days_in_month(high, months.1)),
        )
    };
    match day {
        None | Some("XX") => whole(months),
        Some(day) => {
            if months.0 != months.1 {
                return None;
            }
            let (first, same) = digits(day, 2)?;
            if first != same {
                return None;
            }
            LegalDate::from_ymd(low, months.0, u32::try_from(first).ok()?).map(Interval::day)
        }
    }
}

/// `n` digits of which the last may be `X`: the least and greatest number they may be.
fn digits(text: &str, n: usize) -> Option<(i32, i32)> {
    if text.len() != n {
        return None;
    }
    let known = text.trim_end_matches('X');
    if !known.bytes().all(|b| b.is_ascii_digit()) || known.is_empty() {
        return None;
    }
    let fill = |digit: &str| format!("{known}{}", digit.repeat(n - known.len())).parse().ok();
    Some((fill("0")?, fill("9")?))
}

impl fmt::Display for Edtf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Edtf {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Edtf {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn days_of(text: &str) -> String {
        match Edtf::parse(text) {
            Ok(edtf) => {
                let side = |d: Option<LegalDate>| d.map_or("..".to_owned(), |d| d.to_string());
                format!("{} {}", side(edtf.interval.earliest), side(edtf.interval.latest))
            }
            Err(_) => "refused".to_owned(),
        }
    }

    #[test]
    fn each_form_of_levels_0_and_1_stands_for_its_days() {
        for (text, expected) in [
            ("1994", "1994-01-01 1994-12-31"),
            ("2004-02", "2004-02-01 2004-02-29"),
            ("2005-03-10", "2005-03-10 2005-03-10"),
            ("2005-03-10T12:00:00Z", "2005-03-10 2005-03-10"),
            ("2017-11/2017-12", "2017-11-01 2017-12-31"),
            ("2000~", "2000-01-01 2000-12-31"),
            ("2014-01%", "2014-01-01 2014-01-31"),
            ("201X", "2010-01-01 2019-12-31"),
            ("20XX", "2000-01-01 2099-12-31"),
            ("2004-XX", "2004-01-01 2004-12-31"),
            ("2004-06-XX", "2004-06-01 2004-06-30"),
            ("2004-XX-XX", "2004-01-01 2004-12-31"),
            ("2001-21", "2001-03-01 2001-05-31"),
            ("2001-24", "2001-12-01 2002-02-28"),
            ("2005/..", "2005-01-01 .."),
            ("../2005", ".. 2005-12-31"),
            ("..2022-05", ".. 2022-05-31"),
            ("2022-05..", "2022-05-01 .."),
            ("/2005", ".. 2005-12-31"),
            ("-0001", "-0001-01-01 -0001-12-31"),
        ] {
            assert_eq!(days_of(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for text in [
            "",
            "..",
            "/",
            "../..",
            "2005-13",
            "2005-02-30",
            "2005-1",
            "05-03-10",
            "2018/2017",
            "XXXX",
            "2005-03-10/",
            "hier",
            "2005-03-10T25:00:00Z",
            "201X-05",
            "2005-00",
            "2005-03-1X",
            "20055",
            "2005--03",
            "2004-06-XX-01",
            "٢٠٠٥",
        ] {
            let refused = days_of(text) == "refused";
            assert_eq!(refused, text != "2005-03-10/", "{text}");
        }
    }
}
