//! Dates as people know them: a day, a month, a season, a decade, an open interval.
//!
//! A filing's `at` is kept verbatim beside the interval of days it may mean; rules only ever
//! look at the interval. Accepted: ISO 8601-2:2019 (EDTF) levels 0 and 1, and the house
//! spelling of an open interval without a slash. Level 2 is deliberately not here.
//!
//! What always holds: the text is what was filed, and the interval is a function of the text.
//! **A qualifier does not widen the interval**: `2005~` means 2005-01-01 to 2005-12-31 like
//! `2005`, since nothing says by how much; [`Edtf::approximate`] and [`Edtf::uncertain`] let a
//! rule treat the date as less than certain.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::date::{Interval, LegalDate, days_in_month, digits, seconds_of_day};
use crate::refusal::{Refusal, RefusalCode};

/// Longer than any text of levels 0 and 1: two qualified days and a slash take 23 bytes.
const MAX_TEXT_BYTES: usize = 40;

/// A date text with the days it may mean.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Edtf {
    text: String,
    interval: Interval,
    uncertain: bool,
    approximate: bool,
}

/// Why a text is not a date we read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EdtfError {
    #[error("not an EDTF date of level 0 or 1")]
    NotADate,
    #[error("the calendar has no such day, month or season")]
    NoSuchDay,
    #[error("the year is outside −9999 to 9999")]
    YearOutOfRange,
    #[error("the interval ends before it begins")]
    Reversed,
}

impl EdtfError {
    /// `date-invalid` at `pointer`, a JSON Pointer into the payload.
    pub fn refusal(&self, pointer: &str) -> Refusal {
        let (fr, en) = match self {
            EdtfError::NotADate => (
                "Date illisible. Écrivez une date EDTF (ISO 8601-2) : 2005, 2005-03, \
                 2005-03-10, 2017-11/2017-12, ..2022-05.",
                "Not a date. Write an EDTF date (ISO 8601-2): 2005, 2005-03, 2005-03-10, \
                 2017-11/2017-12, ..2022-05.",
            ),
            EdtfError::NoSuchDay => (
                "Ce jour, ce mois ou cette saison n’existe pas. Vérifiez la date.",
                "There is no such day, month or season. Check the date.",
            ),
            EdtfError::YearOutOfRange => (
                "L’année doit être comprise entre −9999 et 9999.",
                "The year must lie between −9999 and 9999.",
            ),
            EdtfError::Reversed => (
                "L’intervalle finit avant de commencer. Échangez ses bornes.",
                "The interval ends before it begins. Swap its ends.",
            ),
        };
        Refusal::at(pointer, RefusalCode::DateInvalid, fr, en)
    }
}

impl Edtf {
    /// Reads a date of ISO 8601-2 level 0 or 1, or `..2022-05` and `2022-05..`.
    ///
    /// The days of an interval run from the first possible day of its start to the last
    /// possible day of its end; an open (`..`) or unknown (empty) end is open. A date-time
    /// counts as the UTC day it falls on. Seasons: 21 is March to May, 22 June to August,
    /// 23 September to November, 24 December to February of the next year.
    pub fn parse(text: &str) -> Result<Edtf, EdtfError> {
        if text.len() > MAX_TEXT_BYTES || !text.is_ascii() {
            return Err(EdtfError::NotADate);
        }
        let (start, end) = if let Some((start, end)) = text.split_once('/') {
            (open_or_date(start)?, open_or_date(end)?)
        } else if let Some(end) = text.strip_prefix("..") {
            (None, Some(qualified(end)?))
        } else if let Some(start) = text.strip_suffix("..") {
            (Some(qualified(start)?), None)
        } else {
            let date = match text.split_once('T') {
                Some((day, clock)) => Dated::certain(Interval::day(utc_day(day, clock)?)),
                None => qualified(text)?,
            };
            (Some(date), Some(date))
        };
        // An interval open on both sides says nothing, and is written by leaving `at` out.
        if start.is_none() && end.is_none() {
            return Err(EdtfError::NotADate);
        }
        let interval = Interval {
            earliest: start.and_then(|date| date.interval.earliest),
            latest: end.and_then(|date| date.interval.latest),
        };
        if matches!((interval.earliest, interval.latest), (Some(a), Some(b)) if a > b) {
            return Err(EdtfError::Reversed);
        }
        let ends = || start.iter().chain(end.iter());
        Ok(Edtf {
            text: text.to_owned(),
            interval,
            uncertain: ends().any(|date| date.uncertain),
            approximate: ends().any(|date| date.approximate),
        })
    }

