//! Statistical disclosure: what the cells shown to an employer say of few persons, alone or
//! subtracted from everything shown to it before.
//!
//! The sets that a disclosure newly gives away come from `differencing`; here it is said
//! which of them must stay unknown, and what is found. Only the rules on a disclosure's own
//! cells read values; whether a derivation is refused rests on shapes and declared numbers.
//! Thresholds are data of the rulebook (`THRESHOLDS`), each with its source: norms of
//! practice, none of them set by law.

use std::sync::Arc;

use super::{ALL, Findings, Fired, Group, Question, Rule, experiment};
use crate::body::{self, Measure};
use crate::differencing::{
    Aggregate, Derived, Disclosure, Limits, Persons, is_about_persons, misses,
};
use crate::verdict::Severity::{Blocking, Major};
use crate::verdict::{Involved, MAX_INVOLVED, MAX_INVOLVED_UNITS};

const GROUP: Group = Group::Statistics;

/// A number the rules go by, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    pub value: i64,
    pub source: &'static str,
}

/// What the rules of this group go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Fewest absent persons a published aggregate may count.
    pub persons: Threshold,
    /// Share of a cell, in thousandths, from which one person dominates it.
    pub dominance_permille: Threshold,
    /// Sets examined for one disclosure, one measure and one prime.
    pub sets: Threshold,
}

pub static THRESHOLDS: Thresholds = Thresholds {
    persons: Threshold {
        value: 11,
        source: "Norme d’usage : effectifs inférieurs à 11 non restitués (ATIH, CASD)",
    },
    dominance_permille: Threshold {
        value: 850,
        source: "Par analogie avec le secret statistique des entreprises : 85 % (Insee)",
    },
    sets: Threshold { value: 20_000, source: "Règle du registre : travail par communication" },
};

/// Positions of earlier disclosures cited by one finding, the latest ones.
const MAX_POSITIONS: usize = 32;
/// Digests that one finding is said to rest on, besides those of its own disclosure.
const MAX_DIGESTS: usize = 64;

pub static RULES: &[Rule] = &[
    Rule {
        code: "SMALL-CELL",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Norme d’usage : effectifs inférieurs à 11 non restitués (ATIH, CASD)",
        reason_fr: "Une case publiée porte sur moins de onze personnes, ou en laisse moins de onze de l’autre côté.",
        reason_en: "A published cell is about fewer than eleven persons, or leaves fewer than eleven on the other side.",
        judge: small_cell,
    },
    Rule {
        code: "SECONDARY-SUPPRESSION",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Norme d’usage : secret secondaire (CASD)",
        reason_fr: "Une case masquée se calcule à partir de ce qui a été communiqué.",
        reason_en: "A suppressed cell can be worked out from what was disclosed.",
        judge: secondary_suppression,
    },
    Rule {
        code: "DIFFERENCING-RISK",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Règle du registre, d’après la différenciation géographique (Insee, diffman)",
        reason_fr: "Soustraite de ce qui a déjà été communiqué, cette communication révèle un chiffre sur moins de onze personnes.",
        reason_en: "Subtracted from what was disclosed before, this disclosure reveals a figure about fewer than eleven persons.",
        judge: differencing_risk,
    },
    Rule {
        code: "THRESHOLD-BYPASS",
        group: GROUP,
        severity: Blocking,
        regimes: ALL,
        source: "Seuil enregistré de l’expérimentation",
        reason_fr: "Un chiffre se calcule pour des sites dont l’effectif ne dépasse pas le seuil de l’expérimentation.",
        reason_en: "A figure can be worked out for sites whose headcount does not exceed the experiment's threshold.",
        judge: threshold_bypass,
    },
    Rule {
        code: "DOMINANCE",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Par analogie avec le secret statistique des entreprises : 85 % (Insee)",
        reason_fr: "Une seule personne fait 85 % ou plus d’une case publiée.",
        reason_en: "One person makes up 85% or more of a published cell.",
        judge: dominance,
    },
    Rule {
        code: "UNANIMOUS-CELL",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Norme d’usage : cases unanimes (CASD)",
        reason_fr: "Une case sur un motif de santé compte toutes les personnes absentes, ou aucune : elle dit la même chose de chacune.",
        reason_en: "A cell on a health reason counts every absent person or none: it says the same of each one.",
        judge: unanimous_cell,
    },
    Rule {
        code: "DIFFERENCING-UNVERIFIABLE",
        group: GROUP,
        severity: Major,
        regimes: ALL,
        source: "Règle du registre",
        reason_fr: "Le risque d’identification n’a pas pu être écarté : nombre d’absents ou période non déclarés, ou calcul trop long.",
        reason_en: "The risk of identification could not be ruled out: number of absentees or period not declared, or too much to work out.",
        judge: unverifiable,
    },
];

