//! Days and what can be said of their order, by the possible worlds.
//!
//! The oracle's own arithmetic, written from ADR 0003, 0006, 0009 and 0011. A fact that is
//! not dated to the day happened on one unknown day of a span; what is asked of its order is
//! answered by looking whether some world makes it so (`can`) and whether some world makes
//! it not so (`cannot`). Nothing here is shared with `date.rs` but the parsed ends.

use greffe_domain::date::{Interval, LegalDate};

/// Number of a day; the ends of an open span are far beyond any date.
pub type Day = i64;

const BEFORE_ALL: Day = -10_000_000;
const AFTER_ALL: Day = 10_000_000;

/// The number of the day `YYYY-MM-DD`, counted in the proleptic Gregorian calendar.
pub fn day(year: i64, month: i64, day: i64) -> Day {
    let years = year - 1;
    let leaps = years.div_euclid(4) - years.div_euclid(100) + years.div_euclid(400);
    let before: i64 = (1..month).map(|m| length(year, m)).sum();
    years * 365 + leaps + before + day
}

fn length(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn number(date: LegalDate) -> Day {
    // From its text, so that the calendar is computed twice.
    let text = date.to_string();
    let mut parts = text.split('-').map(|p| p.parse::<i64>().expect("digits"));
    let mut next = || parts.next().expect("three parts");
    day(next(), next(), next())
}

/// The day so many months later; a day that month does not have becomes its last.
pub fn months_later(from: Day, months: i64) -> Day {
    if !(BEFORE_ALL + 1..AFTER_ALL).contains(&from) {
        return from;
    }
    let mut year = from.div_euclid(365) + 2;
    while day(year, 1, 1) > from {
        year -= 1;
    }
    let mut month = 12;
    while day(year, month, 1) > from {
        month -= 1;
    }
    let of_month = from - day(year, month, 1) + 1;
    let total = year * 12 + (month - 1) + months;
    let (year, month) = (total.div_euclid(12), total.rem_euclid(12) + 1);
    day(year, month, of_month.min(length(year, month)))
}

/// One unknown day from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: Day,
    pub last: Day,
}

impl Span {
    pub fn of(interval: Interval) -> Self {
        Self {
            first: interval.earliest.map_or(BEFORE_ALL, number),
            last: interval.latest.map_or(AFTER_ALL, number),
        }
    }

    pub fn on(day: LegalDate) -> Self {
        let day = number(day);
        Self { first: day, last: day }
    }

    pub fn up_to(day: LegalDate) -> Self {
        Self { first: BEFORE_ALL, last: number(day) }
    }

    pub fn has_beginning(self) -> bool {
        self.first > BEFORE_ALL
    }

    pub fn later(self, days: i64) -> Self {
        let move_by = |day: Day| {
            if day == BEFORE_ALL || day == AFTER_ALL { day } else { day + days }
        };
        Self { first: move_by(self.first), last: move_by(self.last) }
    }

    pub fn months_later(self, months: i64) -> Self {
        Self { first: months_later(self.first, months), last: months_later(self.last, months) }
    }

    /// It came before, or possibly on the same day: the order within a day is unknown.
    pub fn before(self, other: Span) -> Open {
        Open { can: self.first <= other.last, cannot: self.last >= other.first }
    }

    /// It had effect on that day: from the start of its own day on.
    pub fn effective_on(self, other: Span) -> Open {
        Open { can: self.first <= other.last, cannot: self.last > other.first }
    }

    /// A term whose last good day this is was over on that day.
    pub fn over_on(self, other: Span) -> Open {
        Open { can: self.first < other.last, cannot: self.last >= other.first }
    }
}

/// What the possible worlds say: some make it so, some make it not so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    pub can: bool,
    pub cannot: bool,
}

pub const YES: Open = Open { can: true, cannot: false };
pub const NO: Open = Open { can: false, cannot: true };

impl Open {
    pub fn is_certain(self) -> bool {
        self.can && !self.cannot
    }

    pub fn is_excluded(self) -> bool {
        !self.can
    }

    pub fn is_open(self) -> bool {
        self.can && self.cannot
    }

    /// Both are so, taken as independent of each other.
    pub fn and(self, other: Open) -> Open {
        Open { can: self.can && other.can, cannot: self.cannot || other.cannot }
    }

    pub fn or(self, other: Open) -> Open {
        Open { can: self.can || other.can, cannot: self.cannot && other.cannot }
    }

    pub fn not(self) -> Open {
        Open { can: self.cannot, cannot: self.can }
    }

    pub fn any(all: impl IntoIterator<Item = Open>) -> Open {
        all.into_iter().fold(NO, Open::or)
    }
}
