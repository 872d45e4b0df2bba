//! How an experiment grew: the sites enrolled over time, beside what was recorded as allowed
//! and what was only planned; a chart, and the table that stands beside it.
//!
//! Allowed is what is recorded by act: sites enrolled, or expanded to, with an act as evidence.
//! What somebody only describes allows nothing, and a plan neither.

use std::collections::BTreeSet;

use greffe_domain::date::{Interval, LegalDate};
use greffe_domain::event::At;
use greffe_domain::register::{Fact, View};

use super::super::register::{When, overall};
use super::timeline::weight;
use super::{Badge, Frame, name_of};
use crate::charts::{self, Mark, Series, Step};

/// Events of the table.
const SHOWN: usize = 60;

pub struct Growth {
    pub sites: usize,
    /// Launches and expansions by act, in words.
    pub allowed: String,
    /// What was planned, in words.
    pub planned: String,
    pub chart: Option<String>,
    pub events: Vec<Event>,
    pub more_events: usize,
}

/// One thing that happened to the experiment or its processing.
pub struct Event {
    pub position: u64,
    pub days: String,
    /// Of the chart: `A` a step allowed by the controller's own act, `F` a formality, `D` a
    /// decision, `P` a plan, `S` a site; lower case where a third party describes it.
    pub letter: char,
    pub what: String,
    pub by: String,
    pub badge: Option<Badge>,
    /// Sites enrolled by then, and of them those that an act allows.
    pub sites: usize,
    pub allowed: usize,
    order: (Option<LegalDate>, Option<LegalDate>, u64),
}

/// What is put in the table and over the chart, as it is found.
struct Writer<'a> {
    frame: &'a Frame,
    view: View<'a>,
    events: Vec<Event>,
    marks: Vec<Mark>,
}

impl Writer<'_> {
    fn add<T>(&mut self, fact: &Fact<T>, letter: char, what: String, badge: Option<Badge>) {
        let letter = if fact.formal { letter } else { letter.to_ascii_lowercase() };
        let day = fact.at.latest.or(fact.at.earliest);
        if let (Some(day), 'A' | 'F' | 'D') = (day, letter.to_ascii_uppercase()) {
            self.marks.push(Mark { day, letter });
        }
        let described = (!fact.formal).then(|| Badge::new("open", self.frame.t("described")));
        self.events.push(Event {
            position: fact.position,
            days: self.frame.days(&fact.at),
            letter,
            what,
            by: name_of(self.view.register(), &fact.iss),
            badge: badge.or(described),
            sites: 0,
            allowed: 0,
            order: (fact.at.latest, fact.at.earliest, fact.position),
        });
    }
}

/// A day on which something counts, and what it names. No day: its date is not known.
type Counted = (Option<LegalDate>, String);

/// How many different names there are by each day.
fn steps(counted: &[Counted]) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut seen = BTreeSet::new();
    for (day, name) in counted {
        seen.insert(name);
        let Some(day) = *day else { continue };
        match steps.last_mut() {
            Some(step) if step.day == day => step.count = seen.len(),
            _ => steps.push(Step { day, count: seen.len() }),
        }
    }
    steps
}

/// How many there are by a day: of those whose date is not known, and of the steps until then.
fn by_then(steps: &[Step], undated: usize, day: Option<LegalDate>) -> usize {
    let until = steps.partition_point(|step| Some(step.day) <= day);
    until.checked_sub(1).map_or(undated, |last| steps[last].count)
}

fn undated(counted: &[Counted]) -> usize {
    let names = counted.iter().filter(|(day, _)| day.is_none()).map(|(_, name)| name);
    names.collect::<BTreeSet<_>>().len()
}

/// The day from which a fact certainly holds.
fn certain(at: &Interval) -> Option<LegalDate> {
    at.latest.or(at.earliest)
}

