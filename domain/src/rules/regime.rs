//! The regimes of French data-protection law, what the authority's silence meant, and the
//! terms the law set: tables with their dates, delays and sources.
//!
//! A row says whether its text was checked at its source. What was not is used all the same,
//! because a register must answer, and is shown as to be checked (`TO_CHECK`), never as
//! established law. Which formality a processing needed is `formality.rs`, not here.

use std::sync::LazyLock;

use crate::date::LegalDate;
use crate::vocabulary::FormalityKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Regime {
    Lil1978,
    Lil2004,
    Rgpd2018,
}

/// A regime, and when it began.
pub struct RegimeRow {
    pub regime: Regime,
    pub code: &'static str,
    /// First day on which it applied.
    pub from: LegalDate,
    pub source: &'static str,
    /// The day and its text were checked at their source.
    pub verified: bool,
}

/// In order of their days.
pub static REGIMES: LazyLock<[RegimeRow; 3]> = LazyLock::new(|| {
    [
        RegimeRow {
            regime: Regime::Lil1978,
            code: "LIL-1978",
            from: day(1978, 1, 6),
            source: "Loi n° 78-17 du 6 janvier 1978",
            // The law's own day; the formalities are said to be due from 1980 only.
            verified: false,
        },
        RegimeRow {
            regime: Regime::Lil2004,
            code: "LIL-2004",
            from: day(2004, 8, 7),
            source: "Loi n° 2004-801 du 6 août 2004",
            verified: true,
        },
        RegimeRow {
            regime: Regime::Rgpd2018,
            code: "RGPD-2018",
            from: day(2018, 5, 25),
            source: "Règlement (UE) 2016/679, art. 99",
            verified: true,
        },
    ]
});

fn day(year: i32, month: u32, day: u32) -> LegalDate {
    LegalDate::from_ymd(year, month, day).expect("the dates of the law are calendar days")
}

impl Regime {
    pub const ALL: [Regime; 3] = [Regime::Lil1978, Regime::Lil2004, Regime::Rgpd2018];

    pub fn row(self) -> &'static RegimeRow {
        &REGIMES[self as usize]
    }

    pub fn as_str(self) -> &'static str {
        self.row().code
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// First day on which it applied.
    pub fn from(self) -> LegalDate {
        self.row().from
    }

    /// The regime on a day. Days before the first law are judged under it: nothing earlier
    /// is known to the register.
    pub fn on(day: LegalDate) -> Self {
        Self::ALL.into_iter().rev().find(|r| r.from() <= day).unwrap_or(Regime::Lil1978)
    }

    /// Day from which the next regime applied, if there is one.
    pub fn superseded_on(self) -> Option<LegalDate> {
        REGIMES.get(self as usize + 1).map(|next| next.from)
    }
}

/// What silence meant once the delay had run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    TacitFavourable,
    TacitRejected,
    TacitAccepted,
    /// The authority gave no opinion, and none is awaited any more.
    NoOpinion,
    /// Nothing: an answer was awaited however long it took.
    Nothing,
}

impl Silence {
    /// As the code lists write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TacitFavourable => "TACIT-FAVOURABLE",
            Self::TacitRejected => "TACIT-REJECTED",
            Self::TacitAccepted => "TACIT-ACCEPTED",
            Self::NoOpinion => "NO-OPINION",
            Self::Nothing => "NONE",
        }
    }
}

/// A length of time counted from the day of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// Calendar months; a day the month does not have becomes its last.
    Months(u32),
    Weeks(u32),
}

impl Span {
    /// Last day of the span.
    pub fn after(self, day: LegalDate) -> LegalDate {
        match self {
            Self::Months(months) => day.add_months(months),
            Self::Weeks(weeks) => day.add_days(i32::try_from(weeks * 7).unwrap_or(i32::MAX)),
        }
    }
}

/// How long the authority had: as a rule, and once prolonged. Nobody need record a
/// prolongation, so between the two the answer is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    pub plain: Span,
    pub prolonged: Span,
}

const TWO_MONTHS_TWICE: Option<Delay> =
    Some(Delay { plain: Span::Months(2), prolonged: Span::Months(4) });
const EIGHT_WEEKS_AND_SIX: Option<Delay> =
    Some(Delay { plain: Span::Weeks(8), prolonged: Span::Weeks(14) });

/// A formality after which the authority's answer is awaited.
pub struct AnswerRow {
    pub formality: &'static str,
    pub silence: Silence,
    /// `None`: no delay puts an end to the wait.
    pub delay: Option<Delay>,
    pub source: &'static str,
    /// Effect and delay were checked at their source.
    pub verified: bool,
}

