//! A verdict: what the register finds about one access. Computed, never filed.
//!
//! It is a finding of the register, not a ruling: `NOT-EVIDENCED` says that nothing
//! recorded shows a thing, `CONTRADICTED` that something recorded shows the contrary.

use serde::{Deserialize, Serialize};
use serde_json::Value;

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
}

impl Verdict {
    pub fn to_value(&self) -> Value {
        serde_json::to_value(self).expect("a verdict holds only texts and integers")
    }

    pub fn finding(&self, code: RuleCode) -> Option<&Finding> {
        self.findings.iter().find(|f| f.code == code)
    }
}
