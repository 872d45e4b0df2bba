//! The judge and the oracle on the same timelines: the whole verdict, finding by finding.

use std::collections::BTreeMap;

use greffe_domain::event::Event;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, CURRENT};

use super::generate::{Timeline, entries};
use super::interpreter::{Entry, Found, Opinion, Question, codes, judge, word};

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
    let judgement = rules::judge(&CURRENT, &case, register.view(question.size))?;
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
    let timelines = std::env::var("N").map_or(TIMELINES, |n| n.parse().unwrap());
    let only = std::env::var("CODE").ok();
    let mut fired: BTreeMap<&str, u64> = BTreeMap::new();
    let mut diff: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    let (mut asked_total, mut wrong) = (0u64, 0u64);
    let mut outcomes: BTreeMap<String, u64> = BTreeMap::new();
    for seed in 0..timelines {
        let timeline = Timeline::of(seed);
        let entries = entries(&timeline.drafts);
        let register = register_of(&entries);
        let asked: Vec<_> = timeline.asked.iter().map(|a| (a.access(), a.days())).collect();
        for question in questions(&entries, &asked) {
            let Some(theirs) = judged(&register, &question) else { continue };
            let ours = judge(&question);
            asked_total += 1;
            *outcomes.entry(format!("{:?}", theirs.outcome)).or_default() += 1;
            for code in codes() {
                let t: Vec<_> = theirs.findings.iter().filter(|f| f.code == code).collect();
                let o: Vec<_> = ours.findings.iter().filter(|f| f.code == code).collect();
                if !t.is_empty() {
                    *fired.entry(code).or_default() += 1;
                }
                if t != o {
                    let say =
                        |l: &[&Found]| l.iter().map(|f| f.evidence).collect::<Vec<_>>().join(",");
                    let (st, so) = (say(&t), say(&o));
                    let key = if st == so {
                        format!("{code} POSITIONS")
                    } else {
                        format!("{code} judge[{st}] oracle[{so}]")
                    };
                    let e = diff.entry(key.clone()).or_insert((0, seed));
                    e.0 += 1;
                    if e.0 <= 2 && only.as_ref().is_some_and(|c| key.starts_with(c.as_str())) {
                        println!(
                            "--- seed {seed} {key} days {:?} size {} recorded {:?}\n  judge {t:?}\n  oracle {o:?}\n  access {:?}",
                            question.days, question.size, question.recorded, question.access
                        );
                        if e.0 == 1 {
                            for (n, d) in timeline.drafts.iter().enumerate().skip(8) {
                                println!(
                                    "   {n} {} {} {:?} {} {} {}",
                                    d.iss, d.kind, d.at, d.evidence, d.time, d.body
                                );
                            }
                        }
                    }
                }
            }
            if theirs != ours {
                wrong += 1;
            }
        }
    }
    println!("{asked_total} questions, {wrong} differ; {outcomes:?}");
    for code in codes() {
        println!("fired {code} {}", fired.get(code).copied().unwrap_or(0));
    }
    let mut diff: Vec<_> = diff.into_iter().collect();
    diff.sort_by_key(|(_, (n, _))| std::cmp::Reverse(*n));
    for (k, (n, seed)) in diff {
        println!("DIFF {n} (seed {seed}) {k}");
    }
}
