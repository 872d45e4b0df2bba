//! Formalities: the first group of RULES.md §3.2, §2.1 on silences, ADR 0009.

use greffe_domain::body::FileFormality;
use greffe_domain::vocabulary::FormalityKind;

use super::days::{NO, Open, Span, day};
use super::interpreter::{CONTRADICTED, Case, Law, NOT_EVIDENCED, Told, positions};

/// How a formality stands on the days of the access.
pub struct Standing {
    /// Filed and needing no answer, or answered, or granted by silence.
    pub acted: Open,
    /// Neither answered nor settled by silence.
    pub pending: Open,
    /// Deemed refused by silence.
    pub rejected: Open,
}

/// When silence counts, at the earliest and at the latest, and whether it then refuses;
/// `None`: no answer is awaited. Without a delay it never counts.
struct Silence {
    ends: Option<(Span, Span)>,
    refuses: bool,
}

fn silence(kind: FormalityKind, filed: Span) -> Option<Silence> {
    if matches!(kind.as_str(), "F78-18-NIR" | "F78-40-SANTE" | "F04-54-SANTE") {
        return Some(Silence { ends: None, refuses: false });
    }
    let effect = kind.term().silence.as_deref()?;
    if effect == "NONE" {
        return None;
    }
    let ends = if kind.term().delay.as_deref()?.starts_with("8 semaines + 6") {
        (filed.later(8 * 7), filed.later(14 * 7))
    } else {
        (filed.months_later(2), filed.months_later(4))
    };
    Some(Silence { ends: Some(ends), refuses: effect == "TACIT-REJECTED" })
}

