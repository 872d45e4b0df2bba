//! Information and consultation, then time, retention and evidence: the last groups.

use greffe_domain::body::{Appeal, Opinion};
use greffe_domain::kind::StreamType;

use super::days::{Open, Span};
use super::interpreter::{CONTRADICTED, Case, NOT_EVIDENCED, UNCERTAIN, positions};

impl<'a> Case<'a> {
    fn told_of(
        &self,
        steps: &[&str],
    ) -> Vec<super::interpreter::Told<'a, greffe_domain::body::RecordInformation>> {
        let mut all = self.formal(self.informed());
        all.retain(|told| {
            told.said.processing == self.access.processing
                && steps.contains(&told.said.step.as_str())
                && told.days().before(self.days).can
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
                if !none_given.is_empty() && met.is_excluded() {
                    self.fire(INFORMED, CONTRADICTED, positions(&none_given));
                } else {
                    self.require(INFORMED, met, NOT_EVIDENCED, positions(&notices));
                }
            }
        }

        if self.access.categories.iter().any(|c| *c == *"CALL-RECORDING") {
            const CALLERS: &str = "CALLERS-NOT-INFORMED";
            let notices = self.told_of(&["I-CALLER-NOTICE"]);
            let met = Open::any(notices.iter().map(|n| n.days().before(self.days)));
            match self.established(CALLERS) {
                Some((position, true)) => self.fire(CALLERS, CONTRADICTED, vec![position]),
                Some((_, false)) => {}
                None => self.require(CALLERS, met, NOT_EVIDENCED, positions(&notices)),
            }
        }