/// A cell of the disclosure judged, with what is known of its dimensions.
struct OwnCell<'a> {
    cell: &'a body::Cell,
    about: Aggregate,
}

/// What the rules of this group share; worked out once for an access.
pub struct Statistics<'a> {
    cells: Vec<OwnCell<'a>>,
    sets: Vec<Aggregate>,
    suppressed: Vec<Aggregate>,
    incomplete: bool,
    period_told: bool,
    /// A number of absentees that was at hand when the access was judged is missing here.
    numbers_missing: bool,
    /// A value of a published cell is missing here.
    values_missing: bool,
}

impl<'a> Statistics<'a> {
    /// `None`: the access discloses no cell.
    pub fn of(q: &Question<'a>, thresholds: &Thresholds) -> Option<Self> {
        let cohort = q.access.cohort.as_ref()?;
        let register = q.view.register();
        // What was disclosed later weighs on what is disclosed after it, not on this.
        let position = q.position().unwrap_or(q.view.size());
        let own = Disclosure::of(position, q.access).filter(|own| !own.cells.is_empty())?;
        let limits = Limits {
            k: thresholds.persons.value,
            sets: usize::try_from(thresholds.sets.value).unwrap_or(usize::MAX),
        };
        let mut numbers_missing = misses(&own, position);
        let mut answers: Vec<Arc<Derived>> = Vec::new();
        for group in register.employer_groups(q.access) {
            let history = register.disclosed_to(&group);
            let before = history.before(position);
            numbers_missing |= history.misses(before, position);
            answers.push(history.derived(before, &own, limits));
        }
        let (first, others) = answers.split_first()?;
        let bodies = cohort.cells.iter().filter(|c| is_about_persons(&c.categories));
        let mut cells: Vec<OwnCell<'a>> = bodies
            .zip(&first.cells)
            .map(|(cell, about)| OwnCell { cell, about: about.clone() })
            .collect();
        let mut merged = (first.sets.clone(), first.suppressed.clone(), first.incomplete);
        for other in others {
            for (own, about) in cells.iter_mut().zip(&other.cells) {
                own.about.learn(about);
            }
            merge(&mut merged.0, &other.sets);
            merge(&mut merged.1, &other.suppressed);
            merged.2 |= other.incomplete;
        }
        let values_missing =
            cells.iter().any(|c| !c.cell.suppressed && !c.cell.withheld.is_empty())
                || cells.iter().any(|c| is_withheld(c.cell));
        Some(Self {
            cells,
            sets: merged.0,
            suppressed: merged.1,
            incomplete: merged.2,
            period_told: own.days.is_told(),
            numbers_missing,
            values_missing,
        })
    }

    fn published(&self) -> impl Iterator<Item = &OwnCell<'a>> {
        self.cells.iter().filter(|c| !c.cell.suppressed)
    }

    /// Sets given away by subtraction: not published as such by this disclosure.
    fn subtracted(&self) -> impl Iterator<Item = &Aggregate> {
        self.sets.iter().filter(|set| !set.published)
    }
}