/// Formalities that are not here await no answer.
pub static ANSWERS: &[AnswerRow] = &[
    AnswerRow {
        formality: "F78-15-AVIS",
        silence: Silence::TacitFavourable,
        delay: TWO_MONTHS_TWICE,
        source: "Loi 78-17 (version de 1978) art. 15",
        verified: false,
    },
    AnswerRow {
        formality: "F78-18-NIR",
        silence: Silence::Nothing,
        delay: None,
        source: "Loi 78-17 (version de 1978) art. 18",
        verified: true,
    },
    AnswerRow {
        formality: "F78-40-SANTE",
        silence: Silence::Nothing,
        delay: None,
        source: "Loi 78-17 (versions de 1994 et 1999) chap. V bis et V ter",
        verified: false,
    },
    AnswerRow {
        formality: "F04-25-AUT",
        silence: Silence::TacitRejected,
        delay: TWO_MONTHS_TWICE,
        source: "Loi 78-17 (version de 2004) art. 25-III",
        verified: false,
    },
    AnswerRow {
        formality: "F04-26-AVIS",
        silence: Silence::TacitFavourable,
        delay: TWO_MONTHS_TWICE,
        source: "Loi 78-17 (version de 2004) art. 28 ; CE, 15 octobre 2014, n° 358876",
        verified: true,
    },
    AnswerRow {
        formality: "F04-27-AVIS",
        silence: Silence::TacitFavourable,
        delay: TWO_MONTHS_TWICE,
        source: "Loi 78-17 (version de 2004) art. 28 ; CE, 15 octobre 2014, n° 358876",
        verified: true,
    },
    AnswerRow {
        formality: "F04-27-NIR",
        silence: Silence::TacitFavourable,
        delay: TWO_MONTHS_TWICE,
        source: "Loi 78-17 (version de 2004) art. 28 ; CE, 15 octobre 2014, n° 358876",
        verified: true,
    },
    AnswerRow {
        formality: "F04-54-SANTE",
        silence: Silence::Nothing,
        delay: None,
        source: "Loi 78-17 (version de 2004) chap. IX",
        verified: false,
    },
    AnswerRow {
        formality: "F18-36-CONS",
        silence: Silence::NoOpinion,
        delay: EIGHT_WEEKS_AND_SIX,
        source: "RGPD art. 36",
        verified: false,
    },
    AnswerRow {
        formality: "F18-L31-AVIS",
        silence: Silence::TacitFavourable,
        delay: EIGHT_WEEKS_AND_SIX,
        source: "Loi 78-17 (version en vigueur depuis 2019) art. 31-32",
        verified: false,
    },
    AnswerRow {
        formality: "F18-L66-AUT",
        silence: Silence::TacitAccepted,
        delay: TWO_MONTHS_TWICE,
        source: "Conseil d’État, avis n° 393836",
        verified: true,
    },
];

/// A day the law set, once for all.
pub struct TermRow {
    /// Last day, itself still in time.
    pub last_day: LegalDate,
    pub source: &'static str,
    pub verified: bool,
}

/// Names [`ASSESSMENT_GRACE`] among what is to be checked.
const ASSESSMENT_GRACE_CODE: &str = "ASSESSMENT-GRACE";

/// Until when no impact assessment was expected of what had been regularly filed before
/// 25 May 2018.
pub static ASSESSMENT_GRACE: LazyLock<TermRow> = LazyLock::new(|| TermRow {
    last_day: day(2021, 5, 25),
    source: "CNIL, lignes directrices sur l’analyse d’impact",
    verified: false,
});

/// A delay the register itself sets: not law.
pub struct PolicyRow {
    /// Calendar days.
    pub days: i32,
    pub source: &'static str,
}

/// A headcount is stale after it.
pub static HEADCOUNT_FRESH: PolicyRow =
    PolicyRow { days: 365, source: "Règle du registre : douze mois" };

/// A recording is late after it: 72 hours, in whole days of the calendar.
pub static RECORDING_IN_TIME: PolicyRow =
    PolicyRow { days: 3, source: "Règle du registre : 72 heures" };

/// What of a rule rests on a text or a delay that was not checked at its source, in words
/// that a reader is shown beside the rule.
pub struct ToCheck {
    /// Code of the rule.
    pub rule: &'static str,
    /// Rows of the tables above, and kinds of formality, whose text is meant: their codes.
    pub covers: &'static [&'static str],
    pub fr: &'static str,
    pub en: &'static str,
}

/// Formalities whose answer was awaited under texts that were not checked.
const AWAITED: &[&str] =
    &["F78-15-AVIS", "F78-40-SANTE", "F04-25-AUT", "F04-54-SANTE", "F18-36-CONS", "F18-L31-AVIS"];
