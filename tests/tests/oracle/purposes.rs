//! Purposes, bases, decisions, categories, recipients, persons: the second group.

use greffe_domain::body::{Ending, RenderDecision};
use greffe_domain::kind::StreamType;
use greffe_domain::vocabulary::{Outcome, Purpose};

use super::days::{NO, Open, Span};
use super::interpreter::{CONTRADICTED, Case, Law, NOT_EVIDENCED, Told, UNCERTAIN, positions};

pub fn accepts(outcome: Outcome) -> bool {
    matches!(
        outcome.as_str(),
        "ACCEPTED"
            | "ACCEPTED-CONDITIONS"
            | "OPINION-FAVOURABLE"
            | "TACIT-FAVOURABLE"
            | "TACIT-ACCEPTED"
    )
}

fn refuses(outcome: Outcome) -> bool {
    matches!(outcome.as_str(), "REFUSED" | "REFUSED-AS-SUBMITTED" | "TACIT-REJECTED")
}

/// An unfavourable opinion answers and refuses nothing; a receipt, an undertaking or a
/// recommendation does not answer.
pub fn decides(outcome: Outcome) -> bool {
    accepts(outcome) || refuses(outcome) || outcome == *"OPINION-UNFAVOURABLE"
}

/// The end of a decision on one purpose.
pub struct End {
    pub position: u64,
    pub how: Ending,
    pub from: Span,
}

impl<'a> Case<'a> {
    pub fn decided_before(&self, decision: &Told<'_, RenderDecision>) -> Open {
        match &decision.said.effective_from {
            Some(from) => Span::of(from.interval()).effective_on(self.days),
            None => decision.days().before(self.days),
        }
    }

    fn days_of(&self, decision: &Told<'_, RenderDecision>) -> Span {
        match &decision.said.effective_from {
            Some(from) => Span::of(from.interval()),
            None => decision.days(),
        }
    }

    /// Formal ends of a decision that bear on the purpose of the access.
    pub fn ends_of(&self, decision: &str) -> Vec<End> {
        let purpose = self.access.purpose;
        self.formal(self.ended())
            .into_iter()
            .filter(|end| {
                end.said.decision == *decision
                    && end.said.purposes.as_ref().is_none_or(|p| p.contains(&purpose))
            })
            .map(|end| End {
                position: end.position(),
                how: end.said.how,
                from: Span::of(end.said.effective_from.interval()),
            })
            .collect()
    }

    pub fn is_retroactively_ended(&self, decision: &Told<'_, RenderDecision>) -> bool {
        self.ends_of(&decision.said.decision)
            .iter()
            .any(|end| matches!(end.how, Ending::AnnulledExTunc | Ending::WithdrawnExTunc))
    }

    fn outcome_here(&self, decision: &RenderDecision) -> Option<Outcome> {
        let purpose = self.access.purpose;
        decision.outcomes.iter().find(|o| o.purpose == purpose).map(|o| o.outcome)
    }

