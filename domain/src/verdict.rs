//! A verdict: what the register finds about one access. Computed, never filed.
//!
//! It is a finding of the register, not a ruling: `NOT-EVIDENCED` says that nothing
//! recorded shows a thing, `CONTRADICTED` that something recorded shows the contrary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::body::Measure;
use crate::date::LegalDate;
use crate::json;
use crate::vocabulary::{Category, RuleCode};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING-KEBAB-CASE")]
pub enum Outcome {
    Covered,
    CoveredWithReservations,
    NotCovered,
    Undetermined,
}

impl Outcome {
    pub const ALL: [Outcome; 4] =
        [Self::Covered, Self::CoveredWithReservations, Self::NotCovered, Self::Undetermined];

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
    pub const ALL: [Severity; 4] = [Self::Info, Self::Minor, Self::Major, Self::Blocking];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "INFO",
            Self::Minor => "MINOR",
            Self::Major => "MAJOR",
            Self::Blocking => "BLOCKING",
        }
    }
}

impl Evidence {
    pub const ALL: [Evidence; 3] = [Self::Contradicted, Self::NotEvidenced, Self::Uncertain];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Contradicted => "CONTRADICTED",
            Self::NotEvidenced => "NOT-EVIDENCED",
            Self::Uncertain => "UNCERTAIN",
        }
    }
}

/// Most cells that one finding names, and most units that one of them does. The rest is
/// in the entries it rests on; a leaf holds only so much.
pub const MAX_INVOLVED: usize = 8;
pub const MAX_INVOLVED_UNITS: usize = 20;

/// A cell that a finding is about, published or worked out: its dimensions, never a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Involved {
    pub categories: Vec<Category>,
    /// `YYYY-MM-DD/YYYY-MM-DD`, if the disclosures tell it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<String>,
    /// What is measured.
    pub unit: Measure,
    pub units: Vec<String>,
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
    /// Cells it is about, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<Involved>,
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
            out.push(b'{');
            if !finding.cells.is_empty() {
                out.extend_from_slice(b"\"cells\":");
                let cells = serde_json::to_value(&finding.cells);
                let cells = cells.expect("a cell holds only texts");
                out.extend_from_slice(&json::canonical(&cells));
                out.push(b',');
            }
            out.extend_from_slice(b"\"code\":");
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
        let cell = |i: usize| Involved {
            categories: Category::all().take(i % 3).collect(),
            period: i.is_multiple_of(2).then(|| "2017-11-01/2017-12-31".to_owned()),
            unit: Measure::Days,
            units: vec!["site/a".to_owned(); i % 2],
        };
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
                    cells: vec![cell(i); i % 4],
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
