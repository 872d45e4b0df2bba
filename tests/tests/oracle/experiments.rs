//! Experiments: the third group, with ADR 0008 and 0011. Generalisation is asked apart.

use greffe_domain::body::{LaunchExperiment, Site};

use greffe_domain::kind::StreamType;

use super::days::{NO, Open, Span, YES};
use super::interpreter::{CONTRADICTED, Case, NOT_EVIDENCED, Told, UNCERTAIN, positions};

/// A site taken into an experiment: since when, where it is said, with what headcount.
struct Enrolled<'a> {
    position: u64,
    since: Span,
    site: &'a Site,
}

impl<'a> Case<'a> {
    /// ADR 0008: the one named, else the only one of the processing.
    pub fn experiment(&self) -> Option<Told<'a, LaunchExperiment>> {
        let mut all = self.launched();
        match &self.access.experiment {
            Some(named) => all.into_iter().find(|launch| launch.said.experiment == *named),
            None => {
                all.retain(|launch| launch.said.processing == self.access.processing);
                if all.len() == 1 { all.pop() } else { None }
            }
        }
    }

    fn sites(&self, experiment: &str) -> Vec<Enrolled<'a>> {
        let mut sites = Vec::new();
        for told in self.enrolled() {
            if told.said.experiment == *experiment {
                let position = told.position();
                sites.push(Enrolled { position, since: told.days(), site: &told.said.site });
            }
        }
        for told in self.expanded() {
            if told.said.experiment == *experiment {
                for site in &told.said.sites {
                    sites.push(Enrolled { position: told.position(), since: told.days(), site });
                }
            }
        }
        sites.sort_by_key(|s| s.position);
        sites
    }

    pub fn experiments(&mut self) {
        self.no_legal_effect();
        let Some(launch) = self.experiment() else {
            if self.access.experiment.is_some() {
                self.fire("OUTSIDE-EXPERIMENT-SCOPE", NOT_EVIDENCED, Vec::new());
            }
            return;
        };
        let id = launch.said.experiment.as_str();
        let sites = self.sites(id);
        let here = self.access.recipient.site.as_ref();
        let mine: Vec<&Enrolled<'_>> = match here {
            Some(site) => sites.iter().filter(|s| s.site.id == site.id).collect(),
            None => Vec::new(),
        };
        let inside = Open::any(mine.iter().map(|s| s.since.before(self.days)));

        let involved: Vec<u64> = mine.iter().map(|s| s.position).collect();
        let evidence =
            if here.is_none() || sites.is_empty() { NOT_EVIDENCED } else { CONTRADICTED };
        let mut scope = involved.clone();
        scope.push(launch.position());
        if inside.is_excluded() {
            scope.extend(sites.iter().map(|s| s.position));
        }
        self.require("OUTSIDE-EXPERIMENT-SCOPE", inside, evidence, scope);

        if here.is_some() {
            let plans: Vec<_> =
                self.plans().into_iter().filter(|p| p.said.experiment == *id).collect();
            if !plans.is_empty() && inside.is_excluded() {
                let involved = positions(&plans);
                self.fire("EXPERIMENT-EXPANSION-UNRECORDED", NOT_EVIDENCED, involved);
            }
        }

        self.category_scope(&launch);
        self.headcount(&launch, &mine);
        self.terms(&launch);

        let ambiguous = self.claims("HEADCOUNT-UNIT-AMBIGUOUS", true);
        if !ambiguous.is_empty() && launch.said.headcount_above.is_some() {
            let involved = [ambiguous, vec![launch.position()]].concat();
            self.fire("HEADCOUNT-UNIT-AMBIGUOUS", CONTRADICTED, involved);
        }
    }

    fn category_scope(&mut self, launch: &Told<'a, LaunchExperiment>) {
        let mut involved = vec![launch.position()];
        let mut scope: Vec<_> = launch.said.categories.iter().map(|c| (*c, YES)).collect();
        for told in self.expanded() {
            let since = told.days().before(self.days);
            if told.said.experiment == launch.said.experiment && since.can {
                scope.extend(told.said.categories.iter().map(|c| (*c, since)));
                if !told.said.categories.is_empty() {
                    involved.push(told.position());
                }
            }
        }
        // A scope of health data limits health data, not measures about them.
        let special = |c: &greffe_domain::vocabulary::Category| c.term().art9 == Some(true);
        let only_special = launch.said.categories.iter().all(special);
        let mut all_inside = YES;
        for category in &self.access.categories {
            if only_special && !special(category) {
                continue;
            }
            let inside = scope.iter().filter(|(c, _)| c == category).map(|(_, since)| *since);
            all_inside = all_inside.and(Open::any(inside));
        }
        self.require("CATEGORY-OUTSIDE-SCOPE", all_inside, CONTRADICTED, involved);
    }

    fn headcount(&mut self, launch: &Told<'a, LaunchExperiment>, mine: &[&Enrolled<'a>]) {
        let Some(threshold) = launch.said.headcount_above else { return };
        let stated = self
            .access
            .recipient
            .site
            .as_ref()
            .and_then(|site| site.headcount)
            .or_else(|| self.access.cohort.as_ref().and_then(|c| c.headcount));
        if let Some(headcount) = stated {
            if headcount <= threshold {
                self.fire("HEADCOUNT-BELOW-THRESHOLD", CONTRADICTED, vec![launch.position()]);
            }
            return;
        }
        // A later count replaces an earlier one from its own day on.
        let counted: Vec<_> = mine
            .iter()
            .filter(|s| s.site.headcount.is_some() && s.since.before(self.days).can)
            .collect();
        let last: Vec<_> = counted
            .iter()
            .filter(|one| {
                !counted.iter().any(|other| {
                    other.since.before(self.days).is_certain()
                        && (one.since.before(other.since).is_certain()
                            || (one.since == other.since && one.position < other.position))
                })
            })
            .collect();
        if last.is_empty() {
            self.fire("HEADCOUNT-STALE", UNCERTAIN, vec![launch.position()]);
            return;
        }
        let which: Vec<u64> = last.iter().map(|s| s.position).collect();
        let below =
            last.iter().filter(|s| s.site.headcount.is_some_and(|n| n <= threshold)).count();
        let involved = [which.clone(), vec![launch.position()]].concat();
        let so = Open { can: below > 0, cannot: below < last.len() };
        self.forbid("HEADCOUNT-BELOW-THRESHOLD", so, involved);
        if last.iter().all(|s| s.site.headcount_on.is_none()) {
            return self.fire("HEADCOUNT-STALE", UNCERTAIN, which);
        }
        let stale = last.iter().map(|s| match &s.site.headcount_on {
            None => Open { can: true, cannot: true },
            Some(on) => Span::of(on.interval()).later(365).over_on(self.days),
        });
        let stale = whichever(stale);
        self.forbid("HEADCOUNT-STALE", stale, which);
    }

    fn terms(&mut self, launch: &Told<'a, LaunchExperiment>) {
        let id = launch.said.experiment.as_str();
        let mut extensions = self.expanded();
        extensions.retain(|e| e.said.experiment == *id && e.said.end.is_some());
        // The last term said before the access; one said after it extends nothing.
        let (extensions, none) = self.in_force(extensions);
        let mut terms: Vec<(Option<Span>, u64)> = extensions
            .iter()
            .map(|e| (e.said.end.as_ref().map(|end| Span::of(end.interval())), e.position()))
            .collect();
        if none {
            let end = launch.said.end.as_ref().map(|end| Span::of(end.interval()));
            terms.push((end, launch.position()));
        }
        let over = |end: &Option<Span>| end.map_or(NO, |end| end.over_on(self.days));
        let past = whichever(terms.iter().map(|(end, _)| over(end)));
        let mut involved: Vec<u64> =
            terms.iter().filter(|(end, _)| over(end).can).map(|(_, p)| *p).collect();
        let mut ends = self.experiment_ends();
        ends.retain(|e| e.said.experiment == *id && e.days().before(self.days).can);
        let ended = Open::any(ends.iter().map(|e| e.days().before(self.days)));
        involved.extend(positions(&ends));
        let mut floor = NO;
        // Past a minimum duration the end is possible, never certain.
        if let Some(days) = launch.said.minimum_days
            && terms.iter().all(|(end, _)| end.is_none())
        {
            let run = Span::of(launch.said.start.interval()).later(days);
            if run.first <= self.days.last {
                floor = Open { can: true, cannot: true };
                involved.push(launch.position());
            }
        }
        let expired = past.or(ended).or(floor);
        self.forbid("EXPERIMENT-EXPIRED", expired, involved);

        let mut planned: Vec<u64> = Vec::new();
        if launch.said.evaluation_planned == Some(true) {
            planned.push(launch.position());
        }
        for milestone in self.milestones() {
            if milestone.said.milestone == "evaluation-planned"
                && milestone.said.about.kind == StreamType::Experiment
                && milestone.said.about.id == *id
            {
                planned.push(milestone.position());
            }
        }
        let published = self.evaluated().iter().any(|e| e.said.experiment == *id);
        if !planned.is_empty() && !published {
            self.require("EVALUATION-MISSING", expired.not(), NOT_EVIDENCED, planned);
        }
    }

    fn no_legal_effect(&mut self) {
        let Some(cited) = &self.access.basis.reference else { return };
        let texts: Vec<_> = self
            .references()
            .into_iter()
            .filter(|t| {
                t.said.reference == *cited && matches!(t.said.kind.as_str(), "report" | "press")
            })
            .collect();
        if texts.is_empty() {
            return;
        }
        let (versions, _) = self.declarations();
        let formal = versions.iter().any(|v| self.is_formal(v.entry))
            || self
                .formal_filings()
                .iter()
                .any(|f| f.said.kind != *"F-NONE" && f.days().before(self.days).can)
            || self.an_acceptance_may_stand();
        if !formal {
            self.fire("NO-LEGAL-EFFECT", CONTRADICTED, positions(&texts));
        }
    }
}

/// What holds of each of several candidates, of which one is the right one.
fn whichever(each: impl Iterator<Item = Open>) -> Open {
    let each: Vec<Open> = each.collect();
    Open {
        can: each.iter().any(|o| o.can),
        cannot: each.is_empty() || each.iter().any(|o| o.cannot),
    }
}
