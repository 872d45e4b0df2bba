//! Formalities: the first group of RULES.md §3.2, §2.1 on silences, ADR 0009.

use greffe_domain::body::FileFormality;
use greffe_domain::vocabulary::{FormalityKind, Purpose};

use super::days::{NO, Open, YES, day};
use super::interpreter::{CONTRADICTED, Case, Law, NOT_EVIDENCED, Told, positions};

/// How the authority's answer to a request stands on the days of the access.
pub struct Standing {
    /// Neither answered nor settled by silence.
    pub pending: Open,
    /// Deemed refused by silence.
    pub rejected: Open,
    /// Answered by a decision.
    pub decided: Open,
    /// Deemed granted by silence.
    pub granted: Open,
}

/// Months of silence, not renewed and renewed, and whether silence grants (`None`: no effect).
fn silence(kind: FormalityKind) -> Option<((i64, i64), Option<bool>)> {
    let effect = match kind.term().silence.as_deref()? {
        "TACIT-FAVOURABLE" | "TACIT-ACCEPTED" => Some(true),
        "TACIT-REJECTED" => Some(false),
        "NO-OPINION" => None,
        _ => return None,
    };
    let months = if kind.term().delay.as_deref()?.starts_with("2 mois") { (2, 4) } else { (0, 0) };
    Some((months, effect))
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
        silence(kind).is_some() && kind != *"F18-36-CONS"
    }

    /// Where a request stands; `purpose`, if the question is about that one alone.
    pub fn standing(
        &self,
        request: &Told<'a, FileFormality>,
        purpose: Option<Purpose>,
    ) -> Standing {
        let filed = request.days().before(self.days);
        let answers = self.formal(self.rendered()).into_iter().filter(|decision| {
            let said = decision.said;
            if said.processing != self.access.processing || self.is_retroactively_ended(decision) {
                return false;
            }
            if let Some(formality) = &said.formality {
                return *formality == request.said.formality;
            }
            let asked = |p: Purpose| match purpose {
                Some(purpose) => p == purpose,
                None => request.said.purposes.is_empty() || request.said.purposes.contains(&p),
            };
            // A decision taken before the request does not answer it.
            said.outcomes.iter().any(|o| asked(o.purpose))
                && !decision.days().before(request.days()).is_certain()
        });
        let decided = Open::any(answers.map(|d| self.decided_before(&d)));
        let ((short, long), effect) =
            silence(request.said.kind).expect("asked only of what awaits an answer");
        let law = Case::regime_of(request.said.kind.as_str()).unwrap_or(Law::Of2018);
        let longest = request.days().months_later(long);
        // A tacit effect accrues only if the longest delay ran out under the law it was of.
        let in_time = Open {
            can: longest.first < law.end() || law == Law::Of2018,
            cannot: !(longest.last < law.end() || law == Law::Of2018),
        };
        let settled = longest.over_on(self.days).and(in_time);
        let maybe_settled = request.days().months_later(short).over_on(self.days).and(in_time);
        let silent = Open { can: maybe_settled.can, cannot: settled.cannot };
        let unanswered = filed.and(decided.not());
        Standing {
            pending: unanswered.and(silent.not()),
            rejected: if effect == Some(false) { unanswered.and(settled) } else { NO },
            granted: if effect == Some(true) { unanswered.and(silent) } else { NO },
            decided,
        }
    }

    pub fn formalities(&mut self) {
        let all = self.filed_here();
        let formal = self.formal_filings();
        let said_none: Vec<_> = self.of_kind(&["F-NONE"]);
        let counted: Vec<_> = formal
            .iter()
            .filter(|told| {
                let law = Case::regime_of(told.said.kind.as_str());
                match self.law {
                    Law::Of2018 => told.said.kind == *"F18-30-REG",
                    now => law.is_some_and(|law| law <= now),
                }
            })
            .copied()
            .collect();
        let done = self.done(&counted);
        let code = match self.law {
            Law::Of2018 => "REGISTER-ENTRY-MISSING",
            _ => "NO-DECLARATION",
        };
        if said_none.is_empty() || done.can {
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

        self.pending_and_silence(&formal);

        if all.is_empty() {
            self.fire("FORMALITY-UNKNOWN", NOT_EVIDENCED, Vec::new());
        }

        let said = self.claims("AUTHORISATION-NOT-SOUGHT", true);
        let sought = formal.iter().any(|told| told.said.kind == *"F04-25-AUT");
        if !said.is_empty() && !sought {
            self.fire("AUTHORISATION-NOT-SOUGHT", CONTRADICTED, said);
        }

        if let Some(cited) = &self.access.basis.reference {
            let receipts: Vec<_> = self
                .receipts()
                .into_iter()
                .filter(|receipt| {
                    formal.iter().any(|f| f.said.formality == receipt.said.formality)
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
            let texts = self.of_kind(&["F78-18-NIR", "F04-27-NIR", "F18-L30-NIR"]);
            let done = self.done(&texts);
            self.require("NIR-NOT-AUTHORISED", done, NOT_EVIDENCED, positions(&texts));
        }

        if done.is_excluded() && !counted.is_empty() {
            self.fire("FORMALITY-ABSENT-THEN-REGULARISED", CONTRADICTED, positions(&counted));
        }
    }

    fn wrong_formality(&mut self, formal: &[Told<'a, FileFormality>]) {
        let seen = |code: &str| self.access.categories.iter().any(|c| *c == *code);
        let right: &[&str] = if seen("NIR") {
            &["F04-27-NIR"]
        } else if seen("SOC-DIFFICULTY") {
            &["F04-25-AUT", "F04-25-AU"]
        } else {
            return;
        };
        // What was regularly filed under the law of 1978 remains good.
        let is_right =
            |kind: FormalityKind| right.contains(&kind.as_str()) || kind.as_str().starts_with("F78");
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
        let wrong: Vec<_> = filed.iter().filter(|told| !is_right(told.said.kind)).copied().collect();
        let any_wrong = self.done(&wrong);
        let so = met.not().and(any_wrong);
        let involved = positions(&wrong);
        self.forbid("WRONG-FORMALITY", so, involved);
    }

    fn pending_and_silence(&mut self, formal: &[Told<'a, FileFormality>]) {
        let enough = Open::any(formal.iter().map(|told| {
            let kind = told.said.kind;
            if kind == *"F-NONE" {
                NO
            } else if Case::awaits_answer(kind) {
                let standing = self.standing(told, None);
                standing.granted.or(self.accepted_on(told))
            } else {
                told.days().before(self.days)
            }
        }));
        let requests: Vec<_> =
            formal.iter().filter(|told| Case::awaits_answer(told.said.kind)).copied().collect();
        let (mut pending, mut rejected) = (NO, NO);
        let (mut which_pending, mut which_rejected) = (Vec::new(), Vec::new());
        for request in &requests {
            let standing = self.standing(request, None);
            if standing.pending.can {
                which_pending.push(request.position());
            }
            if standing.rejected.can {
                which_rejected.push(request.position());
            }
            pending = pending.or(standing.pending);
            rejected = rejected.or(standing.rejected);
        }
        self.forbid("FORMALITY-PENDING", pending.and(enough.not()), which_pending);
        if self.law == Law::Of2004 {
            self.forbid("SILENCE-REJECTED", rejected.and(enough.not()), which_rejected);
        }
    }

    /// A request answered by an acceptance.
    fn accepted_on(&self, request: &Told<'a, FileFormality>) -> Open {
        let decided = self.standing(request, None).decided;
        let accepted = self.formal(self.rendered()).into_iter().any(|decision| {
            decision.said.processing == self.access.processing
                && decision.said.outcomes.iter().any(|o| {
                    request.said.purposes.contains(&o.purpose) && super::purposes::accepts(o.outcome)
                })
        });
        if accepted { decided } else { NO }
    }

    fn impact_assessment(&mut self) {
        let (versions, _) = self.declarations();
        let assessed: Vec<_> = self
            .formal(self.assessed())
            .into_iter()
            .filter(|told| told.said.processing == self.access.processing)
            .collect();
        let risky: Vec<_> =
            versions.iter().filter(|v| v.said.high_risk == Some(true)).copied().collect();
        if !risky.is_empty() {
            let on_paper = self.of_kind(&["F18-35-AIPD"]);
            let made = Open::any(assessed.iter().map(|told| told.days().before(self.days)))
                .or(self.done(&on_paper));
            let eve = super::days::Span { first: day(2018, 5, 24), last: day(2018, 5, 24) };
            let earlier = self.formal_filings();
            let regular = Open::any(
                earlier
                    .iter()
                    .filter(|told| {
                        Case::regime_of(told.said.kind.as_str()).is_some_and(|l| l < Law::Of2018)
                    })
                    .map(|told| told.days().effective_on(eve)),
            );
            let grace = super::days::Span { first: day(2021, 5, 25), last: day(2021, 5, 25) };
            let in_grace = regular.and(grace.over_on(self.days).not());
            let all_risky = risky.len() == versions.len();
            let needed = if all_risky { YES } else { Open { can: true, cannot: true } };
            let met = made.or(in_grace).or(needed.not());
            let mut involved = positions(&risky);
            involved.extend(positions(&assessed));
            involved.extend(positions(&on_paper));
            self.require("DPIA-MISSING", met, NOT_EVIDENCED, involved);
        }

        let (current, none) = self.in_force(assessed);
        let high: Vec<_> = current
            .iter()
            .filter(|told| told.said.residual_risk == greffe_domain::body::ResidualRisk::High)
            .copied()
            .collect();
        let unconsulted: Vec<_> = high
            .iter()
            .filter(|told| told.said.consulted_regulator != Some(true))
            .copied()
            .collect();
        if !unconsulted.is_empty() {
            let needed = Open { can: true, cannot: none || unconsulted.len() < current.len() };
            let consultation = self.of_kind(&["F18-36-CONS"]);
            let met = self.done(&consultation).or(needed.not());
            let mut involved = positions(&unconsulted);
            involved.extend(positions(&consultation));
            self.require("PRIOR-CONSULTATION-MISSING", met, NOT_EVIDENCED, involved);
        }
    }
}
