//! Calendar days, instants, and days known only to within an interval.
//!
//! Deadlines and periods are counted in [`LegalDate`]; the ledger's clock is a [`Timestamp`];
//! the date of a fact is an [`Interval`], because a press cutting says "in 2005". Deliberately
//! not here: today's date (it is handed in) and time zones (everything is UTC).
//!
//! What always holds: every value has a text, and that text reads back as the same value.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
const MIN_YEAR: i32 = -9999;
const MAX_YEAR: i32 = 9999;

/// One day of the proleptic Gregorian calendar, UTC, between −9999-01-01 and 9999-12-31.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegalDate {
    /// Days since 1970-01-01.
    days: i32,
}

impl LegalDate {
    pub const MIN: LegalDate = LegalDate { days: days_from_civil(MIN_YEAR, 1, 1) };
    pub const MAX: LegalDate = LegalDate { days: days_from_civil(MAX_YEAR, 12, 31) };

    /// `None` when the calendar has no such day. `year` is astronomical: 0 is 1 BC.
    pub fn from_ymd(year: i32, month: u32, day: u32) -> Option<Self> {
        let exists = (MIN_YEAR..=MAX_YEAR).contains(&year)
            && (1..=12).contains(&month)
            && day >= 1
            && day <= days_in_month(year, month);
        exists.then(|| Self { days: days_from_civil(year, month, day) })
    }

    /// Reads `YYYY-MM-DD` exactly (`-YYYY-MM-DD` before year 0); no other spelling.
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, rest) = match text.strip_prefix('-') {
            Some(rest) => (true, rest.as_bytes()),
            None => (false, text.as_bytes()),
        };
        if rest.len() != 10 || rest[4] != b'-' || rest[7] != b'-' {
            return None;
        }
        let year = i32::try_from(digits(&rest[..4])?).ok()?;
        if negative && year == 0 {
            return None;
        }
        let year = if negative { -year } else { year };
        Self::from_ymd(year, digits(&rest[5..7])?, digits(&rest[8..])?)
    }

    /// Year, month 1–12, day 1–31.
    pub fn ymd(self) -> (i32, u32, u32) {
        civil_from_days(self.days)
    }

    /// `days` later, or earlier when negative. Stops at [`LegalDate::MIN`] and `MAX`.
    #[must_use]
    pub fn add_days(self, days: i32) -> Self {
        Self::clamped(i64::from(self.days) + i64::from(days))
    }

    /// Same day of the month `months` later, or the month's last day where it has no such day
    /// (31 January + 1 month = 28 or 29 February). Stops at [`LegalDate::MAX`].
    #[must_use]
    pub fn add_months(self, months: u32) -> Self {
        let (year, month, day) = self.ymd();
        let total = i64::from(year) * 12 + i64::from(month) - 1 + i64::from(months);
        let Ok(year) = i32::try_from(total.div_euclid(12)) else { return Self::MAX };
        if year > MAX_YEAR {
            return Self::MAX;
        }
        let month = total.rem_euclid(12) as u32 + 1;
        let day = day.min(days_in_month(year, month));
        Self { days: days_from_civil(year, month, day) }
    }

    /// Calendar days from `other` to `self`; negative when `self` is earlier.
    pub fn days_since(self, other: LegalDate) -> i32 {
        self.days - other.days
    }

    /// The last day of this day's month.
    #[must_use]
    pub fn end_of_month(self) -> Self {
        let (year, month, _) = self.ymd();
        Self { days: days_from_civil(year, month, days_in_month(year, month)) }
    }

    fn clamped(days: i64) -> Self {
        let days = days.clamp(i64::from(Self::MIN.days), i64::from(Self::MAX.days));
        // The clamp leaves a value that came from an `i32`.
        Self { days: days as i32 }
    }
}

impl fmt::Display for LegalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.ymd();
        let sign = if year < 0 { "-" } else { "" };
        write!(f, "{sign}{:04}-{month:02}-{day:02}", year.unsigned_abs())
    }
}

impl fmt::Debug for LegalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for LegalDate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LegalDate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not a day YYYY-MM-DD"))
    }
}

/// An instant of the ledger's clock: microseconds since 1970-01-01T00:00:00Z, years 0–9999.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    micros: i64,
}

impl Timestamp {
    pub const MIN: Timestamp =
        Timestamp { micros: days_from_civil(0, 1, 1) as i64 * SECONDS_PER_DAY * MICROS_PER_SECOND };
    pub const MAX: Timestamp = Timestamp {
        micros: (days_from_civil(MAX_YEAR, 12, 31) as i64 + 1)
            * SECONDS_PER_DAY
            * MICROS_PER_SECOND
            - 1,
    };