    /// The text as filed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The days it may mean, both ends included.
    pub fn interval(&self) -> Interval {
        self.interval
    }

    /// Qualified with `?` or `%`: the source is doubtful.
    pub fn uncertain(&self) -> bool {
        self.uncertain
    }

    /// Qualified with `~` or `%`: the value is about right.
    pub fn approximate(&self) -> bool {
        self.approximate
    }
}

impl Serialize for Edtf {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Edtf {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[derive(Clone, Copy)]
struct Dated {
    interval: Interval,
    uncertain: bool,
    approximate: bool,
}

impl Dated {
    fn certain(interval: Interval) -> Self {
        Self { interval, uncertain: false, approximate: false }
    }
}

/// One end of an interval: `..` and nothing at all are both open.
fn open_or_date(text: &str) -> Result<Option<Dated>, EdtfError> {
    match text {
        "" | ".." => Ok(None),
        date => qualified(date).map(Some),
    }
}

fn qualified(text: &str) -> Result<Dated, EdtfError> {
    let (body, uncertain, approximate) = match text.as_bytes().last() {
        Some(b'?') => (&text[..text.len() - 1], true, false),
        Some(b'~') => (&text[..text.len() - 1], false, true),
        Some(b'%') => (&text[..text.len() - 1], true, true),
        _ => (text, false, false),
    };
    Ok(Dated { interval: calendar_days(body)?, uncertain, approximate })
}

fn calendar_days(text: &str) -> Result<Interval, EdtfError> {
    if let Some(year) = text.strip_prefix('Y') {
        // The prefix exists for years of five digits and more, none of which has a day here.
        let year = year.strip_prefix('-').unwrap_or(year);
        let long = year.len() > 4 && !year.starts_with('0');
        let is_number = year.bytes().all(|byte| byte.is_ascii_digit());
        return Err(if long && is_number {
            EdtfError::YearOutOfRange
        } else {
            EdtfError::NotADate
        });
    }
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut parts = rest.split('-');
    let (year, month, day) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    if parts.next().is_some() || year.len() != 4 {
        return Err(EdtfError::NotADate);
    }
    let Some(month) = month else { return years(year, negative) };
    let year = number(year)? as i32;
    if negative && year == 0 {
        return Err(EdtfError::NotADate);
    }
    let year = if negative { -year } else { year };
    if month.len() != 2 || day.is_some_and(|day| day.len() != 2) {
        return Err(EdtfError::NotADate);
    }
    match (month, day) {
        ("XX", None | Some("XX")) => months(year, 1, 12),
        ("XX", Some(_)) => Err(EdtfError::NotADate),
        (month, None) => match number(month)? {
            21 => months(year, 3, 5),
            22 => months(year, 6, 8),
            23 => months(year, 9, 11),
            24 => Ok(Interval {
                earliest: Some(first_of(year, 12)?),
                latest: Some(first_of(year + 1, 2)?.end_of_month()),
            }),
            month => months(year, month, month),
        },
        (month, Some("XX")) => {
            let month = number(month)?;
            months(year, month, month)
        }
        (month, Some(day)) => LegalDate::from_ymd(year, number(month)?, number(day)?)
            .map(Interval::day)
            .ok_or(EdtfError::NoSuchDay),
    }
}

/// `1994`, `201X`, `20XX`: a year, or the years its unspecified last digits allow.
fn years(text: &str, negative: bool) -> Result<Interval, EdtfError> {
    let known = text.trim_end_matches('X');
    let span = match text.len() - known.len() {
        0 => 1,
        1 => 10,
        2 => 100,
        _ => return Err(EdtfError::NotADate),
    };
    let first = number(known)? as i32 * span;
    let last = first + span - 1;
    if negative && last == 0 {
        return Err(EdtfError::NotADate);
    }
    let (first, last) = if negative { (-last, -first) } else { (first, last) };
    Ok(Interval {
        earliest: Some(first_of(first, 1)?),
        latest: Some(first_of(last, 12)?.end_of_month()),
    })
}

fn months(year: i32, first: u32, last: u32) -> Result<Interval, EdtfError> {
    let latest = LegalDate::from_ymd(year, last, days_in_month(year, last));
    Ok(Interval {
        earliest: Some(first_of(year, first)?),
        latest: Some(latest.ok_or(EdtfError::NoSuchDay)?),
    })
}

fn first_of(year: i32, month: u32) -> Result<LegalDate, EdtfError> {
    LegalDate::from_ymd(year, month, 1).ok_or(EdtfError::NoSuchDay)
}

/// `HH:MM:SS` followed by `Z`, an offset `±HH:MM`, `±HH`, or nothing, which is read as UTC.
fn utc_day(day: &str, clock: &str) -> Result<LegalDate, EdtfError> {
    let day = match calendar_days(day)? {
        Interval { earliest: Some(day), latest } if latest == Some(day) => day,
        _ => return Err(EdtfError::NotADate),
    };
    let (clock, zone) = clock.split_at_checked(8).ok_or(EdtfError::NotADate)?;
    let seconds = seconds_of_day(clock.as_bytes()).ok_or(EdtfError::NotADate)?;
    let offset_minutes = match zone.as_bytes() {
        b"" | b"Z" => 0,
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let hours = digits(&[*h1, *h2]).ok_or(EdtfError::NotADate)?;
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] => digits(&[*m1, *m2]).ok_or(EdtfError::NotADate)?,
                _ => return Err(EdtfError::NotADate),
            };
            if hours > 14 || minutes > 59 {
                return Err(EdtfError::NotADate);
            }
            let ahead = (hours * 60 + minutes) as i32;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return Err(EdtfError::NotADate),
    };
    let utc_seconds = seconds as i32 - offset_minutes * 60;
    Ok(day.add_days(utc_seconds.div_euclid(86_400)))
}