const AWAITED_FR: &str = "délais et effets du silence de l’article 15 et des chapitres V bis et V ter (1978), de l’article 25-III et du chapitre IX (2004), de l’article 36 du RGPD et de l’article 31 (2019)";
const AWAITED_EN: &str = "delays and effects of silence under article 15 and chapters V bis and V ter (1978), article 25-III and chapter IX (2004), GDPR article 36 and article 31 (2019)";

pub static TO_CHECK: &[ToCheck] = &[
    ToCheck {
        rule: "NO-DECLARATION",
        covers: &["LIL-1978"],
        fr: "la date à partir de laquelle les formalités de la loi de 1978 étaient dues, peut-être 1980",
        en: "the day from which the formalities of the law of 1978 were due, perhaps in 1980",
    },
    ToCheck {
        rule: "WRONG-FORMALITY",
        covers: &["F04-RU"],
        fr: "l’acte réglementaire unique des articles 26-IV et 27-III (2004)",
        en: "the single regulatory act of articles 26-IV and 27-III (2004)",
    },
    ToCheck {
        rule: "FORMALITY-REFERENCE-MISSING",
        covers: &["F04-RU"],
        fr: "l’acte réglementaire unique des articles 26-IV et 27-III (2004)",
        en: "the single regulatory act of articles 26-IV and 27-III (2004)",
    },
    ToCheck { rule: "FORMALITY-PENDING", covers: AWAITED, fr: AWAITED_FR, en: AWAITED_EN },
    ToCheck { rule: "PURPOSE-PENDING", covers: AWAITED, fr: AWAITED_FR, en: AWAITED_EN },
    ToCheck {
        rule: "SILENCE-REJECTED",
        covers: &["F04-25-AUT"],
        fr: "effet et délai du silence de l’article 25-III (2004)",
        en: "effect and delay of silence under article 25-III (2004)",
    },
    ToCheck {
        rule: "DPIA-MISSING",
        covers: &[ASSESSMENT_GRACE_CODE],
        fr: "le délai de trois ans, jusqu’au 25 mai 2021, et la liste de la CNIL",
        en: "the three years' delay, to 25 May 2021, and the authority's list",
    },
    ToCheck {
        rule: "NIR-NOT-AUTHORISED",
        covers: &["LIL-1978"],
        fr: "la date à partir de laquelle les formalités de la loi de 1978 étaient dues et le décret-cadre pris pour l’article 30 (2019)",
        en: "the day from which the formalities of the law of 1978 were due, and the framework decree taken for article 30 (2019)",
    },
    ToCheck {
        rule: "PURPOSE-INCOMPATIBLE",
        covers: &[],
        fr: "l’article 6-2° (2004)",
        en: "article 6-2° (2004)",
    },
    ToCheck {
        rule: "BASIS-ANNULLED",
        covers: &[],
        fr: "l’effet dans le temps des annulations, des retraits et de leur modulation",
        en: "the effect in time of annulments, withdrawals and their modulation",
    },
    ToCheck {
        rule: "BASIS-REPEALED",
        covers: &[],
        fr: "l’effet dans le temps des abrogations",
        en: "the effect in time of repeals",
    },
    ToCheck {
        rule: "BASIS-SUSPENDED",
        covers: &[],
        fr: "les effets de la suspension",
        en: "the effects of a suspension",
    },
    ToCheck {
        rule: "RECIPIENT-NOT-AUTHORISED",
        covers: &[],
        fr: "le secret qui interdit à l’employeur le dossier médical et le motif nominatif",
        en: "the secrecy that keeps the medical file and a named person's motive from the employer",
    },
    ToCheck {
        rule: "SUBJECT-OBJECTED",
        covers: &[],
        fr: "l’article 38 (2004)",
        en: "article 38 (2004)",
    },
];

/// What the tables say of each kind of formality, in the order of the code list.
static BY_KIND: LazyLock<Vec<(Option<Regime>, Option<&'static AnswerRow>)>> = LazyLock::new(|| {
    FormalityKind::all()
        .map(|kind| {
            let regime = kind.term().regime.as_deref().and_then(Regime::parse);
            (regime, ANSWERS.iter().find(|row| kind == *row.formality))
        })
        .collect()
});

impl FormalityKind {
    /// The regime it belongs to; `None`: to none in particular.
    pub fn regime(self) -> Option<Regime> {
        BY_KIND[self.index()].0
    }

