//! The judge and the oracle on the same timelines: the whole verdict, finding by finding.

use std::collections::BTreeMap;

use greffe_domain::event::Event;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, FIRST};

use super::generate::{Timeline, entries};
use super::interpreter::{Entry, Found, Opinion, Question, codes, judge, word};

/// Times each rule must be found, and not found, over a run.
const OFTEN: u64 = 20;
/// Asked of a generalisation, never of an access.
const UNASKED: &[&str] = &["GENERALISATION-WITHOUT-EVALUATION", "GENERALISATION-CONDITION-UNMET"];
/// Timelines in a run; the seeds are 0 and up.
const TIMELINES: u64 = 20_000;

pub fn register_of(entries: &[Entry]) -> Register {
    let mut register = Register::new();
    for entry in entries {
        register.apply(entry.position, entry.time, &Event::Filed(entry.filed.clone()));
    }
    register.advance(entries.len() as u64);
    register
}

/// Every question worth asking of a timeline.
pub fn questions<'a>(
    entries: &'a [Entry],
    asked: &'a [(greffe_domain::body::Access, greffe_domain::date::Interval)],
) -> Vec<Question<'a>> {
    let whole = entries.len() as u64;
    let mut questions = Vec::new();
    for entry in entries {
        let Some(access) = entry.filed.body.access() else { continue };
        let days = entry.filed.at.valid_days(entry.time.date());
        let recorded = Some((entry.position, entry.time));
        // As known when recorded, somewhere on the way, and now.
        for size in [entry.position, (entry.position + whole).div_ceil(2), whole] {
            questions.push(Question { entries, size, access, days, recorded });
        }
    }
    for (access, days) in asked {
        for size in [whole, whole - whole / 4] {
            questions.push(Question { entries, size, access, days: *days, recorded: None });
        }
    }
    questions
}

pub fn judged(register: &Register, question: &Question<'_>) -> Option<Opinion> {
    let case =
        rules::Case { access: question.access, days: question.days, recorded: question.recorded };
    let judgement = rules::judge(&FIRST, &case, register.view(question.size))?;
    assert!(judgement.undecided.is_empty(), "every disclosure is at hand");
    let verdict = judgement.verdict;
    let mut findings: Vec<Found> = verdict
        .findings
        .iter()
        .filter_map(|f| {
            let code = codes().find(|code| f.code == **code)?;
            Some(Found {
                code,
                severity: f.severity,
                evidence: word(f.evidence),
                positions: f.positions.clone(),
            })
        })
        .collect();
    findings.sort();
    let regime = ["LIL-1978", "LIL-2004", "RGPD-2018"]
        .into_iter()
        .find(|r| *r == verdict.regime)
        .expect("a known regime");
    Some(Opinion { outcome: verdict.verdict, findings, regime })
}

#[test]
fn the_judge_and_a_naive_reading_of_the_rules_agree_on_random_timelines() {
    let mut fired: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut asked_total, mut covered) = (0u64, 0u64);
    for seed in 0..TIMELINES {
        let timeline = Timeline::of(seed);
        let entries = entries(&timeline.drafts);
        let register = register_of(&entries);
        let asked: Vec<_> = timeline.asked.iter().map(|a| (a.access(), a.days())).collect();
        for question in questions(&entries, &asked) {
            let Some(theirs) = judged(&register, &question) else { continue };
            let ours = judge(&question);
            asked_total += 1;
            covered += u64::from(theirs.outcome.is_covered());
            let mut codes: Vec<&str> = theirs.findings.iter().map(|f| f.code).collect();
            codes.dedup();
            for code in codes {
                *fired.entry(code).or_default() += 1;
            }
            assert!(
                theirs == ours,
                "seed {seed}, days {:?}, as known at {}, recorded {:?}\n judge {theirs:?}\n \
                 oracle {ours:?}\n access {:?}",
                question.days,
                question.size,
                question.recorded,
                question.access
            );
        }
    }
    assert!(covered > asked_total / 100, "{covered} of {asked_total} are covered");
    for code in codes().filter(|code| !UNASKED.contains(code)) {
        let fired = fired.get(code).copied().unwrap_or(0);
        assert!(fired >= OFTEN, "{code} was found {fired} times only");
        assert!(asked_total - fired >= OFTEN, "{code} was found nearly always");
    }
}