/// A value named in the cell whose disclosure is gone.
fn is_withheld(cell: &body::Cell) -> bool {
    let gone = |c: &Option<body::Concealed<i64>>| c.as_ref().is_some_and(|c| c.value.is_none());
    !cell.suppressed && (gone(&cell.value) || gone(&cell.largest_share_permille))
}

fn merge(into: &mut Vec<Aggregate>, others: &[Aggregate]) {
    for other in others {
        match into.iter_mut().find(|a| a.is_same_set(other)) {
            Some(known) => known.learn(other),
            None => into.push(other.clone()),
        }
    }
}

fn value(cell: &body::Cell) -> Option<i64> {
    cell.value.as_ref()?.value
}

fn small_cell(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    if s.numbers_missing || s.values_missing {
        return out.undecided();
    }
    let k = q.thresholds.persons.value;
    let mut found = Found::default();
    for own in s.published() {
        let few = own.about.persons.below(k);
        let told = value(own.cell).is_some_and(|v| tells_of_few(own, v, k));
        if few || told {
            found.cell(&own.about);
            found.digests.extend(own.cell.value.iter().filter(|_| told).map(|v| v.digest.clone()));
        }
    }
    found.fire(q, out, Fired::contradicted);
}

/// Whether a value is itself that of few persons, or leaves few on the other side. A spell
/// or a day is somebody's, so fewer than `k` of them are of fewer than `k` persons; cents
/// and rates say nothing of how many.
fn tells_of_few(own: &OwnCell<'_>, value: i64, k: i64) -> bool {
    match own.cell.unit {
        Measure::Persons => {
            let Persons { at_least, at_most } = own.about.persons;
            let few_others = at_most.is_some_and(|most| at_least > value && most - value < k);
            (1..k).contains(&value) || few_others
        }
        Measure::Spells | Measure::Days => (1..k).contains(&value),
        Measure::Cents | Measure::Permille => false,
    }
}

fn secondary_suppression(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    let mut found = Found::default();
    for set in &s.suppressed {
        found.positions.extend(&set.positions);
        found.involve(set);
    }
    found.fire(q, out, Fired::contradicted);
}

fn differencing_risk(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    if s.numbers_missing {
        return out.undecided();
    }
    let mut found = Found::default();
    for set in s.subtracted().filter(|set| set.persons.below(q.thresholds.persons.value)) {
        found.cell(set);
    }
    found.fire(q, out, Fired::contradicted);
}

fn threshold_bypass(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    let Some((experiment, launched)) = experiment::launch(q) else { return };
    let Some(threshold) = launched.data.headcount_above else { return };
    if s.numbers_missing {
        return out.undecided();
    }
    let enrolled = q.view.known(&experiment.sites);
    let mut found = Found::default();
    let published = s.published().map(|own| &own.about);
    for set in published.chain(s.subtracted()) {
        let mut positions = Vec::new();
        let is_small = set.units.iter().zip(&set.headcounts).all(|(unit, declared)| {
            let site = enrolled.iter().rev().find(|f| *f.data.id == **unit);
            let counted = site.and_then(|f| Some((f.position, f.data.headcount?)));
            let stated = stated_headcount(q, unit);
            let persons = match (stated, counted) {
                (Some(persons), _) => Some(persons),
                (None, Some((position, persons))) => {
                    positions.push(position);
                    Some(persons)
                }
                (None, None) => *declared,
            };
            persons.is_some_and(|persons| persons <= threshold)
        });
        if is_small {
            found.positions.push(launched.position);
            found.positions.append(&mut positions);
            found.positions.extend(&set.positions);
            found.involve(set);
        }
    }
    found.fire(q, out, Fired::contradicted);
}

