//! Days, instants, intervals of days, and what can be said of their order.
//!
//! Law counts in calendar days (`LegalDate`), the ledger in microseconds (`Timestamp`).
//! A date that is not precise is an interval that holds one unknown day, so its order with
//! another may be certain, impossible or open (`Certainty`).

use std::fmt;

use serde::{Deserialize, Serialize};
use time::{Date, Month, OffsetDateTime};

/// A day of the proleptic Gregorian calendar, UTC.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegalDate(Date);

impl LegalDate {
    /// `month` and `day` from 1. `None` if there is no such day in years −9999 to 9999.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
        Date::from_calendar_date(year, month, u8::try_from(day).ok()?).ok().map(Self)
    }

    /// Reads `YYYY-MM-DD`, exactly.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            let digits = &text.get(range)?;
            digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
        };
        Self::from_ymd(i32::try_from(number(0..4)?).ok()?, number(5..7)?, number(8..10)?)
    }

    pub fn year(self) -> i32 {
        self.0.year()
    }

    /// From 1 to 12.
    pub fn month(self) -> u32 {
        u32::from(u8::from(self.0.month()))
    }

    /// Of the month, from 1.
    pub fn day(self) -> u32 {
        u32::from(self.0.day())
    }

    /// Later by `days` (earlier if negative); stops at the ends of the calendar.
    pub fn add_days(self, days: i32) -> Self {
        let days = time::Duration::days(i64::from(days));
        Self(self.0.saturating_add(days))
    }

    /// Later by `months`; a day the month does not have becomes its last.
    pub fn add_months(self, months: u32) -> Self {
        let total = self.0.year() * 12 + i32::from(u8::from(self.0.month())) - 1
            + i32::try_from(months).unwrap_or(i32::MAX / 24);
        let (year, month) = (total.div_euclid(12), total.rem_euclid(12).unsigned_abs() + 1);
        let day = u32::from(self.0.day()).min(days_in_month(year, month));
        Self::from_ymd(year, month, day).unwrap_or(Self(Date::MAX))
    }

    /// Days from `other` to `self`.
    pub fn days_since(self, other: Self) -> i32 {
        self.0.to_julian_day() - other.0.to_julian_day()
    }

    /// First instant of the day.
    pub fn start(self) -> Timestamp {
        Timestamp(self.0.midnight().assume_utc().unix_timestamp() * 1_000_000)
    }
}

/// Days of a month, `month` from 1 to 12.
pub fn days_in_month(year: i32, month: u32) -> u32 {
    let month = Month::try_from(u8::try_from(month).unwrap_or(1)).unwrap_or(Month::January);
    u32::from(month.length(year))
}

impl fmt::Display for LegalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.0.to_calendar_date();
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{:02}-{day:02}", year.unsigned_abs(), u8::from(month))
    }
}

impl fmt::Debug for LegalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An instant, UTC, in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Whole seconds, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    fn utc(self) -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(self.0) * 1_000).unwrap_or(
            if self.0 < 0 {
                Date::MIN.midnight().assume_utc()
            } else {
                Date::MAX.midnight().assume_utc()
            },
        )
    }

    /// The UTC day it falls on.
    pub fn date(self) -> LegalDate {
        LegalDate(self.utc().date())
    }

    /// Reads RFC 3339 in UTC: `YYYY-MM-DDTHH:MM:SS[.1 to 6 digits]Z`.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_suffix('Z')?;
        let (day, clock) = body.split_once('T')?;
        let day = LegalDate::parse(day)?;
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock, Some(fraction)),
            None => (clock, None),
        };
        let mut parts = clock.split(':');
        let mut part = |most: u8| {
            let digits =
                parts.next().filter(|p| p.len() == 2 && p.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<u8>().ok().filter(|n| *n <= most)
        };
        let (hour, minute, second) = (part(23)?, part(59)?, part(59)?);
        if parts.next().is_some() {
            return None;
        }
        let micros: i64 = match fraction {
            None => 0,
            Some(f) if (1..=6).contains(&f.len()) && f.bytes().all(|b| b.is_ascii_digit()) => {
                format!("{f:0<6}").parse().ok()?
            }
            Some(_) => return None,
        };
        let seconds = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
        Some(Self(day.start().0 + seconds * 1_000_000 + micros))
    }
}

impl fmt::Display for Timestamp {
    /// `2026-11-21T20:14:21.123456Z`, always six digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.utc();
        write!(
            f,
            "{}T{:02}:{:02}:{:02}.{:06}Z",
            LegalDate(utc.date()),
            utc.hour(),
            utc.minute(),
            utc.second(),
            utc.microsecond()
        )
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! serde_as_text {
    ($name:ident, $expected:literal) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                Self::parse(&text).ok_or_else(|| serde::de::Error::custom($expected))
            }
        }
    };
}

serde_as_text!(LegalDate, "expected a day, YYYY-MM-DD");
serde_as_text!(Timestamp, "expected an instant, RFC 3339 in UTC");

/// Whether something is so: certainly, certainly not, or it cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    No,
    Maybe,
    Yes,
}