/// `None`: no experiment of that name is known then.
pub fn growth(frame: &Frame, view: View<'_>, when: &When, id: &str) -> Option<Growth> {
    let experiment = view.experiment(id)?;
    let colon = frame.colon();
    let mut writer = Writer { frame, view, events: Vec::new(), marks: Vec::new() };
    let came = |at: &Interval| when.valid(at).is_some();
    let mut enrolled: Vec<Counted> = Vec::new();
    let mut allowed: Vec<Counted> = Vec::new();
    let (mut launches, mut expansions, mut named) = (0_usize, 0_usize, 0_usize);
    for launch in view.known(&experiment.launches).iter().filter(|l| came(&l.at)) {
        launches += usize::from(launch.formal);
        writer.add(launch, 'A', frame.t("fact-launched").into_owned(), None);
    }
    for expansion in view.known(&experiment.expansions).iter().filter(|e| came(&e.at)) {
        let sites = expansion.data.sites.len();
        expansions += 1;
        named += sites;
        let what = match sites {
            0 => frame.t("fact-expanded").into_owned(),
            n => format!("{} ({})", frame.t("fact-expanded"), frame.count("sites-n", n)),
        };
        writer.add(expansion, 'A', what, None);
    }
    for site in view.known(&experiment.sites).iter().filter(|s| came(&s.at)) {
        let counted = (certain(&site.at), site.data.id.clone());
        if site.formal {
            allowed.push(counted.clone());
        }
        enrolled.push(counted);
        // The sites of an expansion are told with it.
        if experiment.expansions.iter().any(|e| e.position == site.position) {
            continue;
        }
        let what = format!("{}{colon} {}", frame.t("growth-site"), site.data.name);
        writer.add(site, 'S', what, None);
    }
    let mut planned: Vec<(LegalDate, usize)> = Vec::new();
    let mut targets: Vec<String> = Vec::new();
    for plan in view.known(&experiment.plans).iter().filter(|p| came(&p.at)) {
        let by = plan.data.by.as_ref().and_then(|by| At::parse(by.text())).map(|by| by.interval);
        let target = plan.data.target_sites.and_then(|n| usize::try_from(n).ok());
        let day = by.as_ref().and_then(|by| by.latest).or(plan.at.latest);
        planned.extend(day.zip(target));
        let said = match (target, &by) {
            (Some(n), Some(by)) => {
                frame.with("growth-planned-by", &[("n", n.into()), ("day", frame.days(by).into())])
            }
            (Some(n), None) => frame.count("sites-n", n),
            (None, _) => frame.t("fact-planned"),
        };
        writer.add(plan, 'P', format!("{}{colon} {said}", frame.t("fact-planned")), None);
        targets.push(said.into_owned());
    }
    if let Some(processing) = view.processing(&experiment.processing) {
        for formality in view.known(&processing.formalities).iter().filter(|f| came(&f.at)) {
            let kind = frame.label(formality.data.kind.as_str());
            let what = format!("{}{colon} {kind}", frame.t("fact-formality"));
            writer.add(formality, 'F', what, None);
        }
        for decision in view.decisions_on(processing).filter(|d| came(&d.rendered.at)) {
            let data = &decision.rendered.data;
            let codes: Vec<&str> = data.outcomes.iter().map(|o| o.outcome.as_str()).collect();
            let badge = overall(&codes).map(|code| Badge::new(weight(code), frame.label(code)));
            let number = data.number.as_ref().unwrap_or(&data.decision).as_str();
            let number = frame.with("decision-number", &[("n", number.into())]);
            writer.add(&decision.rendered, 'D', number.into_owned(), badge);
        }
    }
    for end in view.known(&experiment.ends).iter().filter(|e| came(&e.at)) {
        writer.add(end, 'A', frame.t("fact-ended").into_owned(), None);
    }
    enrolled.sort();
    allowed.sort();
    let Writer { mut events, marks, .. } = writer;
    events.sort_by_key(|event| event.order);
    let more_events = events.len().saturating_sub(SHOWN);
    events.truncate(SHOWN);
    let (enrolled_steps, allowed_steps) = (steps(&enrolled), steps(&allowed));
    let (enrolled_undated, allowed_undated) = (undated(&enrolled), undated(&allowed));
    for event in &mut events {
        // By the last day on which each may have happened.
        event.sites = by_then(&enrolled_steps, enrolled_undated, event.order.0);
        event.allowed = by_then(&allowed_steps, allowed_undated, event.order.0);
    }
    let series = Series {
        enrolled: &enrolled_steps,
        allowed: &allowed_steps,
        planned: &planned,
        marks: &marks,
    };
    Some(Growth {
        sites: enrolled.iter().map(|(_, name)| name).collect::<BTreeSet<_>>().len(),
        allowed: frame
            .with(
                "growth-allowed-said",
                &[
                    ("launches", launches.into()),
                    ("expansions", expansions.into()),
                    ("sites", named.into()),
                ],
            )
            .into_owned(),
        planned: match targets.is_empty() {
            true => frame.t("growth-nothing-planned").into_owned(),
            false => frame.listed(&targets),
        },
        chart: charts::sites(frame, &series),
        events,
        more_events,
    })
}
