//! The regimes of French data-protection law, and what the authority's silence meant.
//!
//! Dates and delays are data. Sources: loi 78-17 of 6 January 1978; loi 2004-801 of
//! 6 August 2004 (in force the day after its publication of 7 August, here from that day);
//! regulation (EU) 2016/679, applicable from 25 May 2018.

use crate::date::LegalDate;
use crate::vocabulary::FormalityKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Regime {
    Lil1978,
    Lil2004,
    Rgpd2018,
}

impl Regime {
    pub const ALL: [Regime; 3] = [Regime::Lil1978, Regime::Lil2004, Regime::Rgpd2018];

    pub fn as_str(self) -> &'static str {
        match self {
            Regime::Lil1978 => "LIL-1978",
            Regime::Lil2004 => "LIL-2004",
            Regime::Rgpd2018 => "RGPD-2018",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// First day on which it applied.
    pub fn from(self) -> LegalDate {
        let (year, month, day) = match self {
            Regime::Lil1978 => (1978, 1, 6),
            Regime::Lil2004 => (2004, 8, 7),
            Regime::Rgpd2018 => (2018, 5, 25),
        };
        LegalDate::from_ymd(year, month, day).expect("the dates of the regimes are calendar days")
    }

    /// The regime on a day. Days before the first law are judged under it: nothing earlier
    /// is known to the register.
    pub fn on(day: LegalDate) -> Self {
        Self::ALL.into_iter().rev().find(|r| r.from() <= day).unwrap_or(Regime::Lil1978)
    }

    /// Day from which the next regime applied, if there is one.
    pub fn superseded_on(self) -> Option<LegalDate> {
        match self {
            Regime::Lil1978 => Some(Regime::Lil2004.from()),
            Regime::Lil2004 => Some(Regime::Rgpd2018.from()),
            Regime::Rgpd2018 => None,
        }
    }
}

/// What silence meant once the delay had run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    TacitFavourable,
    TacitRejected,
    TacitAccepted,
    NoOpinion,
    /// No answer is awaited.
    None,
}

impl FormalityKind {
    pub fn regime(self) -> Option<Regime> {
        self.term().regime.as_deref().and_then(Regime::parse)
    }

    pub fn silence(self) -> Silence {
        match self.term().silence.as_deref() {
            Some("TACIT-FAVOURABLE") => Silence::TacitFavourable,
            Some("TACIT-REJECTED") => Silence::TacitRejected,
            Some("TACIT-ACCEPTED") => Silence::TacitAccepted,
            Some("NO-OPINION") => Silence::NoOpinion,
            _ => Silence::None,
        }
    }

    /// The authority's answer is awaited before anything may be done.
    pub fn awaits_decision(self) -> bool {
        self.silence() != Silence::None
            || matches!(self.as_str(), "F78-18-NIR" | "F78-40-SANTE" | "F04-54-SANTE")
    }

    /// Self-declared conformity to a reference text.
    pub fn is_conformity(self) -> bool {
        matches!(
            self.as_str(),
            "F78-17-NS" | "F04-24-NS" | "F04-25-AU" | "F04-RU" | "F18-L66-REF" | "F18-L73-MR"
        )
    }

    /// Months after which silence counts, and months once renewed.
    pub fn silence_months(self) -> Option<(u32, u32)> {
        match self.silence() {
            Silence::None | Silence::NoOpinion => None,
            _ => Some((2, 4)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(y: i32, m: u32, d: u32) -> Regime {
        Regime::on(LegalDate::from_ymd(y, m, d).expect("a day"))
    }

    #[test]
    fn each_regime_starts_on_its_first_day_and_not_the_day_before() {
        assert_eq!(on(2004, 8, 6), Regime::Lil1978);
        assert_eq!(on(2004, 8, 7), Regime::Lil2004);
        assert_eq!(on(2018, 5, 24), Regime::Lil2004);
        assert_eq!(on(2018, 5, 25), Regime::Rgpd2018);
    }
}