    /// Formal decisions on the purpose, those that accept or refuse.
    fn decisions_here(&self) -> Vec<Told<'a, RenderDecision>> {
        let mut all = self.formal(self.rendered());
        all.retain(|d| {
            d.said.processing == self.access.processing
                && self.outcome_here(d.said).is_some_and(decides)
        });
        all
    }

    /// Of decisions, those that some world has as the last before the access, and whether
    /// some world has none.
    fn last_decisions(
        &self,
        all: &[Told<'a, RenderDecision>],
    ) -> (Vec<Told<'a, RenderDecision>>, bool) {
        let none = !all.iter().any(|d| self.decided_before(d).is_certain());
        let mut kept = Vec::new();
        for one in all {
            let replaced = all.iter().any(|other| {
                self.decided_before(other).is_certain()
                    && (self.days_of(one).before(self.days_of(other)).is_certain()
                        || (self.days_of(one) == self.days_of(other)
                            && one.position() < other.position()))
            });
            if self.decided_before(one).can && !replaced {
                kept.push(*one);
            }
        }
        (kept, none)
    }

    pub fn an_acceptance_may_stand(&self) -> bool {
        let mut standing = self.decisions_here();
        standing.retain(|d| !self.is_retroactively_ended(d));
        let (last, _) = self.last_decisions(&standing);
        last.iter().any(|d| self.outcome_here(d.said).is_some_and(accepts))
    }

    pub fn purposes(&mut self) {
        let purpose = self.access.purpose;
        self.purpose_declared(purpose);
        let decisions = self.decisions_here();
        let (annulled, standing): (Vec<_>, Vec<_>) =
            decisions.into_iter().partition(|d| self.is_retroactively_ended(d));
        let (last, none) = self.last_decisions(&standing);

        self.refused_or_pending(&last, none);
        self.incompatible(purpose, &last, none);
        self.ended_bases(&annulled, &last, none);
        self.conditions_of_acceptance(&last);
    }

    fn purpose_declared(&mut self, purpose: Purpose) {
        self.require_declared("PURPOSE-NOT-DECLARED", |d| {
            d.purposes.iter().any(|p| p.code == purpose)
        });
        let Some(cited) = &self.access.basis.reference else { return };
        let texts: Vec<_> = self
            .references()
            .into_iter()
            .filter(|text| {
                text.said.reference == *cited
                    && !matches!(text.said.kind.as_str(), "report" | "press")
                    && !text.said.objects.contains(&purpose)
            })
            .collect();
        if !texts.is_empty() {
            self.fire("PURPOSE-NOT-DECLARED", NOT_EVIDENCED, positions(&texts));
        }
    }

    /// One of these was the last decision, whichever.
    fn was_last(some: usize, last: &[Told<'a, RenderDecision>], none: bool) -> Open {
        Open { can: some > 0, cannot: none || some < last.len() }
    }

    fn this_was_last(&self, one: &Told<'a, RenderDecision>, among: usize) -> Open {
        if among == 1 { self.decided_before(one) } else { Open { can: true, cannot: true } }
    }

    fn refused_or_pending(&mut self, last: &[Told<'a, RenderDecision>], none: bool) {
        let refusals: Vec<_> = last
            .iter()
            .filter(|d| self.outcome_here(d.said).is_some_and(refuses))
            .copied()
            .collect();
        // Refused as submitted: another request may be made, and must not be prejudged.
        let again = |refusal: &Told<'a, RenderDecision>| {
            let mut requests = self.covering();
            requests.retain(|request| {
                self.outcome_here(refusal.said).is_some_and(|o| o == *"REFUSED-AS-SUBMITTED")
                    && refusal.days().before(request.days()).is_certain()
            });
            requests
        };
        let stands: Vec<Open> = refusals
            .iter()
            .map(|refusal| {
                Open::any(again(refusal).iter().map(|request| {
                    let rejected = self.standing(request).rejected;
                    request.days().before(self.days).and(rejected.not())
                }))
                .not()
            })
            .collect();
        let which_last = Self::was_last(refusals.len(), last, none);
        let refused = Open {
            can: stands.iter().any(|s| s.can),
            cannot: which_last.cannot || stands.iter().any(|s| s.cannot),
        };

        let (mut pending, mut which) =
            if none { self.while_none_acted(|s| s.pending) } else { (NO, Vec::new()) };
        for refusal in &refusals {
            for request in again(refusal) {
                let this =
                    self.standing(&request).pending.and(self.this_was_last(refusal, last.len()));
                if this.can {
                    which.push(request.position());
                }
                pending = pending.or(this);
            }
        }
        self.forbid("PURPOSE-REFUSED", refused, positions(&refusals));
        self.forbid("PURPOSE-PENDING", pending, which);
    }

    fn incompatible(&mut self, purpose: Purpose, last: &[Told<'a, RenderDecision>], none: bool) {
        const CODE: &str = "PURPOSE-INCOMPATIBLE";
        let grounded: Vec<_> = last
            .iter()
            .filter(|d| {
                d.said.outcomes.iter().any(|o| {
                    o.purpose == purpose
                        && o.grounds.iter().any(|g| g.fact.is_some_and(|f| f == *CODE))
                })
            })
            .copied()
            .collect();
        if !grounded.is_empty() {
            let so = Self::was_last(grounded.len(), last, none);
            return self.forbid(CODE, so, positions(&grounded));
        }
        match self.established(CODE) {
            Some((position, true)) => return self.fire(CODE, CONTRADICTED, vec![position]),
            Some((_, false)) => return,
            None => {}
        }
        let (versions, _) = self.declarations();
        let declared =
            |p: Purpose| versions.iter().any(|v| v.said.purposes.iter().any(|d| d.code == p));
        // Seen for one purpose, used for another that no declaration has.
        if let Some((seen, _)) = self.recorded {
            let uses: Vec<_> = self
                .uses()
                .into_iter()
                .filter(|u| {
                    u.said.access == Some(seen)
                        && u.said.purpose != purpose
                        && !declared(u.said.purpose)
                })
                .collect();
            if !uses.is_empty() {
                return self.fire(CODE, CONTRADICTED, positions(&uses));
            }
        }
        if !versions.is_empty() && !declared(purpose) {
            return self.fire(CODE, NOT_EVIDENCED, positions(&versions));
        }
        let claims = self.claims(CODE, true);
        if !claims.is_empty() {
            self.fire(CODE, UNCERTAIN, claims);
        }
    }

    fn ended_bases(
        &mut self,
        annulled: &[Told<'a, RenderDecision>],
        last: &[Told<'a, RenderDecision>],
        none: bool,
    ) {
        let accepting =
            |d: &&Told<'a, RenderDecision>| self.outcome_here(d.said).is_some_and(accepts);
        let current: Vec<_> = last.iter().filter(accepting).copied().collect();
        let void: Vec<_> = annulled.iter().filter(accepting).copied().collect();
        let another_stands = Self::was_last(current.len(), last, none);

        let mut ends = Vec::new();
        for decision in &void {
            for end in self.ends_of(&decision.said.decision) {
                if matches!(end.how, Ending::AnnulledExTunc | Ending::WithdrawnExTunc) {
                    // As if it had never been.
                    let so = self.decided_before(decision).and(another_stands.not());
                    ends.push(("BASIS-ANNULLED", so, vec![decision.position(), end.position]));
                }
            }
        }
        for decision in &current {
            let this = self.this_was_last(decision, last.len());
            for end in self.ends_of(&decision.said.decision) {
                let code = match end.how {
                    Ending::AnnulledDeferred => "BASIS-ANNULLED",
                    Ending::RepealedExNunc => "BASIS-REPEALED",
                    Ending::Suspended => "BASIS-SUSPENDED",
                    Ending::Expired => "BASIS-EXPIRED",
                    Ending::AnnulledExTunc | Ending::WithdrawnExTunc => continue,
                };
                let so = this.and(end.from.effective_on(self.days));
                ends.push((code, so, vec![decision.position(), end.position]));
            }
            if let Some(until) = &decision.said.until {
                let so = this.and(Span::of(until.interval()).over_on(self.days));
                ends.push(("BASIS-EXPIRED", so, vec![decision.position()]));
            }
        }
        for (code, so, involved) in ends {
            self.forbid(code, so, involved);
        }
    }

    fn conditions_of_acceptance(&mut self, last: &[Told<'a, RenderDecision>]) {
        let mut unmet = Vec::new();
        for decision in last {
            for outcome in &decision.said.outcomes {
                if outcome.purpose != self.access.purpose || !accepts(outcome.outcome) {
                    continue;
                }
                for condition in &outcome.conditions {
                    let so = Open::any(
                        self.conditions_met()
                            .iter()
                            .filter(|m| {
                                m.said.about.kind == StreamType::Processing
                                    && m.said.about.id == self.access.processing
                                    && m.said.condition == condition.condition
                            })
                            .map(|m| m.days().before(self.days)),
                    );
                    let needed = self.this_was_last(decision, last.len());
                    unmet.push((so.or(needed.not()), vec![decision.position()]));
                }
            }
        }
        for (met, involved) in unmet {
            self.require("CONDITION-NOT-MET", met, NOT_EVIDENCED, involved);
        }
    }

    pub fn categories_and_recipients(&mut self) {
        let access = self.access;
        self.require_declared("CATEGORY-NOT-DECLARED", |d| {
            access.categories.iter().all(|c| d.categories.iter().any(|said| said.code == *c))
        });

        let (versions, none) = self.declarations();
        if self.law != Law::Of1978 {
            let declaration = |v: &Told<'a, greffe_domain::body::Declaration>| v.said;
            let is_basis = |code: &greffe_domain::vocabulary::LegalBasis| {
                code.as_str().starts_with("A6-") || code.as_str().starts_with("LIL7-")
            };
            if !access.basis.codes.iter().any(is_basis) {
                let so = |v: &&Told<'a, greffe_domain::body::Declaration>| {
                    declaration(v).legal_basis.iter().any(is_basis)
                };
                let count = versions.iter().filter(so).count();
                let met = Open { can: count > 0, cannot: none || count < versions.len() };
                self.require("LEGAL-BASIS-UNSTATED", met, NOT_EVIDENCED, positions(&versions));
            }
            let is_special = |code: &greffe_domain::vocabulary::LegalBasis| {
                code.as_str().starts_with("A9-") || code.as_str().starts_with("LIL8-")
            };
            let special = access.categories.iter().any(|c| c.term().art9 == Some(true));
            if special && !access.basis.codes.iter().any(is_special) {
                let so = |v: &&Told<'a, greffe_domain::body::Declaration>| {
                    let said = declaration(v);
                    said.special_basis.iter().chain(&said.legal_basis).any(is_special)
                };
                let count = versions.iter().filter(so).count();
                let met = Open { can: count > 0, cannot: none || count < versions.len() };
                self.require("ART9-BASIS-MISSING", met, NOT_EVIDENCED, positions(&versions));
            }
        }

        let motive = access.categories.iter().any(|c| c.as_str().starts_with("ABS-MOTIVE"));
        const INFERRED: &str = "CATEGORY-INFERRED";
        if access.categories.iter().any(|c| *c == *"ABS-MOTIVE-INFERRED") {
            self.fire(INFERRED, CONTRADICTED, positions(&versions));
        } else if motive {
            match self.established(INFERRED) {
                Some((position, true)) => self.fire(INFERRED, CONTRADICTED, vec![position]),
                Some((_, false)) => {}
                None => {
                    let claims = self.claims(INFERRED, true);
                    if !claims.is_empty() {
                        self.fire(INFERRED, UNCERTAIN, claims);
                    }
                }
            }
        }

        let role = access.recipient.role;
        let employer =
            matches!(role.as_str(), "R-EMPLOYER-MGMT" | "R-EMPLOYER-HR" | "R-LINE-MANAGER");
        let nominative = !access.subjects.is_empty()
            || access.identifiability.is_some_and(|how| how == *"NOMINATIVE");
        let never = employer
            && (access.categories.iter().any(|c| *c == *"DMST" || *c == *"IRDP-SCORE")
                || (motive && nominative));
        if never {
            let involved = positions(&versions);
            self.fire("RECIPIENT-NOT-AUTHORISED", CONTRADICTED, involved);
        } else {
            self.require_declared("RECIPIENT-NOT-AUTHORISED", |d| {
                d.recipients.iter().any(|r| {
                    r.role == role
                        && r.party.as_ref().is_none_or(|party| *party == access.recipient.party)
                })
            });
        }
    }

    pub fn persons(&mut self) {
        let access = self.access;
        let transfer = matches!(access.recipient.role.as_str(), "R-OCC-PHYSICIAN" | "R-SPST-CELL")
            && self.law != Law::Of1978
            && access.categories.iter().any(|c| {
                c.as_str().starts_with("ABS-") || *c == *"CLAIMS-CARE" || *c == *"MED-CONTROL"
            });
        if transfer && access.subjects.is_empty() {
            self.fire("SUBJECT-AGREEMENT-MISSING", NOT_EVIDENCED, Vec::new());
        }
        for person in &access.subjects {
            let Some(reference) = &person.value else { continue };
            if transfer {
                let agreed: Vec<_> = self
                    .agreed()
                    .into_iter()
                    .filter(|a| {
                        a.days().before(self.days).can
                            && a.said.processing == access.processing
                            && a.said.subject.as_ref().and_then(|s| s.value.as_ref())
                                == Some(reference)
                    })
                    .collect();
                let met = Open::any(agreed.iter().map(|a| a.days().before(self.days)));
                self.require("SUBJECT-AGREEMENT-MISSING", met, NOT_EVIDENCED, positions(&agreed));
            }
            let objected: Vec<_> = self
                .objected()
                .into_iter()
                .filter(|o| {
                    o.said.processing == access.processing
                        && o.said.subject.as_ref().and_then(|s| s.value.as_ref()) == Some(reference)
                        && o.days().before(self.days).can
                })
                .collect();
            let so = Open::any(objected.iter().map(|o| o.days().before(self.days)));
            self.forbid("SUBJECT-OBJECTED", so, positions(&objected));
        }
    }
}
