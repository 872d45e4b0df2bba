//! Information and consultation, then time, retention and evidence: the last groups.

use greffe_domain::body::{Appeal, Opinion};
use greffe_domain::kind::StreamType;

use super::days::{Open, Span};
use super::interpreter::{CONTRADICTED, Case, NOT_EVIDENCED, UNCERTAIN, positions};

impl<'a> Case<'a> {
    fn told_of(&self, steps: &[&str]) -> Vec<super::interpreter::Told<'a, greffe_domain::body::RecordInformation>> {
        let mut all = self.formal(self.informed());
        all.retain(|told| {
            told.said.processing == self.access.processing
                && steps.contains(&told.said.step.as_str())
        });
        all
    }

    pub fn information(&mut self) {
        const INFORMED: &str = "SUBJECTS-NOT-INFORMED";
        let notices = self.told_of(&["I-NOTICE-INDIVIDUAL", "I-NOTICE-COLLECTIVE"]);
        let none_given = self.told_of(&["I-NOTICE-NONE"]);
        match self.established(INFORMED) {
            Some((position, true)) => self.fire(INFORMED, CONTRADICTED, vec![position]),
            Some((_, false)) => {}
            None => {
                let met = Open::any(notices.iter().map(|n| n.days().before(self.days)));
                if !none_given.is_empty() && !met.is_certain() {
                    self.fire(INFORMED, CONTRADICTED, positions(&none_given));
                } else {
                    self.require(INFORMED, met, NOT_EVIDENCED, positions(&notices));
                }
            }
        }

        if self.access.categories.iter().any(|c| *c == *"CALL-RECORDING") {
            let notices = self.told_of(&["I-CALLER-NOTICE"]);
            let met = Open::any(notices.iter().map(|n| n.days().before(self.days)));
            self.require("CALLERS-NOT-INFORMED", met, NOT_EVIDENCED, positions(&notices));
        }

        self.works_council();
        self.concertation();
    }

    fn works_council(&mut self) {
        const CONSULTED: &str = "WORKS-COUNCIL-NOT-CONSULTED";
        let (versions, _) = self.declarations();
        let watched: Vec<_> =
            versions.iter().filter(|v| v.said.monitors_staff == Some(true)).copied().collect();
        let mut opinions = self.formal(self.opined());
        opinions.retain(|o| {
            o.said.processing == self.access.processing && o.said.opinion != Opinion::None
        });
        if !watched.is_empty() {
            let met = Open::any(opinions.iter().map(|o| o.days().before(self.days)));
            match self.established(CONSULTED) {
                Some((position, true)) => self.fire(CONSULTED, CONTRADICTED, vec![position]),
                Some((_, false)) => {}
                None => self.require(CONSULTED, met, NOT_EVIDENCED, positions(&opinions)),
            }
        }
        let against: Vec<_> =
            opinions.iter().filter(|o| o.said.opinion == Opinion::Unfavourable).copied().collect();
        let so = Open::any(against.iter().map(|o| o.days().before(self.days)));
        self.forbid("WORKS-COUNCIL-OBJECTED", so, positions(&against));
    }

    fn concertation(&mut self) {
        const CODE: &str = "CONCERTATION-MISSING";
        let set: Vec<_> = self
            .conditions_set()
            .into_iter()
            .filter(|c| self.concerns(&c.said.about) && c.said.condition.contains("concertation"))
            .collect();
        let steps: Vec<_> = self
            .consulted()
            .into_iter()
            .filter(|c| {
                self.concerns(&c.said.about)
                    && matches!(c.said.step.as_str(), "I-SOCIAL-PARTNERS" | "I-HEALTH-PROFESSION")
            })
            .collect();
        let held: Vec<_> =
            self.formal(steps.clone()).into_iter().filter(|c| c.said.held).collect();
        let not_held: Vec<_> = steps.iter().filter(|c| !c.said.held).copied().collect();
        let was_held = Open::any(held.iter().map(|c| c.days().before(self.days)));
        for condition in &set {
            let met: Vec<_> = self
                .formal(self.conditions_met())
                .into_iter()
                .filter(|m| {
                    m.said.about == condition.said.about
                        && m.said.condition == condition.said.condition
                })
                .collect();
            let so = Open::any(met.iter().map(|m| m.days().before(self.days))).or(was_held);
            let mut involved = vec![condition.position()];
            involved.extend(positions(&met));
            self.require(CODE, so, NOT_EVIDENCED, involved);
        }
        if !not_held.is_empty() && !was_held.is_certain() {
            let formal = self.formal(not_held.clone());
            if formal.is_empty() {
                self.fire(CODE, UNCERTAIN, positions(&not_held));
            } else {
                self.fire(CODE, CONTRADICTED, positions(&formal));
            }
        }
    }

    pub fn time(&mut self) {
        self.retention();

        // Certainly late only past the whole of the last day it may have been.
        if let Some((_, recorded)) = self.recorded
            && let Some(latest) = self.latest
        {
            const HOUR: i64 = 3_600_000_000;
            if recorded.micros() - latest.add_days(1).start().micros() > 72 * HOUR {
                self.fire("LATE-RECORDED", CONTRADICTED, Vec::new());
            }
        }

        let excluded: Vec<_> = self
            .rulings()
            .into_iter()
            .filter(|r| r.said.excludes_evidence == Some(true))
            .collect();
        if !excluded.is_empty() {
            self.fire("EVIDENCE-EXCLUDED", CONTRADICTED, positions(&excluded));
        }

        let mut appealed = Vec::new();
        for ruling in self.rulings() {
            if matches!(ruling.said.appeal, Some(Appeal::Open | Appeal::Reserved)) {
                appealed.push(ruling.position());
            }
            for milestone in self.milestones() {
                if milestone.said.about.kind == StreamType::Ruling
                    && milestone.said.about.id == ruling.said.ruling
                    && milestone.said.milestone.starts_with("appeal-")
                {
                    appealed.extend([ruling.position(), milestone.position()]);
                }
            }
        }
        if !appealed.is_empty() {
            self.fire("RULING-SUBJECT-TO-APPEAL", CONTRADICTED, appealed);
        }

        let mut conflicts = Vec::new();
        for code in greffe_domain::vocabulary::RuleCode::all() {
            let (held, denied) = (self.claims(code.as_str(), true), self.claims(code.as_str(), false));
            if !held.is_empty() && !denied.is_empty() {
                conflicts.push([held, denied].concat());
            }
        }
        for both in conflicts {
            self.fire("CONFLICTING-STATEMENTS", UNCERTAIN, both);
        }

        let mut open: Vec<u64> = self.open_by_date.concat();
        open.sort_unstable();
        let last_law = super::interpreter::Law::on(self.days.first);
        if !self.open_by_date.is_empty() || last_law != self.law {
            self.fire("DATE-UNCERTAIN", UNCERTAIN, open);
        }
    }

    fn retention(&mut self) {
        const CODE: &str = "RETENTION-EXCEEDED";
        let (versions, none) = self.declarations();
        let mut so = super::days::NO;
        let mut involved = Vec::new();
        if let Some(period) = &self.access.period {
            // A stretch of days that the data cover: the oldest of them decides.
            let covered = Span::of(period.interval());
            for version in &versions {
                let kept = version
                    .said
                    .categories
                    .iter()
                    .filter(|c| self.access.categories.contains(&c.code))
                    .filter_map(|c| c.retention_days)
                    .min();
                let Some(kept) = kept else { continue };
                if !covered.has_beginning() {
                    continue;
                }
                let oldest = Span { first: covered.first, last: covered.first };
                let mut over = oldest.later(kept).over_on(self.days);
                if none || versions.len() > 1 {
                    over.cannot = true;
                }
                if over.can {
                    involved.push(version.position());
                }
                so = so.or(over);
            }
        }
        if let Some(until) = &self.access.data_retention_until {
            so = so.or(Span::of(until.interval()).over_on(self.days));
        }
        self.forbid(CODE, so, involved);
    }
}
