//! What must not change a verdict, on random timelines: what comes later, what is about
//! something else, the calendar, and the order of filings that have nothing to do with each
//! other. No second opinion is needed: the judge is held against itself.

use greffe_domain::date::{Interval, LegalDate, Timestamp};
use greffe_domain::edtf::Edtf;
use greffe_domain::kind::Kind;
use greffe_domain::rules::regime::Regime;
use serde_json::{Value, json};

use super::agreement::{judged, questions, register_of};
use super::generate::{Asked, Draft, FIRM, Timeline, entries};
use super::interpreter::{Opinion, Question};

const TIMELINES: u64 = 1_000;
/// Days of four years, leap day included: the calendar is the same after it, as are delays
/// that run in months.
const FOUR_YEARS_DAYS: i32 = 1_461;

/// The verdict on every question, in order.
fn opinions(timeline: &Timeline) -> Vec<Option<Opinion>> {
    let entries = entries(&timeline.drafts);
    let register = register_of(&entries);
    let asked: Vec<_> = timeline.asked.iter().map(|a| (a.access(), a.days())).collect();
    questions(&entries, &asked).iter().map(|question| judged(&register, question)).collect()
}

#[test]
fn what_was_known_then_is_never_changed_by_what_is_recorded_later() {
    let mut changed_since = 0;
    for seed in 0..TIMELINES {
        let timeline = Timeline::of(seed);
        let all = entries(&timeline.drafts);
        let whole = register_of(&all);
        for (n, entry) in all.iter().enumerate() {
            let Some(access) = entry.filed.body.access() else { continue };
            let question = |size| Question {
                entries: &all,
                size,
                access,
                days: entry.filed.at.valid_days(entry.time.date()),
                recorded: Some((entry.position, entry.time)),
            };
            // As the ledger stood at each length, and as it is read at that length today.
            for length in n + 1..=all.len() {
                let size = length as u64;
                let then = judged(&register_of(&all[..length]), &question(size));
                assert!(then == judged(&whole, &question(size)), "seed {seed}, {n} at {size}");
            }
            let last = judged(&whole, &question(all.len() as u64));
            changed_since += u64::from(last != judged(&whole, &question(entry.position)));
        }
    }
    assert!(changed_since > TIMELINES / 10, "later entries changed {changed_since} only");
}

#[test]
fn an_entry_about_something_else_changes_nothing() {
    for seed in 0..TIMELINES {
        let timeline = Timeline::of(seed);
        let mut drafts = timeline.drafts.clone();
        let last = drafts.last().expect("there are parties").clone();
        let add = |kind, body: Value| Draft {
            iss: FIRM,
            kind,
            at: Some(last.time.date().to_string()),
            evidence: "act",
            body,
            time: last.time,
        };
        let elsewhere = "ailleurs";
        drafts.push(add(
            Kind::ProcessingDeclare,
            json!({"processing": elsewhere, "controller": FIRM, "title": "Ailleurs (inventé)",
                   "purposes": [{"code": "PUR-DISCIPLINE"}], "categories": [{"code": "NIR"}],
                   "subjects": ["Salariés"], "recipients": [{"role": "R-VENDOR"}],
                   "legal_basis": ["A6-1-F"]}),
        ));
        drafts.push(add(
            Kind::FormalityFile,
            json!({"formality": "ailleurs-1", "processing": elsewhere, "kind": "F04-25-AUT",
                   "purposes": ["PUR-DISCIPLINE"]}),
        ));
        drafts.push(add(
            Kind::InformationRecord,
            json!({"processing": elsewhere, "step": "I-NOTICE-NONE", "audience": "Salariés"}),
        ));
        let (before, after) = (entries(&timeline.drafts), entries(&drafts));
        let (without, with) = (register_of(&before), register_of(&after));
        let asked: Vec<_> = timeline.asked.iter().map(|a| (a.access(), a.days())).collect();
        for question in questions(&before, &asked) {
            let now = Question { size: after.len() as u64, ..question };
            let now_without = Question { size: before.len() as u64, ..question };
            assert!(judged(&without, &now_without) == judged(&with, &now), "seed {seed}");
        }
    }
}

/// Members that hold a date text.
const DATES: [&str; 8] = [
    "effective_from",
    "until",
    "headcount_on",
    "start",
    "end",
    "period",
    "data_retention_until",
    "when",
];

