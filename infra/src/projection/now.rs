//! What a recorded access would be found today, and which entries made the difference.
//!
//! The recorded verdict is never rewritten: this one is computed from the register as it is
//! known now, at each asking.

use greffe_domain::body::Access;
use greffe_domain::event::Filed;
use greffe_domain::register::Register;
use greffe_domain::rules::{self, Case, conclude, judge};
use greffe_domain::seal::Position;
use greffe_domain::verdict::Verdict;

use super::read::read_event;
use crate::ledger::Ledger;
use crate::store::{Fault, FaultKind};

/// A recorded access, judged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NowVerdict {
    /// As recorded.
    pub then: Verdict,
    /// As known now. Findings that an erasure left undecidable stay as recorded.
    pub now: Verdict,
    /// Positions of the entries that changed it, ascending. Empty when the two agree, and
    /// when only the rules changed.
    pub changed_by: Vec<u64>,
}

/// Judges an access again as known now. `None`: no access stands at that position.
///
/// Cost: one judgement, and when it differs one for each later entry about the same things.
pub async fn now_verdict(ledger: &Ledger, position: Position) -> Result<Option<NowVerdict>, Fault> {
    let store = ledger.store();
    let Some(row) = store.entry(position).await? else { return Ok(None) };
    let disclosures = store.disclosures_at(&[position]).await?;
    let event = read_event(&row, &disclosures.iter().collect::<Vec<_>>())?;
    let Some((filed, access, then)) = event.filed().and_then(recorded_access) else {
        return Ok(None);
    };
    let case = Case {
        access,
        days: filed.at.valid_days(row.time.date()),
        recorded: Some((position.0, row.time)),
    };
    let at = |size: u64| -> Result<Verdict, Fault> {
        ledger.with_register(|register| judge_again(register, &case, then, size)).ok_or_else(|| {
            let on = format!("the entry at position {position}");
            Fault::new(FaultKind::Corrupt, "judge an access again", on)
        })
    };
    let (size, candidates) = ledger.with_register(|register| {
        let mut candidates = register.now().touching(access, position.0);
        candidates.retain(|candidate| *candidate > position.0);
        (register.size(), candidates)
    });
    let now = at(size)?;
    let mut changed_by = Vec::new();
    if !same(&now, then) {
        // From what today's rules say of that day: a change of rules is nobody's entry.
        let mut before = at(position.0)?;
        for candidate in candidates {
            // The register is let go of between two: its writer may be waiting.
            let after = at(candidate + 1)?;
            if !same(&before, &after) {
                changed_by.push(candidate);
            }
            before = after;
        }
    }
    Ok(Some(NowVerdict { then: then.clone(), now, changed_by }))
}

fn recorded_access(filed: &Filed) -> Option<(&Filed, &Access, &Verdict)> {
    Some((filed, filed.body.access()?, filed.verdict.as_deref()?))
}

/// The verdict at a size. What rests on an erased value cannot be decided again, and is
/// taken from the verdict recorded.
fn judge_again(register: &Register, case: &Case<'_>, then: &Verdict, size: u64) -> Option<Verdict> {
    let judgement = judge(&rules::CURRENT, case, register.view(size))?;
    let (mut verdict, undecided) = (judgement.verdict, judgement.undecided);
    if !undecided.is_empty() {
        verdict.findings.retain(|f| !undecided.contains(&f.code));
        let kept = then.findings.iter().filter(|f| undecided.contains(&f.code)).cloned();
        verdict.findings.extend(kept);
        verdict.findings.sort_by(|a, b| (a.code, &a.positions).cmp(&(b.code, &b.positions)));
        verdict.verdict = conclude(&rules::CURRENT, &verdict.findings);
        verdict.valid_until = verdict.valid_until.filter(|_| verdict.verdict.is_covered());
    }
    Some(verdict)
}

/// Whether two verdicts say the same: outcome, and each finding with its evidence and the
/// entries it rests on.
pub(super) fn same(a: &Verdict, b: &Verdict) -> bool {
    fn said(verdict: &Verdict) -> Vec<(&str, String, &[u64])> {
        let mut said: Vec<_> = verdict
            .findings
            .iter()
            .map(|f| (f.code.as_str(), super::write::name_of(f.evidence), f.positions.as_slice()))
            .collect();
        said.sort();
        said.dedup();
        said
    }
    a.verdict == b.verdict && said(a) == said(b)
}