    /// Stops at [`Timestamp::MIN`] and `MAX`, beyond which RFC 3339 has no text.
    pub fn from_micros(micros: i64) -> Self {
        Self { micros: micros.clamp(Self::MIN.micros, Self::MAX.micros) }
    }

    /// As [`Timestamp::from_micros`], from whole seconds.
    pub fn from_unix_seconds(seconds: i64) -> Self {
        Self::from_micros(seconds.saturating_mul(MICROS_PER_SECOND))
    }

    /// Midnight UTC at the start of `date`.
    pub fn start_of(date: LegalDate) -> Self {
        Self::from_unix_seconds(i64::from(date.days) * SECONDS_PER_DAY)
    }

    pub fn micros(self) -> i64 {
        self.micros
    }

    /// Whole seconds since 1970, rounded down.
    pub fn unix_seconds(self) -> i64 {
        self.micros.div_euclid(MICROS_PER_SECOND)
    }

    /// The UTC day it falls on.
    pub fn date(self) -> LegalDate {
        LegalDate::clamped(self.unix_seconds().div_euclid(SECONDS_PER_DAY))
    }

    /// Reads RFC 3339 in UTC: `2026-11-21T20:14:21Z`, with up to six digits of fraction.
    /// No offset, no lower case, no leap second.
    pub fn parse(text: &str) -> Option<Self> {
        let body = text.strip_suffix('Z')?;
        let (day, clock) = body.split_once('T')?;
        if day.len() != 10 {
            return None;
        }
        let (clock, fraction) = match clock.split_once('.') {
            Some((clock, fraction)) => (clock.as_bytes(), Some(fraction.as_bytes())),
            None => (clock.as_bytes(), None),
        };
        let seconds = seconds_of_day(clock)?;
        let mut micros = 0;
        if let Some(fraction) = fraction {
            if fraction.is_empty() || fraction.len() > 6 {
                return None;
            }
            micros = i64::from(digits(fraction)?) * 10_i64.pow(6 - fraction.len() as u32);
        }
        let days = i64::from(LegalDate::parse(day)?.days);
        let seconds = days * SECONDS_PER_DAY + i64::from(seconds);
        Some(Self { micros: seconds * MICROS_PER_SECOND + micros })
    }

    /// Appends the text `2026-11-21T20:14:21.123456Z`: always 27 bytes, always six digits.
    pub fn write_text(self, out: &mut Vec<u8>) {
        let (year, month, day) = self.date().ymd();
        let seconds = self.unix_seconds().rem_euclid(SECONDS_PER_DAY) as u32;
        let micros = self.micros.rem_euclid(MICROS_PER_SECOND) as u32;
        let fields = [
            (year.unsigned_abs(), 4, b'-'),
            (month, 2, b'-'),
            (day, 2, b'T'),
            (seconds / 3600, 2, b':'),
            (seconds / 60 % 60, 2, b':'),
            (seconds % 60, 2, b'.'),
            (micros, 6, b'Z'),
        ];
        for (value, width, after) in fields {
            for place in (0..width).rev() {
                out.push(b'0' + (value / 10_u32.pow(place) % 10) as u8);
            }
            out.push(after);
        }
    }
}

/// Seconds since midnight of `HH:MM:SS`.
pub(crate) fn seconds_of_day(clock: &[u8]) -> Option<u32> {
    if clock.len() != 8 || clock[2] != b':' || clock[5] != b':' {
        return None;
    }
    let (hour, minute, second) =
        (digits(&clock[..2])?, digits(&clock[3..5])?, digits(&clock[6..])?);
    (hour < 24 && minute < 60 && second < 60).then_some(hour * 3600 + minute * 60 + second)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(27);
        self.write_text(&mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time in UTC"))
    }
}

/// An answer about facts that are not fully known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Certainty {
    Yes,
    No,
    Maybe,
}

impl Certainty {
    /// Certain only when both are.
    #[must_use]
    pub fn and(self, other: Certainty) -> Certainty {
        match (self, other) {
            (Certainty::No, _) | (_, Certainty::No) => Certainty::No,
            (Certainty::Yes, Certainty::Yes) => Certainty::Yes,
            _ => Certainty::Maybe,
        }
    }