/// Headcount of a unit as stated with the access itself.
fn stated_headcount(q: &Question<'_>, unit: &str) -> Option<i64> {
    let site = q.access.recipient.site.as_ref();
    let of_site = site.filter(|s| s.id == *unit).and_then(|s| s.headcount);
    of_site.or_else(|| {
        let cohort = q.access.cohort.as_ref()?;
        let alone = matches!(cohort.units.as_slice(), [only] if *only == *unit);
        let is_site = site.is_none_or(|s| s.id == *unit);
        cohort.headcount.filter(|_| alone && is_site)
    })
}

fn dominance(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    if s.values_missing {
        return out.undecided();
    }
    let mut found = Found::default();
    for own in s.published() {
        let additive = matches!(own.cell.unit, Measure::Days | Measure::Spells | Measure::Cents);
        let Some(share) = own.cell.largest_share_permille.as_ref().filter(|_| additive) else {
            continue;
        };
        if share.value.is_some_and(|share| share >= q.thresholds.dominance_permille.value) {
            found.digests.push(share.digest.clone());
            found.involve(&own.about);
        }
    }
    found.fire(q, out, Fired::contradicted);
}

fn unanimous_cell(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    if s.numbers_missing || s.values_missing {
        return out.undecided();
    }
    let mut found = Found::default();
    for own in s.published().filter(|c| c.cell.categories.iter().any(|c| c.is_special())) {
        let Some(value) = value(own.cell) else { continue };
        let all = own.cell.unit == Measure::Persons
            && own.about.persons.exactly().is_some_and(|persons| persons == value);
        if value == 0 || all {
            found.digests.extend(own.cell.value.iter().map(|v| v.digest.clone()));
            if all {
                found.cell(&own.about);
            } else {
                found.involve(&own.about);
            }
        }
    }
    found.fire(q, out, Fired::contradicted);
}

fn unverifiable(q: &Question<'_>, out: &mut Findings) {
    let Some(s) = q.statistics() else { return };
    if s.numbers_missing {
        return out.undecided();
    }
    let k = q.thresholds.persons.value;
    let open = |persons: &Persons| persons.perhaps_below(k) && !persons.below(k);
    let mut found = Found::default();
    for own in s.published() {
        if open(&own.about.persons) {
            found.cell(&own.about);
        } else if !s.period_told {
            found.involve(&own.about);
        }
    }
    for set in s.subtracted().filter(|set| open(&set.persons)) {
        found.cell(set);
    }
    found.always |= s.incomplete;
    found.fire(q, out, Fired::uncertain);
}

/// What a finding will name.
#[derive(Default)]
struct Found {
    involved: Vec<Involved>,
    positions: Vec<u64>,
    digests: Vec<String>,
    /// It fires even if no cell can be named.
    always: bool,
}

impl Found {
    /// Names an aggregate whose number of absentees weighed.
    fn cell(&mut self, about: &Aggregate) {
        self.involve(about);
        self.positions.extend(&about.positions);
        let skipped = about.digests.len().saturating_sub(MAX_DIGESTS);
        self.digests.extend(about.digests[skipped..].iter().map(|d| d.to_string()));
    }

    fn involve(&mut self, about: &Aggregate) {
        self.always = true;
        if self.involved.len() < MAX_INVOLVED {
            let units = about.units.iter().take(MAX_INVOLVED_UNITS).map(|u| u.to_string());
            self.involved.push(Involved {
                categories: about.categories.clone(),
                period: about.days.text(),
                unit: about.measure,
                units: units.collect(),
            });
        }
    }

    fn fire(mut self, q: &Question<'_>, out: &mut Findings, fired: fn(Vec<u64>) -> Fired) {
        if !self.always {
            return;
        }
        self.positions.sort_unstable();
        self.positions.dedup();
        let skipped = self.positions.len().saturating_sub(MAX_POSITIONS);
        let mut positions = self.positions.split_off(skipped);
        positions.extend(q.position());
        out.fire(fired(positions).resting_on(self.digests).involving(self.involved));
    }
}