fn number(text: &str) -> Result<u32, EdtfError> {
    digits(text.as_bytes()).ok_or(EdtfError::NotADate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_0_and_1_form_means_its_days() {
        let cases = [
            ("1994", "1994-01-01", "1994-12-31"),
            ("2005-03", "2005-03-01", "2005-03-31"),
            ("2005-03-10", "2005-03-10", "2005-03-10"),
            ("2017-11/2017-12", "2017-11-01", "2017-12-31"),
            ("2005~", "2005-01-01", "2005-12-31"),
            ("2005-06?", "2005-06-01", "2005-06-30"),
            ("2005-06-02%", "2005-06-02", "2005-06-02"),
            ("2004-06~/2004-08?", "2004-06-01", "2004-08-31"),
            ("201X", "2010-01-01", "2019-12-31"),
            ("20XX", "2000-01-01", "2099-12-31"),
            ("2004-XX", "2004-01-01", "2004-12-31"),
            ("2004-06-XX", "2004-06-01", "2004-06-30"),
            ("2004-XX-XX", "2004-01-01", "2004-12-31"),
            ("2001-21", "2001-03-01", "2001-05-31"),
            ("2001-22", "2001-06-01", "2001-08-31"),
            ("2001-23", "2001-09-01", "2001-11-30"),
            ("2003-24", "2003-12-01", "2004-02-29"),
            ("-0044-03-15", "-0044-03-15", "-0044-03-15"),
            ("-004X", "-0049-01-01", "-0040-12-31"),
            ("0000", "0000-01-01", "0000-12-31"),
            ("2005/..", "2005-01-01", ""),
            ("../2005", "", "2005-12-31"),
            ("2005/", "2005-01-01", ""),
            ("/2005", "", "2005-12-31"),
            ("..2022-05", "", "2022-05-31"),
            ("2022-05..", "2022-05-01", ""),
            ("2005-03-10T12:00:00Z", "2005-03-10", "2005-03-10"),
            ("2005-03-10T12:00:00", "2005-03-10", "2005-03-10"),
            ("2005-03-10T00:30:00+02:00", "2005-03-09", "2005-03-09"),
            ("2004-06-XX/2004-07-03", "2004-06-01", "2004-07-03"),
        ];
        for (text, earliest, latest) in cases {
            let date = Edtf::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(date.text(), text);
            assert_eq!(date.interval().earliest, LegalDate::parse(earliest), "{text}");
            assert_eq!(date.interval().latest, LegalDate::parse(latest), "{text}");
        }
    }

    #[test]
    fn qualifiers_are_told_apart_and_do_not_widen() {
        let flags = |text| {
            let date = Edtf::parse(text).unwrap();
            (date.uncertain(), date.approximate())
        };
        assert_eq!(flags("2005"), (false, false));
        assert_eq!(flags("2005?"), (true, false));
        assert_eq!(flags("2005~"), (false, true));
        assert_eq!(flags("2005%"), (true, true));
        assert_eq!(flags("2005?/2006~"), (true, true));
        let (plain, about) = (Edtf::parse("2005").unwrap(), Edtf::parse("2005~").unwrap());
        assert_eq!(plain.interval(), about.interval());
    }

    #[test]
    fn other_texts_are_refused_with_their_reason() {
        let cases = [
            ("2017-12/2017-11", EdtfError::Reversed),
            ("2005/2004-12-31", EdtfError::Reversed),
            ("2005-02-29", EdtfError::NoSuchDay),
            ("2005-13", EdtfError::NoSuchDay),
            ("2005-25", EdtfError::NoSuchDay),
            ("2005-00", EdtfError::NoSuchDay),
            ("9999-24", EdtfError::NoSuchDay),
            ("Y170000002", EdtfError::YearOutOfRange),
            ("Y-17000", EdtfError::YearOutOfRange),
            ("Y2005", EdtfError::NotADate),
            ("-0000", EdtfError::NotADate),
        ];
        for (text, error) in cases {
            assert_eq!(Edtf::parse(text), Err(error), "{text}");
        }
        for text in [
            "",
            "/",
            "..",
            "../..",
            "....",
            "05",
            "20055",
            "2005-3",
            "2005-03-1",
            "2005-03-10-11",
            "XXXX",
            "2XXX",
            "2X05",
            "201X-05",
            "2004-XX-05",
            "2005 ",
            " 2005",
            "2005-03-10T",
            "2005-03-10T12:00Z",
            "2005-03-10T12:00:00+2",
            "2005T12:00:00Z",
            "2005??",
            "?2005",
            "2005/2006/2007",
            "2005-03-10T12:00:00Z/2006",
            "20é",
            "[2005,2006]",
            "circa 2005",
            "..2005..",
            "+2005",
        ] {
            assert_eq!(Edtf::parse(text), Err(EdtfError::NotADate), "{text}");
        }
    }

    #[test]
    fn a_date_is_its_text_in_json() {
        let date: Edtf = serde_json::from_str("\"2005-03~\"").unwrap();
        assert_eq!(serde_json::to_string(&date).unwrap(), "\"2005-03~\"");
        assert!(serde_json::from_str::<Edtf>("\"soon\"").is_err());
    }
}