    #[must_use]
    pub fn or(self, other: Certainty) -> Certainty {
        self.not().and(other.not()).not()
    }

    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "reads as `and` and `or` do")]
    pub fn not(self) -> Certainty {
        match self {
            Certainty::Yes => Certainty::No,
            Certainty::No => Certainty::Yes,
            Certainty::Maybe => Certainty::Maybe,
        }
    }
}

impl From<bool> for Certainty {
    fn from(known: bool) -> Self {
        if known { Certainty::Yes } else { Certainty::No }
    }
}

/// One unknown day, between two days that both belong; `None` is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    pub earliest: Option<LegalDate>,
    pub latest: Option<LegalDate>,
}

impl Interval {
    /// The day nothing is known about.
    pub const ANY: Interval = Interval { earliest: None, latest: None };

    /// A day known exactly.
    pub fn day(day: LegalDate) -> Self {
        Self { earliest: Some(day), latest: Some(day) }
    }

    /// Whether the unknown day may be `day`.
    pub fn contains(&self, day: LegalDate) -> bool {
        self.earliest.is_none_or(|earliest| earliest <= day)
            && self.latest.is_none_or(|latest| day <= latest)
    }

    pub fn is_single_day(&self) -> bool {
        self.earliest.is_some() && self.earliest == self.latest
    }

    /// Whether this day comes before the other's: `Yes` when each possible day does, `No` when
    /// none does.
    pub fn strictly_before(&self, other: &Interval) -> Certainty {
        if known(self.latest, other.earliest, |a, b| a < b) {
            Certainty::Yes
        } else if known(self.earliest, other.latest, |a, b| a >= b) {
            Certainty::No
        } else {
            Certainty::Maybe
        }
    }

    /// Whether this day comes before the other's or is the same.
    pub fn on_or_before(&self, other: &Interval) -> Certainty {
        other.strictly_before(self).not()
    }

    /// Whether the two have a possible day in common.
    pub fn overlaps(&self, other: &Interval) -> bool {
        !known(self.latest, other.earliest, |a, b| a < b)
            && !known(other.latest, self.earliest, |a, b| a < b)
    }
}

/// An open bound is never known to satisfy a comparison.
fn known(
    a: Option<LegalDate>,
    b: Option<LegalDate>,
    compare: impl Fn(LegalDate, LegalDate) -> bool,
) -> bool {
    matches!((a, b), (Some(a), Some(b)) if compare(a, b))
}

/// A run of ASCII digits, at most nine; `None` if anything else is there.
pub(crate) fn digits(text: &[u8]) -> Option<u32> {
    if text.is_empty() || text.len() > 9 || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(text.iter().fold(0, |number, digit| number * 10 + u32::from(digit - b'0')))
}

pub(crate) fn days_in_month(year: i32, month: u32) -> u32 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01, counting years from March so that the leap day comes last.
const fn days_from_civil(year: i32, month: u32, day: u32) -> i32 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = ((month + 9) % 12) as i32;
    let day_of_year = (153 * month_from_march + 2) / 5 + day as i32 - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Inverse of [`days_from_civil`].
