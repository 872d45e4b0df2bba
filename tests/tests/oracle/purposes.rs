//! Purposes, bases, decisions, categories, recipients, persons: the second group.

use greffe_domain::body::{Ending, RenderDecision};
use greffe_domain::vocabulary::{Outcome, Purpose};

use super::days::{NO, Open, Span, YES};
use super::interpreter::{CONTRADICTED, Case, Law, NOT_EVIDENCED, Told, UNCERTAIN, positions};

pub fn accepts(outcome: Outcome) -> bool {
    matches!(
        outcome.as_str(),
        "ACCEPTED" | "ACCEPTED-CONDITIONS" | "OPINION-FAVOURABLE" | "TACIT-FAVOURABLE"
            | "TACIT-ACCEPTED"
    )
}

fn refuses(outcome: Outcome) -> bool {
    matches!(
        outcome.as_str(),
        "REFUSED" | "REFUSED-AS-SUBMITTED" | "OPINION-UNFAVOURABLE" | "TACIT-REJECTED"
    )
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
                && self.outcome_here(d.said).is_some_and(|o| accepts(o) || refuses(o))
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
                    && self.days_of(one).before(self.days_of(other)).is_certain()
            });
            if self.decided_before(one).can && !replaced {
                kept.push(*one);
            }
        }
        (kept, none)
    }

    pub fn purposes(&mut self) {
        let purpose = self.access.purpose;
        self.purpose_declared(purpose);
        let decisions = self.decisions_here();
        let (annulled, standing): (Vec<_>, Vec<_>) =
            decisions.into_iter().partition(|d| self.is_retroactively_ended(d));
        let (last, none) = self.last_decisions(&standing);

        self.refused_or_pending(purpose, &last, none);
        self.incompatible(purpose);
        self.ended_bases(&annulled, &last, none);
        self.conditions_of_acceptance(&last, none);
    }

    fn purpose_declared(&mut self, purpose: Purpose) {
        let before = self.found.len();
        self.require_declared("PURPOSE-NOT-DECLARED", |d| {
            d.purposes.iter().any(|p| p.code == purpose)
        });
        if self.found.len() > before {
            return;
        }
        let Some(cited) = &self.access.basis.reference else { return };
        let texts: Vec<_> = self
            .references()
            .into_iter()
            .filter(|text| text.said.reference == *cited && !text.said.objects.contains(&purpose))
            .collect();
        if !texts.is_empty() {
            self.fire("PURPOSE-NOT-DECLARED", NOT_EVIDENCED, positions(&texts));
        }
    }

    fn refused_or_pending(
        &mut self,
        purpose: Purpose,
        last: &[Told<'a, RenderDecision>],
        none: bool,
    ) {
        let requests: Vec<_> = self
            .formal_filings()
            .into_iter()
            .filter(|f| Case::awaits_answer(f.said.kind) && f.said.purposes.contains(&purpose))
            .collect();

        let refusals: Vec<_> = last
            .iter()
            .filter(|d| self.outcome_here(d.said).is_some_and(refuses))
            .copied()
            .collect();
        let mut refused = NO;
        for refusal in &refusals {
            let ended = Open::any(
                self.ends_of(&refusal.said.decision)
                    .iter()
                    .map(|end| end.from.effective_on(self.days)),
            );
            // Refused as submitted: another request may be made, and must not be prejudged.
            let asked_again = if self.outcome_here(refusal.said).is_some_and(|o| o == *"REFUSED-AS-SUBMITTED") {
                Open::any(requests.iter().map(|request| {
                    let standing = self.standing(request, Some(purpose));
                    let after = Open::known(
                        self.days_of(refusal).before(request.days()).is_certain(),
                    );
                    request.days().before(self.days).and(after).and(standing.rejected.not())
                }))
            } else {
                NO
            };
            let this = if last.len() == 1 && !none { YES } else { Open { can: true, cannot: true } };
            refused = refused.or(this.and(ended.not()).and(asked_again.not()));
        }
        if refusals.len() == last.len() && !none && !refusals.is_empty() && refused.can {
            // Whichever was the last, it refused.
            let all_certain = refusals.len() == 1 || refused.cannot;
            if !all_certain {
                refused = YES;
            }
        }
        self.forbid("PURPOSE-REFUSED", refused, positions(&refusals));

        let accepted = Open {
            can: last.iter().any(|d| self.outcome_here(d.said).is_some_and(accepts)),
            cannot: none || !refusals.is_empty(),
        };
        let mut pending = NO;
        let mut which = Vec::new();
        for request in &requests {
            let standing = self.standing(request, Some(purpose));
            if standing.pending.can {
                pending = pending.or(standing.pending);
                which.push(request.position());
            }
        }
        self.forbid("PURPOSE-PENDING", pending.and(accepted.not()), which);
    }

    fn incompatible(&mut self, purpose: Purpose) {
        const CODE: &str = "PURPOSE-INCOMPATIBLE";
        match self.established(CODE) {
            Some((position, true)) => return self.fire(CODE, CONTRADICTED, vec![position]),
            Some((_, false)) => return,
            None => {}
        }
        // Seen for one purpose, used for another.
        if let Some((seen, _)) = self.recorded {
            let uses: Vec<_> = self
                .uses()
                .into_iter()
                .filter(|u| u.said.access == Some(seen) && u.said.purpose != purpose)
                .collect();
            if !uses.is_empty() {
                return self.fire(CODE, CONTRADICTED, positions(&uses));
            }
        }
        let grounds: Vec<_> = self
            .formal(self.rendered())
            .into_iter()
            .filter(|d| {
                d.said.processing == self.access.processing
                    && !self.is_retroactively_ended(d)
                    && d.said.outcomes.iter().any(|o| {
                        o.purpose == purpose
                            && o.grounds.iter().any(|g| g.fact.is_some_and(|f| f == *CODE))
                    })
            })
            .collect();
        let grounded = Open::any(grounds.iter().map(|d| self.decided_before(d)));
        if grounded.can {
            return self.forbid(CODE, grounded, positions(&grounds));
        }
        let claims = self.claims(CODE, true);
        if !claims.is_empty() {
            return self.fire(CODE, UNCERTAIN, claims);
        }
        let (versions, none) = self.declarations();
        if !versions.is_empty()
            && !none
            && versions.iter().all(|v| v.said.purposes.iter().all(|p| p.code != purpose))
        {
            self.fire(CODE, NOT_EVIDENCED, positions(&versions));
        }
    }

    fn ended_bases(
        &mut self,
        annulled: &[Told<'a, RenderDecision>],
        last: &[Told<'a, RenderDecision>],
        none: bool,
    ) {
        let accepting = |d: &&Told<'a, RenderDecision>| self.outcome_here(d.said).is_some_and(accepts);
        let current: Vec<_> = last.iter().filter(accepting).copied().collect();
        let weight = |this: Open| {
            if last.len() == 1 && !none { this } else { this.and(Open { can: true, cannot: true }) }
        };

        // As if it had never been, unless another decision took its place.
        let replaced = Open { can: !last.is_empty(), cannot: none };
        let mut never = NO;
        let mut which = Vec::new();
        for decision in annulled.iter().filter(accepting) {
            let so = self.decided_before(decision).and(replaced.not());
            if so.can {
                which.push(decision.position());
                which.extend(
                    self.ends_of(&decision.said.decision)
                        .iter()
                        .filter(|e| matches!(e.how, Ending::AnnulledExTunc | Ending::WithdrawnExTunc))
                        .map(|e| e.position),
                );
            }
            never = never.or(so);
        }

        let ended_by = |how: Ending| {
            let mut so = NO;
            let mut which = Vec::new();
            for decision in &current {
                for end in self.ends_of(&decision.said.decision) {
                    let effective = end.from.effective_on(self.days);
                    if end.how == how && effective.can {
                        so = so.or(weight(effective));
                        which.push(decision.position());
                        which.push(end.position);
                    }
                }
            }
            (so, which)
        };
        let (deferred, also) = ended_by(Ending::AnnulledDeferred);
        let repealed = ended_by(Ending::RepealedExNunc);
        let suspended = ended_by(Ending::Suspended);
        let (mut expired, mut term) = ended_by(Ending::Expired);
        for decision in &current {
            let Some(until) = &decision.said.until else { continue };
            let over = Span::of(until.interval()).over_on(self.days);
            if over.can {
                expired = expired.or(weight(over));
                term.push(decision.position());
            }
        }
        which.extend(also);
        self.forbid("BASIS-ANNULLED", never.or(deferred), which);
        self.forbid("BASIS-REPEALED", repealed.0, repealed.1);
        self.forbid("BASIS-SUSPENDED", suspended.0, suspended.1);
        self.forbid("BASIS-EXPIRED", expired, term);
    }

    fn conditions_of_acceptance(&mut self, last: &[Told<'a, RenderDecision>], none: bool) {
        let mut unmet = Vec::new();
        for decision in last {
            for outcome in &decision.said.outcomes {
                if outcome.purpose != self.access.purpose || !accepts(outcome.outcome) {
                    continue;
                }
                for condition in &outcome.conditions {
                    let met: Vec<_> = self
                        .formal(self.conditions_met())
                        .into_iter()
                        .filter(|m| {
                            self.concerns(&m.said.about) && m.said.condition == condition.condition
                        })
                        .collect();
                    let so = Open::any(met.iter().map(|m| m.days().before(self.days)));
                    let certain = last.len() == 1 && !none;
                    let needed = if certain { YES } else { Open { can: true, cannot: true } };
                    let mut involved = vec![decision.position()];
                    involved.extend(positions(&met));
                    unmet.push((so.or(needed.not()), involved));
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

        let (versions, _) = self.declarations();
        if self.law != Law::Of1978 {
            let is_basis = |code: &greffe_domain::vocabulary::LegalBasis| {
                code.as_str().starts_with("A6-") || code.as_str().starts_with("LIL7-")
            };
            let stated = access.basis.codes.iter().any(is_basis)
                || versions.iter().any(|v| v.said.legal_basis.iter().any(is_basis));
            if !stated {
                self.fire("LEGAL-BASIS-UNSTATED", NOT_EVIDENCED, positions(&versions));
            }
            let is_special = |code: &greffe_domain::vocabulary::LegalBasis| {
                code.as_str().starts_with("A9-") || code.as_str().starts_with("LIL8-")
            };
            let stated = access.basis.codes.iter().any(is_special)
                || versions.iter().any(|v| {
                    v.said.special_basis.iter().chain(&v.said.legal_basis).any(is_special)
                });
            let special = access.categories.iter().any(|c| c.term().art9 == Some(true));
            if special && !stated {
                self.fire("ART9-BASIS-MISSING", NOT_EVIDENCED, positions(&versions));
            }
        }

        let motive = access.categories.iter().any(|c| c.as_str().starts_with("ABS-MOTIVE"));
        const INFERRED: &str = "CATEGORY-INFERRED";
        if access.categories.iter().any(|c| *c == *"ABS-MOTIVE-INFERRED") {
            self.fire(INFERRED, CONTRADICTED, Vec::new());
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
        let employer = matches!(role.as_str(), "R-EMPLOYER-MGMT" | "R-EMPLOYER-HR" | "R-LINE-MANAGER");
        let nominative = match access.identifiability {
            Some(how) => how == *"NOMINATIVE",
            None => access.cohort.is_none(),
        } || access.cohort.is_none();
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
        let named = access.subjects.iter();
        let members = access.cohort.iter().flat_map(|c| &c.members);
        let transfer = matches!(access.recipient.role.as_str(), "R-OCC-PHYSICIAN" | "R-SPST-CELL")
            && access.categories.iter().any(|c| c.as_str().starts_with("ABS-"));
        for person in named.chain(members) {
            let Some(reference) = &person.value else { continue };
            if transfer {
                let agreed: Vec<_> = self
                    .formal(self.agreed())
                    .into_iter()
                    .filter(|a| {
                        a.said.processing == access.processing
                            && a.said.subject.as_ref().and_then(|s| s.value.as_ref())
                                == Some(reference)
                    })
                    .collect();
                let met = Open::any(agreed.iter().map(|a| a.days().before(self.days)));
                self.require("SUBJECT-AGREEMENT-MISSING", met, NOT_EVIDENCED, positions(&agreed));
            }
            let objected: Vec<_> = self
                .formal(self.objected())
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