impl Certainty {
    /// Both are so (Kleene).
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::No, _) | (_, Self::No) => Self::No,
            (Self::Yes, Self::Yes) => Self::Yes,
            _ => Self::Maybe,
        }
    }

    /// At least one is so (Kleene).
    pub fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Yes, _) | (_, Self::Yes) => Self::Yes,
            (Self::No, Self::No) => Self::No,
            _ => Self::Maybe,
        }
    }
}

impl std::ops::Not for Certainty {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::Yes => Self::No,
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
        }
    }
}

/// Days from `earliest` to `latest`, both included; `None` = open on that side. Stands for
/// one unknown day among them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    pub earliest: Option<LegalDate>,
    pub latest: Option<LegalDate>,
}

impl Interval {
    pub fn day(day: LegalDate) -> Self {
        Self { earliest: Some(day), latest: Some(day) }
    }

    pub fn is_single_day(&self) -> bool {
        self.earliest.is_some() && self.earliest == self.latest
    }

    pub fn contains(&self, day: LegalDate) -> bool {
        self.earliest.is_none_or(|e| e <= day) && self.latest.is_none_or(|l| day <= l)
    }

    pub fn overlaps(&self, other: &Interval) -> bool {
        !matches!((self.latest, other.earliest), (Some(l), Some(e)) if l < e)
            && !matches!((other.latest, self.earliest), (Some(l), Some(e)) if l < e)
    }

    /// Whether the day of `self` came before the day of `other`.
    ///
    /// `Yes` if every day of `self` is before every day of `other`, `No` if none is before
    /// any. The same single day on both sides is `Maybe`: within a day the order is unknown.
    pub fn strictly_before(&self, other: &Interval) -> Certainty {
        if matches!((self.latest, other.earliest), (Some(l), Some(e)) if l < e) {
            Certainty::Yes
        } else if matches!((self.earliest, other.latest), (Some(e), Some(l)) if e > l) {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// Whether a term whose last day is `self` was over on the day of `other`: the last day
    /// is still in time, to its end.
    pub fn over_before(&self, other: &Interval) -> Certainty {
        !other.on_or_before(self)
    }

    /// Whether the day of `self` was the day of `other` or before: for what takes effect
    /// from the start of its day.
    pub fn on_or_before(&self, other: &Interval) -> Certainty {
        if matches!((self.latest, other.earliest), (Some(l), Some(e)) if l <= e) {
            Certainty::Yes
        } else if matches!((self.earliest, other.latest), (Some(e), Some(l)) if e > l) {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(y: i32, m: u32, d: u32) -> LegalDate {
        LegalDate::from_ymd(y, m, d).expect("a day")
    }

    #[test]
    fn the_same_day_leaves_the_order_open() {
        let d = Interval::day(day(2005, 3, 10));
        assert_eq!(d.strictly_before(&d), Certainty::Maybe);
        assert_eq!(d.on_or_before(&d), Certainty::Yes);
        let next = Interval::day(day(2005, 3, 11));
        assert_eq!(d.strictly_before(&next), Certainty::Yes);
        assert_eq!(next.strictly_before(&d), Certainty::No);
    }

    #[test]
    fn the_last_day_of_a_term_is_still_in_time() {
        let last = Interval::day(day(2011, 6, 15));
        let month = Interval { earliest: Some(day(2011, 6, 1)), latest: Some(day(2011, 6, 30)) };
        assert_eq!(last.over_before(&last), Certainty::No);
        assert_eq!(last.over_before(&Interval::day(day(2011, 6, 16))), Certainty::Yes);
        assert_eq!(last.over_before(&month), Certainty::Maybe);
        assert_eq!(month.over_before(&Interval::day(day(2011, 6, 1))), Certainty::No);
        assert_eq!(month.over_before(&last), Certainty::Maybe);
        assert_eq!(month.over_before(&Interval::day(day(2011, 7, 1))), Certainty::Yes);
    }

    #[test]
    fn an_open_interval_is_never_certainly_before() {
        let open = Interval { earliest: None, latest: None };
        assert_eq!(open.strictly_before(&Interval::day(day(2005, 1, 1))), Certainty::Maybe);
    }

    #[test]
    fn months_are_added_within_the_calendar() {
        assert_eq!(day(2004, 12, 31).add_months(2), day(2005, 2, 28));
        assert_eq!(day(2004, 6, 25).add_months(2), day(2004, 8, 25));
        assert_eq!(day(2003, 12, 31).add_months(2), day(2004, 2, 29));
    }

    #[test]
    fn instants_are_written_with_six_digits_and_read_back() {
        let t = Timestamp::parse("2005-03-10T09:00:00Z").expect("an instant");
        assert_eq!(t.to_string(), "2005-03-10T09:00:00.000000Z");
        assert_eq!(Timestamp::parse(&t.to_string()), Some(t));
        assert_eq!(t.date(), day(2005, 3, 10));
        assert_eq!(Timestamp::parse("2005-03-10T09:00:00+01:00"), None);
        assert_eq!(Timestamp::parse("2005-02-30T09:00:00Z"), None);
        assert_eq!(Timestamp::from_micros(-1).date(), day(1969, 12, 31));
    }
}