const fn civil_from_days(days: i32) -> (i32, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * month_from_march + 2) / 5 + 1) as u32;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month as u32, day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(text: &str) -> LegalDate {
        LegalDate::parse(text).unwrap()
    }

    fn between(earliest: &str, latest: &str) -> Interval {
        Interval { earliest: LegalDate::parse(earliest), latest: LegalDate::parse(latest) }
    }

    #[test]
    fn only_real_days_in_one_spelling_are_read() {
        for text in ["2004-02-29", "2000-02-29", "0000-01-01", "-0044-03-15", "9999-12-31"] {
            assert_eq!(date(text).to_string(), text);
        }
        for text in [
            "2005-02-29",
            "1900-02-29",
            "2005-13-01",
            "2005-00-10",
            "2005-01-00",
            "2005-1-1",
            "20050101",
            "2005-01-01 ",
            "-0000-01-01",
            "+2005-01-01",
            "2005-01-0a",
            "",
        ] {
            assert_eq!(LegalDate::parse(text), None, "{text}");
        }
    }

    #[test]
    fn months_end_where_the_shorter_month_ends() {
        assert_eq!(date("2005-01-31").add_months(1), date("2005-02-28"));
        assert_eq!(date("2003-12-31").add_months(2), date("2004-02-29"));
        assert_eq!(date("2005-03-10").add_months(12), date("2006-03-10"));
        assert_eq!(date("2005-03-10").add_months(u32::MAX), LegalDate::MAX);
        assert_eq!(LegalDate::MAX.add_days(i32::MAX), LegalDate::MAX);
        assert_eq!(date("2005-02-03").end_of_month(), date("2005-02-28"));
    }

    #[test]
    fn instants_are_written_with_six_digits() {
        let text = "2026-11-21T20:14:21.123456Z";
        assert_eq!(Timestamp::parse(text).unwrap().to_string(), text);
        let before = Timestamp::from_micros(-1);
        assert_eq!(before.to_string(), "1969-12-31T23:59:59.999999Z");
        assert_eq!((before.unix_seconds(), before.date()), (-1, date("1969-12-31")));
        let short = Timestamp::parse("2005-03-10T09:00:00.5Z").unwrap();
        assert_eq!(short.to_string(), "2005-03-10T09:00:00.500000Z");
        for edge in [Timestamp::from_micros(i64::MAX), Timestamp::from_unix_seconds(i64::MIN)] {
            assert_eq!(Timestamp::parse(&edge.to_string()), Some(edge));
        }
    }

    #[test]
    fn other_spellings_of_an_instant_are_not_read() {
        for text in [
            "2005-03-10T09:00:00",
            "2005-03-10t09:00:00Z",
            "2005-03-10T09:00:00+00:00",
            "2005-03-10T24:00:00Z",
            "2005-03-10T09:60:00Z",
            "2005-03-10T23:59:60Z",
            "2005-03-10T09:00:00.Z",
            "2005-03-10T09:00:00.1234567Z",
            "2005-03-10 09:00:00Z",
            "-0001-03-10T09:00:00Z",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn certainty_follows_kleene() {
        use Certainty::{Maybe, No, Yes};
        assert_eq!([Yes.and(Maybe), No.and(Maybe), Maybe.and(Maybe)], [Maybe, No, Maybe]);
        assert_eq!([Yes.or(Maybe), No.or(Maybe), No.or(No)], [Yes, Maybe, No]);
    }

    #[test]
    fn an_open_end_is_never_certain() {
        let until = between("", "2022-05-31");
        let from = between("2022-06-01", "");
        assert_eq!(until.strictly_before(&from), Certainty::Yes);
        assert_eq!(from.strictly_before(&until), Certainty::No);
        assert_eq!(Interval::ANY.strictly_before(&from), Certainty::Maybe);
        assert!(!until.overlaps(&from) && Interval::ANY.overlaps(&from));
    }

    proptest! {
        #[test]
        fn days_agree_with_another_calendar(days in -2_000_000_i32..2_000_000) {
            let ours = LegalDate { days };
            let theirs = time::Date::from_julian_day(days + 2_440_588).unwrap();
            let (year, month, day) = ours.ymd();
            prop_assert_eq!(year, theirs.year());
            prop_assert_eq!((month, day), (u32::from(u8::from(theirs.month())), u32::from(theirs.day())));
            prop_assert_eq!(LegalDate::from_ymd(year, month, day), Some(ours));
            prop_assert_eq!(LegalDate::parse(&ours.to_string()), Some(ours));
        }

        #[test]
        fn instants_read_back(micros in any::<i64>()) {
            let instant = Timestamp::from_micros(micros);
            prop_assert_eq!(Timestamp::parse(&instant.to_string()), Some(instant));
        }

        /// The definition itself: try each pair of possible days.
        #[test]
        fn comparisons_quantify_over_possible_days(
            a in 0_i32..6, a_more in 0_i32..4, b in 0_i32..6, b_more in 0_i32..4,
        ) {
            let make = |from: i32, more: i32| Interval {
                earliest: Some(LegalDate { days: from }),
                latest: Some(LegalDate { days: from + more }),
            };
            let (left, right) = (make(a, a_more), make(b, b_more));
            let pairs: Vec<_> = (a..=a + a_more)
                .flat_map(|x| (b..=b + b_more).map(move |y| (x, y)))
                .collect();
            let judge = |holds: fn(&(i32, i32)) -> bool| {
                if pairs.iter().all(holds) {
                    Certainty::Yes
                } else if pairs.iter().any(holds) {
                    Certainty::Maybe
                } else {
                    Certainty::No
                }
            };
            prop_assert_eq!(left.strictly_before(&right), judge(|(x, y)| x < y));
            prop_assert_eq!(left.on_or_before(&right), judge(|(x, y)| x <= y));
            prop_assert_eq!(left.overlaps(&right), pairs.iter().any(|(x, y)| x == y));
        }
    }
}