impl<'a> Case<'a> {
    fn filed_here(&self) -> Vec<Told<'a, FileFormality>> {
        let mut all = self.filed();
        all.retain(|told| told.said.processing == self.access.processing);
        all
    }

    pub fn formal_filings(&self) -> Vec<Told<'a, FileFormality>> {
        let all = self.filed_here();
        self.formal(all)
    }

    fn of_kind(&self, kinds: &[&str]) -> Vec<Told<'a, FileFormality>> {
        let mut all = self.formal_filings();
        all.retain(|told| kinds.contains(&told.said.kind.as_str()));
        all
    }

    /// One of them was done before the access.
    fn done(&self, all: &[Told<'a, FileFormality>]) -> Open {
        Open::any(all.iter().map(|told| told.days().before(self.days)))
    }

    pub fn awaits_answer(kind: FormalityKind) -> bool {
        silence(kind, Span { first: 0, last: 0 }).is_some()
    }

    /// Where a formality stands, for the purpose of the access.
    pub fn standing(&self, request: &Told<'a, FileFormality>) -> Standing {
        let filed = request.days().before(self.days);
        let Some(silence) = silence(request.said.kind, request.days()) else {
            return Standing { acted: filed, pending: NO, rejected: NO };
        };
        let answers = self.formal(self.rendered()).into_iter().filter(|decision| {
            let said = decision.said;
            said.processing == self.access.processing
                && said.outcomes.iter().any(|o| {
                    o.purpose == self.access.purpose && super::purposes::decides(o.outcome)
                })
                && match &said.formality {
                    Some(formality) => *formality == request.said.formality,
                    // A decision taken before the request does not answer it.
                    None => !decision.days().before(request.days()).is_certain(),
                }
        });
        let decided = Open::any(answers.map(|d| self.decided_before(&d)));
        let law = Case::regime_of(request.said.kind.as_str()).unwrap_or(Law::Of2018);
        let (mut silent, mut settled) = (NO, NO);
        if let Some((short, long)) = silence.ends {
            // A tacit effect accrues only if the longest delay ran out under its own law.
            let in_time = Open { can: long.first <= law.end(), cannot: long.last > law.end() };
            settled = long.over_on(self.days).and(in_time);
            let perhaps = short.over_on(self.days).and(in_time);
            silent = Open { can: perhaps.can, cannot: settled.cannot };
        }
        let unanswered = filed.and(decided.not());
        Standing {
            acted: filed.and(decided.or(if silence.refuses { NO } else { silent })),
            pending: unanswered.and(silent.not()),
            rejected: if silence.refuses { unanswered.and(settled) } else { NO },
        }
    }

    /// Formal formalities that cover the purpose of the access.
    pub fn covering(&self) -> Vec<Told<'a, FileFormality>> {
        let mut all = self.formal_filings();
        all.retain(|f| f.said.kind != *"F-NONE" && f.said.purposes.contains(&self.access.purpose));
        all
    }

    /// What is so of one of them while none was acted.
    pub fn while_none_acted(&self, pick: impl Fn(&Standing) -> Open) -> (Open, Vec<u64>) {
        let (mut so, mut acted, mut which) = (NO, NO, Vec::new());
        for formality in self.covering() {
            let standing = self.standing(&formality);
            if pick(&standing).can {
                which.push(formality.position());
            }
            so = so.or(pick(&standing));
            acted = acted.or(standing.acted);
        }
        (so.and(acted.not()), which)
    }

    pub fn formalities(&mut self) {
        let all = self.filed_here();
        let formal = self.formal_filings();
        let said_none: Vec<_> = self.of_kind(&["F-NONE"]);
        let counted: Vec<_> = formal
            .iter()
            .filter(|told| {
                told.days().before(self.days).can
                    && match self.law {
                        Law::Of2018 => told.said.kind == *"F18-30-REG",
                        _ => {
                            told.said.kind.as_str().starts_with("F78-")
                                || told.said.kind.as_str().starts_with("F04-")
                        }
                    }
            })
            .copied()
            .collect();
        let done = self.done(&counted);
        let code = match self.law {
            Law::Of2018 => "REGISTER-ENTRY-MISSING",
            _ => "NO-DECLARATION",
        };
        if said_none.is_empty() || done.can || self.law == Law::Of2018 {
            self.require(code, done, NOT_EVIDENCED, positions(&counted));
        } else {
            self.fire(code, CONTRADICTED, positions(&said_none));
        }

        if self.law == Law::Of2004 {
            self.wrong_formality(&formal);
        }

        const SELF_DECLARED: &[&str] =
            &["F78-17-NS", "F04-24-NS", "F04-25-AU", "F04-RU", "F18-L66-REF", "F18-L73-MR"];
        let bare: Vec<_> = all
            .iter()
            .filter(|told| {
                SELF_DECLARED.contains(&told.said.kind.as_str())
                    && told.said.reference.is_none()
                    && told.said.number.is_none()
                    && told.days().before(self.days).can
            })
            .copied()
            .collect();
        if !bare.is_empty() {
            self.fire("FORMALITY-REFERENCE-MISSING", NOT_EVIDENCED, positions(&bare));
        }

        self.pending_and_silence();

        if all.is_empty() {
            self.fire("FORMALITY-UNKNOWN", NOT_EVIDENCED, Vec::new());
        }

        let said = self.claims("AUTHORISATION-NOT-SOUGHT", true);
        let sought = formal
            .iter()
            .any(|told| Case::awaits_answer(told.said.kind) && told.days().before(self.days).can);
        if !said.is_empty() && !sought {
            self.fire("AUTHORISATION-NOT-SOUGHT", CONTRADICTED, said);
        }

        if let Some(cited) = &self.access.basis.reference {
            let receipts: Vec<_> = self
                .receipts()
                .into_iter()
                .filter(|receipt| {
                    all.iter().any(|f| f.said.formality == receipt.said.formality)
                        && (receipt.said.number == *cited || receipt.said.formality == *cited)
                })
                .collect();
            if !receipts.is_empty() {
                self.fire("RECEIPT-NOT-APPROVAL", CONTRADICTED, positions(&receipts));
            }
        }

        if self.law == Law::Of2018 {
            self.impact_assessment();
        }

        if self.access.categories.iter().any(|c| *c == *"NIR") {
            let mut texts = self.of_kind(&["F78-18-NIR", "F04-27-NIR", "F18-L30-NIR"]);
            texts.retain(|told| told.days().before(self.days).can);
            let done = self.done(&texts);
            self.require("NIR-NOT-AUTHORISED", done, NOT_EVIDENCED, positions(&texts));
        }

        let (before, after): (Vec<_>, Vec<_>) = formal
            .iter()
            .filter(|told| told.said.kind != *"F-NONE")
            .partition(|told| told.days().before(self.days).can);
        if before.is_empty() && !after.is_empty() {
            let after = after.into_iter().map(Told::position).collect();
            self.fire("FORMALITY-ABSENT-THEN-REGULARISED", CONTRADICTED, after);
        }
    }

    fn wrong_formality(&mut self, formal: &[Told<'a, FileFormality>]) {
        let seen = |code: &str| self.access.categories.iter().any(|c| *c == *code);
        let right: &[&str] = if seen("NIR") {
            &["F04-27-NIR", "F04-27-AVIS", "F04-RU"]
        } else if seen("SOC-DIFFICULTY") {
            &["F04-25-AUT", "F04-25-AU", "F04-27-AVIS", "F04-RU"]
        } else {
            return;
        };
        // What was regularly filed under the law of 1978 remains good.
        let is_right = |kind: FormalityKind| {
            right.contains(&kind.as_str()) || kind.as_str().starts_with("F78")
        };
        let filed: Vec<_> = formal
            .iter()
            .filter(|told| {
                let kind = told.said.kind.as_str();
                (kind.starts_with("F04") || kind.starts_with("F78"))
                    && told.days().before(self.days).can
            })
            .copied()
            .collect();
        if filed.is_empty() {
            return;
        }
        let good: Vec<_> = filed.iter().filter(|told| is_right(told.said.kind)).copied().collect();
        let met = self.done(&good);
        let wrong: Vec<_> =
            filed.iter().filter(|told| !is_right(told.said.kind)).copied().collect();
        let any_wrong = self.done(&wrong);
        let so = met.not().and(any_wrong);
        let involved = positions(&wrong);
        self.forbid("WRONG-FORMALITY", so, involved);
    }

    fn pending_and_silence(&mut self) {
        let (pending, which) = self.while_none_acted(|s| s.pending);
        self.forbid("FORMALITY-PENDING", pending, which);
        if self.law == Law::Of2004 {
            let (rejected, which) = self.while_none_acted(|s| s.rejected);
            self.forbid("SILENCE-REJECTED", rejected, which);
        }
    }

    fn impact_assessment(&mut self) {
        let (versions, none) = self.declarations();
        let mut assessed = self.assessed();
        assessed.retain(|told| told.said.processing == self.access.processing);
        let risky: Vec<_> =
            versions.iter().filter(|v| v.said.high_risk == Some(true)).copied().collect();
        let needed = Open { can: !risky.is_empty(), cannot: none || risky.len() < versions.len() };
        let on_paper = self.of_kind(&["F18-35-AIPD"]);
        let formal = self.formal(assessed.clone());
        let made = Open::any(formal.iter().map(|told| told.days().before(self.days)))
            .or(self.done(&on_paper));
        let eve = Span { first: day(2018, 5, 24), last: day(2018, 5, 24) };
        let regular = Open::any(
            self.formal_filings()
                .iter()
                .filter(|told| {
                    Case::regime_of(told.said.kind.as_str()).is_some_and(|l| l < Law::Of2018)
                })
                .map(|told| told.days().effective_on(eve)),
        );
        let grace = Span { first: day(2021, 5, 25), last: day(2021, 5, 25) };
        let in_grace = regular.and(grace.over_on(self.days).not());
        let met = made.or(in_grace).or(needed.not());
        self.require("DPIA-MISSING", met, NOT_EVIDENCED, positions(&risky));

        // The last assessment says what risk remains.
        let (current, none) = self.in_force(assessed);
        let risky: Vec<_> = current
            .iter()
            .filter(|told| {
                told.said.residual_risk == greffe_domain::body::ResidualRisk::High
                    && told.said.consulted_regulator != Some(true)
            })
            .copied()
            .collect();
        let needed = Open { can: !risky.is_empty(), cannot: none || risky.len() < current.len() };
        let met = self.done(&self.of_kind(&["F18-36-CONS"])).or(needed.not());
        self.require("PRIOR-CONSULTATION-MISSING", met, NOT_EVIDENCED, positions(&risky));
    }
}
