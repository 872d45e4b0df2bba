//! An access judged again: the verdict recorded against the one the same rules give.
//!
//! Some rules compare persons, and persons are concealed. Where a disclosure is missing
//! such a rule is undecided: its findings are then taken as recorded, and everything else
//! must still be the same.

use greffe_domain::body::Access;
use greffe_domain::date::{Interval, Timestamp};
use greffe_domain::register::Register;
use greffe_domain::rules::{self, Case, Rulebook, conclude};
use greffe_domain::verdict::{Finding, Verdict};

use crate::reason::Reason;

/// Whether every rule was run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejudged {
    Wholly,
    /// At least one rule was undecided for want of a disclosure.
    InPart,
}

/// Compares `recorded` with the verdict on the access before the register at its place.
///
/// `register`: folded up to `position`, that entry not included.
pub fn rejudge(
    rulebook: &Rulebook,
    register: &Register,
    access: &Access,
    days: Interval,
    (position, recorded_at): (u64, Timestamp),
    recorded: &Verdict,
) -> Result<Rejudged, Reason> {
    let case = Case { access, days, recorded: Some((position, recorded_at)) };
    let judgement = rules::judge(rulebook, &case, register.view(position))
        .ok_or_else(|| Reason::NoProcessing(access.processing.clone()))?;
    let judged = judgement.verdict;
    let undecided = judgement.undecided;
    if undecided.is_empty() {
        if judged == *recorded {
            return Ok(Rejudged::Wholly);
        }
        return Err(difference(recorded, &judged));
    }
    let is_open = |f: &&Finding| undecided.contains(&f.code);
    let decided = |v: &Verdict| -> Vec<Finding> {
        v.findings.iter().filter(|f| !is_open(f)).cloned().collect()
    };
    // What is found besides can only weigh more, and then the access has no term.
    let (verdict, valid_until) = (judged.verdict, judged.valid_until);
    let same = Verdict { findings: decided(&judged), ..judged.clone() };
    let said = Verdict { findings: decided(recorded), verdict, valid_until, ..recorded.clone() };
    if same != said {
        return Err(difference(&said, &same));
    }
    // What is still found of an undecided rule was found by whoever knew more.
    let lost = judged.findings.iter().filter(|f| undecided.contains(&f.code));
    if let Some(finding) = lost.into_iter().find(|f| !recorded.findings.contains(f)) {
        return Err(Reason::Finding { code: finding.code.as_str().to_owned() });
    }
    for finding in recorded.findings.iter().filter(is_open) {
        let rule = rulebook.rule(finding.code.as_str());
        if rule.is_none_or(|r| r.source != finding.source || r.severity != finding.severity) {
            return Err(Reason::Finding { code: finding.code.as_str().to_owned() });
        }
    }
    let order = |f: &Finding| (f.code, f.positions.clone());
    if !recorded.findings.is_sorted_by_key(order) {
        return Err(Reason::Verdict("findings"));
    }
    let concluded = conclude(rulebook, &recorded.findings);
    if concluded != recorded.verdict {
        return Err(Reason::Outcome { recorded: recorded.verdict, judged: concluded });
    }
    if recorded.valid_until != valid_until.filter(|_| concluded.is_covered()) {
        return Err(Reason::Verdict("valid_until"));
    }
    Ok(Rejudged::InPart)
}

/// Names the first thing that differs.
fn difference(recorded: &Verdict, judged: &Verdict) -> Reason {
    if recorded.verdict != judged.verdict {
        return Reason::Outcome { recorded: recorded.verdict, judged: judged.verdict };
    }
    let pairs = recorded.findings.iter().zip(&judged.findings);
    if let Some((finding, _)) = pairs.into_iter().find(|(a, b)| a != b) {
        return Reason::Finding { code: finding.code.as_str().to_owned() };
    }
    let (a, b) = (&recorded.findings, &judged.findings);
    if let Some(finding) = a.get(b.len()).or_else(|| b.get(a.len())) {
        return Reason::Finding { code: finding.code.as_str().to_owned() };
    }
    Reason::Verdict(if recorded.basis != judged.basis {
        "basis"
    } else if recorded.regime != judged.regime {
        "regime"
    } else if recorded.valid_until != judged.valid_until {
        "valid_until"
    } else {
        "judged_at"
    })
}
