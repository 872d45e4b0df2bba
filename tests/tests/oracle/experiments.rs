//! Experiments: the third group, with ADR 0008 and 0011. Generalisation is asked apart.

use greffe_domain::body::{LaunchExperiment, Site};

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
        let scope = if mine.is_empty() { vec![launch.position()] } else { involved.clone() };
        self.require("OUTSIDE-EXPERIMENT-SCOPE", inside, evidence, scope);

        if here.is_some() {
            let plans: Vec<_> =
                self.plans().into_iter().filter(|p| p.said.experiment == *id).collect();
            if !plans.is_empty() {
                let involved = positions(&plans);
                self.require("EXPERIMENT-EXPANSION-UNRECORDED", inside, NOT_EVIDENCED, involved);
            }
        }

        self.category_scope(&launch);
        self.headcount(&launch, &mine);
        self.terms(&launch);

        let ambiguous = self.claims("HEADCOUNT-UNIT-AMBIGUOUS", true);
        if !ambiguous.is_empty() && launch.said.headcount_above.is_some() {
            self.fire("HEADCOUNT-UNIT-AMBIGUOUS", CONTRADICTED, ambiguous);
        }
    }

    fn category_scope(&mut self, launch: &Told<'a, LaunchExperiment>) {
        let is_motive = |code: &str| code.starts_with("ABS-MOTIVE");
        let mut scope: Vec<(&str, Open, u64)> = Vec::new();
        for category in &launch.said.categories {
            scope.push((category.as_str(), YES, launch.position()));
        }
        for told in self.expanded() {
            if told.said.experiment == launch.said.experiment {
                for category in &told.said.categories {
                    let since = told.days().before(self.days);
                    scope.push((category.as_str(), since, told.position()));
                }
            }
        }
        // A scope of motives limits motives, not measures about them.
        let of_motives = !launch.said.categories.is_empty()
            && launch.said.categories.iter().all(|c| is_motive(c.as_str()));
        let mut all_inside = YES;
        let mut involved = vec![launch.position()];
        for category in &self.access.categories {
            if of_motives && !is_motive(category.as_str()) {
                continue;
            }
            let entries: Vec<_> =
                scope.iter().filter(|(code, ..)| *code == category.as_str()).collect();
            let inside = Open::any(entries.iter().map(|(_, since, _)| *since));
            all_inside = all_inside.and(inside);
            involved.extend(entries.iter().map(|(.., position)| *position));
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
        // The last correction recorded prevails.
        let known = mine.iter().rev().find(|s| s.site.headcount.is_some());
        let Some(enrolled) = known else {
            self.fire("HEADCOUNT-STALE", UNCERTAIN, vec![launch.position()]);
            return;
        };
        if enrolled.site.headcount.is_some_and(|n| n <= threshold) {
            let involved = vec![launch.position(), enrolled.position];
            self.fire("HEADCOUNT-BELOW-THRESHOLD", CONTRADICTED, involved);
        }
        match &enrolled.site.headcount_on {
            None => self.fire("HEADCOUNT-STALE", UNCERTAIN, vec![enrolled.position]),
            Some(on) => {
                let stale = Span::of(on.interval()).later(365).over_on(self.days);
                self.forbid("HEADCOUNT-STALE", stale, vec![enrolled.position]);
            }
        }
    }

    fn terms(&mut self, launch: &Told<'a, LaunchExperiment>) {
        let id = launch.said.experiment.as_str();
        // The end said last among those said before the access.
        let mut term = launch.said.end.as_ref().map(|end| (Span::of(end.interval()), launch.position()));
        for told in self.expanded() {
            if told.said.experiment == *id
                && let Some(end) = &told.said.end
                && told.days().before(self.days).can
            {
                term = Some((Span::of(end.interval()), told.position()));
            }
        }
        let over = term.map_or(NO, |(end, _)| end.over_on(self.days));
        let ends: Vec<_> =
            self.experiment_ends().into_iter().filter(|e| e.said.experiment == *id).collect();
        let ended = Open::any(ends.iter().map(|e| e.days().before(self.days)));
        let mut involved: Vec<u64> = term.iter().map(|(_, position)| *position).collect();
        involved.extend(positions(&ends));
        let expired = over.or(ended);
        let mut floor = NO;
        if expired.can {
            self.forbid("EXPERIMENT-EXPIRED", expired, involved.clone());
        } else if term.is_none()
            && let Some(days) = launch.said.minimum_days
        {
            let start = Span::of(launch.said.start.interval());
            floor = start.later(days).over_on(self.days);
            if floor.can {
                self.fire("EXPERIMENT-EXPIRED", UNCERTAIN, vec![launch.position()]);
            }
        }
        if launch.said.evaluation_planned == Some(true) {
            let published: Vec<_> =
                self.evaluated().into_iter().filter(|e| e.said.experiment == *id).collect();
            let passed = expired.or(Open { can: floor.can, cannot: true });
            if passed.can {
                let done = if published.is_empty() { NO } else { YES };
                let met = done.or(passed.not());
                involved.push(launch.position());
                self.require("EVALUATION-MISSING", met, NOT_EVIDENCED, involved);
            }
        }
    }

    fn no_legal_effect(&mut self) {
        let Some(cited) = &self.access.basis.reference else { return };
        let texts: Vec<_> = self
            .references()
            .into_iter()
            .filter(|t| t.said.reference == *cited && matches!(t.said.kind.as_str(), "report" | "press"))
            .collect();
        if texts.is_empty() {
            return;
        }
        let processing = self.access.processing.as_str();
        let mut declarations = self.declared();
        declarations.extend(self.amended());
        declarations.retain(|d| d.said.processing == *processing);
        let formal = !self.formal(declarations).is_empty()
            || self.formal_filings().iter().any(|f| f.said.kind != *"F-NONE")
            || self.formal(self.rendered()).iter().any(|d| d.said.processing == *processing);
        if !formal {
            self.fire("NO-LEGAL-EFFECT", CONTRADICTED, positions(&texts));
        }
    }
}
