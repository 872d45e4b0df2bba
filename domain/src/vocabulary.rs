//! The code lists: purposes, categories, roles, bases, formalities, outcomes, steps.
//!
//! Facts come from `domain/data/codelists.json` (codes, labels, W3C DPV 2.3 terms, and the
//! regime, silence and delay of each formality). A code that exists as a value here is a
//! published one: parsing happens once, at the edge. Rules are in `rules/`, not here; only
//! their codes are, because filings may name them.

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

/// The published file, as shipped.
pub const CODELISTS_JSON: &str = include_str!("../data/codelists.json");

/// One code of a list, with its labels and its W3C DPV terms.
#[derive(Debug, Deserialize, Serialize)]
pub struct Term {
    pub code: String,
    pub label_fr: String,
    pub label_en: String,
    /// How closely `dpv` corresponds: `exact`, `close`, `broad` or `none`.
    #[serde(rename = "match")]
    pub dpv_match: String,
    pub dpv: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regime: Option<String>,
    /// Whether GDPR article 9 (special categories) covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub art9: Option<bool>,
    /// What the authority's silence meant, for formalities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub silence: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delay: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

#[derive(Debug, Deserialize, Serialize)]
pub struct Codelists {
    pub dpv_version: String,
    pub prefixes: HashMap<String, String>,
    pub lists: HashMap<String, Vec<Term>>,
    pub rules: Vec<String>,
}

/// All lists, parsed once from the shipped file.
pub static CODELISTS: LazyLock<Codelists> = LazyLock::new(|| {
    serde_json::from_str(CODELISTS_JSON).expect("the shipped code lists are valid JSON")
});

/// Code → index, for one list.
fn index_of(codes: impl Iterator<Item = &'static str>) -> HashMap<&'static str, u8> {
    codes.enumerate().map(|(i, code)| (code, i as u8)).collect()
}

macro_rules! code_list {
    ($(#[$doc:meta])* $name:ident, $list:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(u8);

        impl $name {
            pub const LIST: &'static str = $list;

            fn terms() -> &'static [Term] {
                // Found once: rules ask for codes at every access.
                static TERMS: LazyLock<&'static [Term]> =
                    LazyLock::new(|| CODELISTS.lists[$list].as_slice());
                *TERMS
            }

            /// The published code for this text, or `None`.
            pub fn parse(text: &str) -> Option<Self> {
                static INDEX: LazyLock<HashMap<&'static str, u8>> =
                    LazyLock::new(|| index_of($name::terms().iter().map(|t| t.code.as_str())));
                INDEX.get(text).map(|&i| Self(i))
            }

            /// Its place in the list.
            pub fn index(self) -> usize {
                usize::from(self.0)
            }

            pub fn term(self) -> &'static Term {
                &Self::terms()[usize::from(self.0)]
            }

            pub fn as_str(self) -> &'static str {
                &self.term().code
            }

            pub fn all() -> impl Iterator<Item = Self> {
                (0..Self::terms().len()).map(|i| Self(i as u8))
            }
        }

        code_text!($name);
    };
}

macro_rules! code_text {
    ($name:ident) => {
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                Self::parse(&text)
                    .ok_or_else(|| serde::de::Error::custom(format!("unknown code `{text}`")))
            }
        }
    };
}

code_list!(/// Why the data are processed.
    Purpose, "purpose");
code_list!(/// What kind of data.
    Category, "data_category");
code_list!(/// In what capacity somebody receives data.
    RecipientRole, "recipient_role");
code_list!(/// Legal basis claimed or declared.
    LegalBasis, "legal_basis");
code_list!(/// Formality before the authority, by regime.
    FormalityKind, "formality_kind");
code_list!(/// What the authority or a court answered.
    Outcome, "decision_outcome");
code_list!(/// A step of information, consultation or agreement.
    InformationStep, "information_step");
code_list!(/// How far the data identify somebody.
    Identifiability, "identifiability");

impl Category {
    /// GDPR article 9: health and other special categories.
    pub fn is_special(self) -> bool {
        self.term().art9 == Some(true)
    }

    /// Sick-leave motives: the family of codes behind `ABS-MOTIVE`.
    pub fn is_motive(self) -> bool {
        self.as_str().starts_with("ABS-MOTIVE")
    }
}

/// Code of a rule of the rulebook. Filings name it in claims, grounds and rulings to say
/// that the fact the rule states holds or does not.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleCode(u8);

impl RuleCode {
    pub fn parse(text: &str) -> Option<Self> {
        static INDEX: LazyLock<HashMap<&'static str, u8>> =
            LazyLock::new(|| index_of(CODELISTS.rules.iter().map(String::as_str)));
        INDEX.get(text).map(|&i| Self(i))
    }

    /// Its place in the list.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    pub fn as_str(self) -> &'static str {
        &CODELISTS.rules[usize::from(self.0)]
    }

    pub fn all() -> impl Iterator<Item = Self> {
        (0..CODELISTS.rules.len()).map(|i| Self(i as u8))
    }
}

code_text!(RuleCode);

/// What somebody may do in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    Registrar,
    Controller,
    Employer,
    Regulator,
    Court,
    WorksCouncil,
    SubjectDesk,
    /// Press, unions, inspectors: describes, never decides.
    Observer,
}

impl Role {
    pub const NAMES: &'static [&'static str] = &[
        "registrar",
        "controller",
        "employer",
        "regulator",
        "court",
        "works-council",
        "subject-desk",
        "observer",
    ];

    pub fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_parses_to_itself_and_unknown_codes_do_not() {
        for code in Purpose::all() {
            assert_eq!(Purpose::parse(code.as_str()), Some(code));
        }
        assert_eq!(Purpose::parse("PUR-NONSENSE"), None);
        assert_eq!(RuleCode::all().count(), 58);
    }

    #[test]
    fn a_motive_is_health_data_and_the_mere_absence_is_not() {
        assert!(Category::parse("ABS-MOTIVE-TMS").is_some_and(Category::is_special));
        assert!(!Category::parse("ABS-FACT").is_some_and(Category::is_special));
    }

    #[test]
    fn role_names_follow_the_order_of_the_enum() {
        assert_eq!(Role::Observer.as_str(), "observer");
        assert_eq!(serde_json::to_value(Role::WorksCouncil).ok(), Some("works-council".into()));
    }
}