    /// The answer that is awaited before anything may be done, if one is.
    pub fn answer(self) -> Option<&'static AnswerRow> {
        BY_KIND[self.index()].1
    }

    /// Self-declared conformity to a reference text.
    pub fn is_conformity(self) -> bool {
        matches!(
            self.as_str(),
            "F78-17-NS" | "F04-24-NS" | "F04-25-AU" | "F04-RU" | "F18-L66-REF" | "F18-L73-MR"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::RuleCode;

    fn on(y: i32, m: u32, d: u32) -> Regime {
        Regime::on(day(y, m, d))
    }

    #[test]
    fn each_regime_starts_on_its_first_day_and_not_the_day_before() {
        assert_eq!(on(2004, 8, 6), Regime::Lil1978);
        assert_eq!(on(2004, 8, 7), Regime::Lil2004);
        assert_eq!(on(2018, 5, 24), Regime::Lil2004);
        assert_eq!(on(2018, 5, 25), Regime::Rgpd2018);
        assert_eq!(on(1970, 1, 1), Regime::Lil1978);
    }

    #[test]
    fn the_rows_of_the_regimes_stand_in_the_order_of_the_enum_and_of_their_days() {
        for (row, regime) in REGIMES.iter().zip(Regime::ALL) {
            assert_eq!(row.regime, regime);
            assert_eq!(Regime::parse(row.code), Some(regime));
        }
        assert!(REGIMES.is_sorted_by(|a, b| a.from < b.from));
        assert_eq!(Regime::Lil1978.superseded_on(), Some(day(2004, 8, 7)));
        assert_eq!(Regime::Rgpd2018.superseded_on(), None);
    }

    #[test]
    fn the_effects_of_silence_are_those_of_the_published_code_list() {
        for kind in FormalityKind::all() {
            let published = kind.term().silence.as_deref().unwrap_or("NONE");
            let answer = kind.answer().map_or(Silence::Nothing, |row| row.silence);
            assert_eq!(answer.as_str(), published, "{kind}");
            let delay = kind.term().delay.as_deref().unwrap_or("");
            match kind.answer().and_then(|row| row.delay) {
                Some(d) if d.plain == Span::Months(2) => assert!(delay.starts_with("2 mois")),
                Some(d) if d.plain == Span::Weeks(8) => assert!(delay.starts_with("8 semaines")),
                Some(d) => panic!("{kind}: {d:?}"),
                None => assert!(!delay.contains("mois") && !delay.contains("semaines"), "{kind}"),
            }
        }
        for row in ANSWERS {
            assert!(FormalityKind::parse(row.formality).is_some(), "{}", row.formality);
            assert!(!row.source.is_empty(), "{}", row.formality);
        }
    }

    #[test]
    fn what_is_to_be_checked_names_a_rule_once_in_both_languages() {
        let mut seen = std::collections::HashSet::new();
        for row in TO_CHECK {
            assert!(RuleCode::parse(row.rule).is_some() && seen.insert(row.rule), "{}", row.rule);
            assert!(!row.fr.is_empty() && row.fr != row.en, "{}", row.rule);
        }
    }

    /// A rule that reads a row shows that the row was not checked, whatever the reader asks.
    #[test]
    fn what_was_not_checked_is_said_beside_each_rule_that_reads_it() {
        let mut open: Vec<(&str, &str)> = Vec::new();
        for row in REGIMES.iter().filter(|row| !row.verified) {
            open.extend([("NO-DECLARATION", row.code), ("NIR-NOT-AUTHORISED", row.code)]);
        }
        for row in ANSWERS.iter().filter(|row| !row.verified) {
            let awaited = ["FORMALITY-PENDING", "PURPOSE-PENDING"];
            open.extend(awaited.map(|rule| (rule, row.formality)));
            if row.silence == Silence::TacitRejected {
                open.push(("SILENCE-REJECTED", row.formality));
            }
        }
        if !ASSESSMENT_GRACE.verified {
            open.push(("DPIA-MISSING", ASSESSMENT_GRACE_CODE));
        }
        // The single regulatory act stands in no table: it awaits no answer.
        open.extend([("FORMALITY-REFERENCE-MISSING", "F04-RU"), ("WRONG-FORMALITY", "F04-RU")]);
        for (rule, code) in open {
            let note = TO_CHECK.iter().find(|row| row.rule == rule);
            let note = note.unwrap_or_else(|| panic!("{rule} reads {code} and notes nothing"));
            assert!(note.covers.contains(&code), "the note of {rule} does not cover {code}");
        }
        let known = |code: &&str| {
            FormalityKind::parse(code).is_some()
                || Regime::parse(code).is_some()
                || *code == ASSESSMENT_GRACE_CODE
        };
        assert!(TO_CHECK.iter().flat_map(|row| row.covers).all(known));
    }

    #[test]
    fn a_span_ends_on_the_same_day_of_the_month_or_the_same_day_of_the_week() {
        assert_eq!(Span::Months(2).after(day(2011, 12, 31)), day(2012, 2, 29));
        assert_eq!(Span::Weeks(8).after(day(2020, 1, 6)), day(2020, 3, 2));
    }
}