        self.works_council();
        self.concertation();
    }

    fn works_council(&mut self) {
        const CONSULTED: &str = "WORKS-COUNCIL-NOT-CONSULTED";
        let (versions, _) = self.declarations();
        let watched: Vec<_> =
            versions.iter().filter(|v| v.said.monitors_staff == Some(true)).copied().collect();
        let mut opinions = self.opined();
        opinions.retain(|o| {
            o.said.processing == self.access.processing && o.said.opinion != Opinion::None
        });
        let mut steps = self.instruments();
        steps.retain(|c| {
            c.said.held
                && c.said.about.kind == StreamType::Processing
                && c.said.about.id == self.access.processing
                && c.said.step.as_str().starts_with("I-CE-")
                && c.said.step != *"I-CE-INFORMED"
        });
        let informed = self.told_of(&["I-CE-CONSULTED", "I-CE-OPINION-FAV", "I-CE-OPINION-UNFAV"]);
        let employer = matches!(
            self.access.recipient.role.as_str(),
            "R-EMPLOYER-MGMT" | "R-EMPLOYER-HR" | "R-LINE-MANAGER"
        );
        if !watched.is_empty() || employer {
            let met = Open::any(opinions.iter().map(|o| o.days().before(self.days)))
                .or(Open::any(steps.iter().map(|c| c.days().before(self.days))))
                .or(Open::any(informed.iter().map(|i| i.days().before(self.days))));
            let involved = [positions(&opinions), positions(&steps), positions(&informed)].concat();
            match self.established(CONSULTED) {
                Some((position, true)) => self.fire(CONSULTED, CONTRADICTED, vec![position]),
                Some((_, false)) => {}
                None => self.require(CONSULTED, met, NOT_EVIDENCED, involved),
            }
        }
        opinions
            .retain(|o| o.said.opinion == Opinion::Unfavourable && o.days().before(self.days).can);
        steps.retain(|c| {
            (c.said.outcome == Some(Opinion::Unfavourable) || c.said.step == *"I-CE-OPINION-UNFAV")
                && c.days().before(self.days).can
        });
        let so = Open::any(opinions.iter().map(|o| o.days().before(self.days)))
            .or(Open::any(steps.iter().map(|c| c.days().before(self.days))));
        let involved = [positions(&opinions), positions(&steps)].concat();
        self.forbid("WORKS-COUNCIL-OBJECTED", so, involved);
    }

    /// Consultations that an instrument records.
    fn instruments(
        &self,
    ) -> Vec<super::interpreter::Told<'a, greffe_domain::body::RecordConsultation>> {
        self.formal(self.consulted())
    }

    fn concertation(&mut self) {
        const CODE: &str = "CONCERTATION-MISSING";
        let here = |about: &greffe_domain::body::About| {
            about.kind != StreamType::Access && self.concerns(about)
        };
        let mut fired = Vec::new();
        for set in self.conditions_set() {
            if !here(&set.said.about) || !set.said.condition.contains("concertation") {
                continue;
            }
            let met = Open::any(
                self.conditions_met()
                    .iter()
                    .filter(|m| {
                        m.said.about == set.said.about && m.said.condition == set.said.condition
                    })
                    .map(|m| m.days().before(self.days)),
            );
            fired.push((met, NOT_EVIDENCED, set.position()));
        }
        for missed in self.consulted() {
            let step = missed.said.step;
            if !here(&missed.said.about)
                || missed.said.held
                || !matches!(step.as_str(), "I-SOCIAL-PARTNERS" | "I-HEALTH-PROFESSION")
            {
                continue;
            }
            let made_good = Open::any(
                self.instruments()
                    .iter()
                    .filter(|c| {
                        c.said.held && c.said.step == step && c.said.about == missed.said.about
                    })
                    .map(|c| c.days().before(self.days)),
            );
            let how = if self.is_formal(missed.entry) { CONTRADICTED } else { UNCERTAIN };
            fired.push((made_good, how, missed.position()));
        }
        for (met, how, position) in fired {
            self.require(CODE, met, how, vec![position]);
        }
    }

    pub fn time(&mut self) {
        self.retention();

        // Certainly late only past the whole of the last day it may have been.
        if let Some((position, recorded)) = self.recorded
            && let Some(latest) = self.latest
            && Span::on(recorded.date()).first > Span::on(latest).first + 3
        {
            // 72 hours, in whole days.
            self.fire("LATE-RECORDED", CONTRADICTED, vec![position]);
        }

        let excluded: Vec<_> =
            self.rulings().into_iter().filter(|r| r.said.excludes_evidence == Some(true)).collect();
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
                    && matches!(
                        milestone.said.milestone.as_str(),
                        "appeal-lodged" | "appeal-reserved"
                    )
                {
                    appealed.push(milestone.position());
                }
            }
        }
        if !appealed.is_empty() {
            self.fire("RULING-SUBJECT-TO-APPEAL", CONTRADICTED, appealed);
        }

        let mut conflicts = Vec::new();
        for code in greffe_domain::vocabulary::RuleCode::all() {
            let (held, denied) =
                (self.claims(code.as_str(), true), self.claims(code.as_str(), false));
            if !held.is_empty() && !denied.is_empty() {
                conflicts.extend([held, denied].concat());
            }
        }
        if !conflicts.is_empty() {
            self.fire("CONFLICTING-STATEMENTS", UNCERTAIN, conflicts);
        }

        let mut open: Vec<u64> = self.open_by_date.concat();
        open.sort_unstable();
        let law = super::interpreter::Law::on;
        if !open.is_empty() || law(self.days.first) != law(self.days.last) {
            self.fire("DATE-UNCERTAIN", UNCERTAIN, open);
        }
    }

    fn retention(&mut self) {
        const CODE: &str = "RETENTION-EXCEEDED";
        let (versions, none) = self.declarations();
        let mut so = super::days::NO;
        let mut involved = Vec::new();
        let Some(period) = &self.access.period else { return };
        let covered = Span::of(period.interval());
        // The oldest of the days covered decides; without a beginning it is unknown.
        let oldest = if covered.has_beginning() {
            Span { first: covered.first, last: covered.first }
        } else {
            covered
        };
        let mut all = !none;
        for version in &versions {
            let past = Open::any(
                version
                    .said
                    .categories
                    .iter()
                    .filter(|c| self.access.categories.contains(&c.code))
                    .filter_map(|c| Some(oldest.later(c.retention_days?).over_on(self.days))),
            );
            if past.can {
                involved.push(version.position());
                so.can = true;
            }
            all &= past.is_certain();
        }
        so.cannot = !all;
        self.forbid(CODE, so, involved);
    }
}
