//! A verdict: what the register finds about one access. Computed, never filed.
//!
//! It is a finding of the register, not a ruling: `NOT-EVIDENCED` says that nothing
//! recorded shows a thing, `CONTRADICTED` that something recorded shows the contrary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::date::LegalDate;
use crate::json;
use crate::vocabulary::RuleCode;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Outcome {
    Covered,
    CoveredWithReservations,
    NotCovered,
    Undetermined,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Covered => "COVERED",
            Self::CoveredWithReservations => "COVERED-WITH-RESERVATIONS",
            Self::NotCovered => "NOT-COVERED",
            Self::Undetermined => "UNDETERMINED",
        }
    }

    /// Whether a requested access is granted on it.
    pub fn is_covered(self) -> bool {
        matches!(self, Self::Covered | Self::CoveredWithReservations)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Severity {
    Info,
    Minor,
    Major,
    Blocking,
}

/// How a finding is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Evidence {
    /// Something recorded shows the contrary of what was required.
    Contradicted,
    /// Nothing recorded shows what was required.
    NotEvidenced,
    /// What is recorded leaves both open, most often because a date is not precise enough.
    Uncertain,
}

impl Severity {
    fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Blocking => "BLOCKING",
        }
    }
}

impl Evidence {
    fn as_str(self) -> &'static str {
        match self {
            Self::Contradicted => "CONTRADICTED",
            Self::NotEvidenced => "NOT-EVIDENCED",
            Self::Uncertain => "UNCERTAIN",
        }
    }
}

/// One rule that fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    pub code: RuleCode,
    pub severity: Severity,
    pub evidence: Evidence,
    /// Positions of the entries it rests on, ascending.
    pub positions: Vec<u64>,
    /// Digests of the concealed values it rests on, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<String>,
    /// Article, decision or document the rule comes from.
    pub source: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    pub verdict: Outcome,
    pub findings: Vec<Finding>,
    /// Positions of the entries in force that cover the access, ascending.
    pub basis: Vec<u64>,
    pub regime: String,
    /// Tree size the judge saw.
    pub judged_at: u64,
    /// Last day on which the access, if it is granted, may be served. `None`: it is not
    /// covered, what it rests on has no term, or the rulebook states none (ADR 0024).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<LegalDate>,
}

impl Verdict {
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a verdict holds only texts and integers")
    }

    /// RFC 8785 bytes, members in their order; no tree is built.
    pub fn write_canonical(&self, out: &mut Vec<u8>) {
        fn positions(positions: &[u64], out: &mut Vec<u8>) {
            out.push(b'[');
            for (i, position) in positions.iter().enumerate() {
                if i > 0 {
                    out.push(b',');
                }
                json::write_integer(*position, out);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"{\"basis\":");
        positions(&self.basis, out);
        out.extend_from_slice(b",\"findings\":[");
        for (i, finding) in self.findings.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            out.extend_from_slice(b"{\"code\":");
            json::write_canonical_str(finding.code.as_str(), out);
            out.extend_from_slice(b",\"evidence\":\"");
            out.extend_from_slice(finding.evidence.as_str().as_bytes());
            out.extend_from_slice(b"\",\"positions\":");
            positions(&finding.positions, out);
            if !finding.rests_on.is_empty() {
                out.extend_from_slice(b",\"rests_on\":[");
                for (i, digest) in finding.rests_on.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    json::write_canonical_str(digest, out);
                }
                out.push(b']');
            }
            out.extend_from_slice(b",\"severity\":\"");
            out.extend_from_slice(finding.severity.as_str().as_bytes());
            out.extend_from_slice(b"\",\"source\":");
            json::write_canonical_str(&finding.source, out);
            out.push(b'}');
        }
        out.extend_from_slice(b"],\"judged_at\":");
        json::write_integer(self.judged_at, out);
        out.extend_from_slice(b",\"regime\":");
        json::write_canonical_str(&self.regime, out);
        if let Some(day) = self.valid_until {
            out.extend_from_slice(b",\"valid_until\":\"");
            out.extend_from_slice(day.to_string().as_bytes());
            out.push(b'"');
        }
        out.extend_from_slice(b",\"verdict\":\"");
        out.extend_from_slice(self.verdict.as_str().as_bytes());
        out.extend_from_slice(b"\"}");
    }

    pub fn finding(&self, code: RuleCode) -> Option<&Finding> {
        self.findings.iter().find(|f| f.code == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bytes_written_are_the_canonical_ones_of_the_value() {
        use Evidence::{Contradicted, NotEvidenced, Uncertain};
        use Severity::{Blocking, Info, Major, Minor};
        let codes: Vec<RuleCode> = crate::vocabulary::CODELISTS
            .rules
            .iter()
            .filter_map(|code| RuleCode::parse(code))
            .collect();
        for verdict in [
            Outcome::Covered,
            Outcome::CoveredWithReservations,
            Outcome::NotCovered,
            Outcome::Undetermined,
        ] {
            let weights = [Info, Minor, Major, Blocking];
            let kinds = [Contradicted, NotEvidenced, Uncertain];
            let findings = codes
                .iter()
                .enumerate()
                .map(|(i, code)| Finding {
                    code: *code,
                    severity: weights[i % 4],
                    evidence: kinds[i % 3],
                    positions: (0..i as u64 % 5).collect(),
                    rests_on: vec!["é\n\"".to_owned(); i % 3],
                    source: "art. 8 \u{1} « loi »".to_owned(),
                })
                .collect();
            let verdict = Verdict {
                verdict,
                findings,
                basis: vec![0, 9_007_199_254_740_991],
                regime: "LIL-2004".to_owned(),
                judged_at: 12,
                valid_until: LegalDate::from_ymd(2027, 6, 30).filter(|_| verdict.is_covered()),
            };
            let mut written = Vec::new();
            verdict.write_canonical(&mut written);
            assert_eq!(written, json::canonical(&verdict.to_value()));
        }
    }
}