/// A timeline later by some days. `None`: a date of it, then or now, is not in the regime of
/// the first, or is before the day on which a delay of the law ran out.
fn shifted(timeline: &Timeline, days: i32) -> Option<Timeline> {
    let mut moved = timeline.clone();
    let mut seen = Vec::new();
    for draft in &mut moved.drafts {
        seen.push(draft.time.date());
        draft.time = Timestamp::from_micros(
            draft.time.micros() + i64::from(days) * 24 * 60 * 60 * 1_000_000,
        );
        if let Some(at) = &mut draft.at {
            *at = later(at, days, &mut seen);
        }
        move_dates(&mut draft.body, days, &mut seen);
    }
    for Asked { body, at } in &mut moved.asked {
        *at = later(at, days, &mut seen);
        move_dates(body, days, &mut seen);
    }
    let (first, last) = (*seen.iter().min()?, *seen.iter().max()?);
    let regime = Regime::on(first);
    let one_law = [last, first.add_days(days), last.add_days(days)]
        .iter()
        .all(|day| Regime::on(*day) == regime);
    // Under the GDPR a grace of the former law ran until 2021: the calendar matters there.
    (one_law && regime != Regime::Rgpd2018).then_some(moved)
}

fn move_dates(body: &mut Value, days: i32, seen: &mut Vec<LegalDate>) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(text) if DATES.contains(&name.as_str()) => {
                        *text = later(text, days, seen);
                    }
                    other => move_dates(other, days, seen),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|v| move_dates(v, days, seen)),
        _ => {}
    }
}

/// A date text as an interval of days, later by so many.
fn later(text: &str, days: i32, seen: &mut Vec<LegalDate>) -> String {
    let Interval { earliest, latest } = Edtf::parse(text).expect("a date").interval();
    seen.extend(earliest.iter().chain(&latest));
    let day = |day: Option<LegalDate>| {
        day.map_or_else(|| "..".to_owned(), |day| day.add_days(days).to_string())
    };
    match (earliest, latest) {
        (Some(a), Some(b)) if a == b => day(Some(a)),
        _ => format!("{}/{}", day(earliest), day(latest)),
    }
}

#[test]
fn every_date_four_years_later_under_one_law_changes_nothing() {
    let mut moved = 0;
    for seed in 0..TIMELINES {
        let timeline = Timeline::of(seed);
        let Some(later) = shifted(&timeline, FOUR_YEARS_DAYS) else { continue };
        moved += 1;
        assert!(opinions(&timeline) == opinions(&later), "seed {seed}");
    }
    assert!(moved > TIMELINES / 20, "{moved} timelines stay under one law");
}

/// The processing a draft is about, if it is about one alone and its day is its own.
fn about(draft: &Draft) -> Option<&str> {
    let access = matches!(draft.kind, Kind::AccessReport | Kind::AccessRequest);
    let about = &draft.body["about"];
    let processing = match about["type"].as_str() {
        Some("processing") => about["id"].as_str(),
        Some(_) => None,
        None => draft.body["processing"].as_str(),
    };
    // Without a day, the day is that of recording; a use names an access by its position.
    processing.filter(|_| !access && draft.at.is_some() && draft.kind != Kind::UseRecord)
}

#[test]
fn the_order_of_filings_that_have_nothing_to_do_with_each_other_changes_nothing() {
    let mut swapped = 0;
    for seed in 0..TIMELINES {
        let timeline = Timeline::of(seed);
        for n in 1..timeline.drafts.len() {
            let (one, other) = (&timeline.drafts[n - 1], &timeline.drafts[n]);
            match (about(one), about(other)) {
                (Some(a), Some(b)) if a != b => {}
                _ => continue,
            }
            let mut turned = timeline.clone();
            turned.drafts.swap(n - 1, n);
            // Each keeps the other's place in time.
            turned.drafts[n - 1].time = one.time;
            turned.drafts[n].time = other.time;
            swapped += 1;
            let place = |position: u64| match position as usize {
                p if p == n => position - 1,
                p if p == n - 1 => position + 1,
                _ => position,
            };
            let mut expected = opinions(&timeline);
            for opinion in expected.iter_mut().flatten() {
                for finding in &mut opinion.findings {
                    finding.positions.iter_mut().for_each(|p| *p = place(*p));
                    finding.positions.sort_unstable();
                }
                opinion.findings.sort();
            }
            // A verdict as known between the two is of one without the other, in either order.
            let between: Vec<bool> = {
                let entries = entries(&timeline.drafts);
                let asked: Vec<_> = timeline.asked.iter().map(|a| (a.access(), a.days())).collect();
                questions(&entries, &asked).iter().map(|q| q.size == n as u64).collect()
            };
            for ((told, expected), between) in opinions(&turned).iter().zip(&expected).zip(between)
            {
                assert!(between || told == expected, "seed {seed}, {} and {n}", n - 1);
            }
        }
    }
    assert!(swapped > TIMELINES / 10, "{swapped} pairs");
}
