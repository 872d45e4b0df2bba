//! Subject references: who data are about, without saying who.
//!
//! 32 bytes, keyed BLAKE3 of the normalised pivot identity under a secret key of the ledger
//! kept outside the store. Without the key a reference tells nothing; with a hash of the
//! social-security number, an employer would find the person among 999 candidates.

use std::fmt;

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::date::LegalDate;
use crate::encoding::{base64url, base64url_decode};
use crate::refusal::{Refusal, RefusalCode};

/// What an identity provider of the FranceConnect family gives. Never stored, never logged.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pivot {
    /// Family name at birth.
    pub family_name: String,
    pub given_names: String,
    /// `male` or `female` (or `M`, `F`).
    pub sex: String,
    /// `YYYY-MM-DD`.
    pub birthdate: String,
    /// INSEE code of the commune of birth, or of the country for births abroad; may be
    /// empty where unknown, as the pivot identity allows.
    pub birthplace: String,
}

/// Reference to a person in one ledger.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SubjectRef(pub [u8; 32]);

impl SubjectRef {
    pub fn parse(text: &str) -> Option<Self> {
        base64url_decode(text)?.try_into().ok().map(Self)
    }
}

impl fmt::Display for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&base64url(&self.0))
    }
}

impl fmt::Debug for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Unicode NFKD, upper case, letters only.
fn letters(text: &str) -> String {
    text.nfkd()
        .filter(|c| !is_combining_mark(*c))
        .flat_map(char::to_uppercase)
        .filter(|c| c.is_alphabetic())
        .collect()
}

/// The reference of an identity, under the ledger's subject key.
///
/// Errors: `identifier-invalid` with the field that cannot be read.
pub fn reference(secret: &[u8; 32], pivot: &Pivot) -> Result<SubjectRef, Refusal> {
    let bad = |field: &str, fr: &str, en: &str| {
        Refusal::at(format!("/{field}"), RefusalCode::IdentifierInvalid, fr, en)
    };
    let family = letters(&pivot.family_name);
    if family.is_empty() {
        return Err(bad(
            "family_name",
            "nom de naissance attendu",
            "expected the family name at birth",
        ));
    }
    let given = letters(&pivot.given_names);
    let sex = match pivot.sex.to_ascii_lowercase().as_str() {
        "male" | "m" | "1" => "M",
        "female" | "f" | "2" => "F",
        _ => return Err(bad("sex", "attendu : male ou female", "expected male or female")),
    };
    let born = LegalDate::parse(&pivot.birthdate)
        .ok_or_else(|| bad("birthdate", "attendu : AAAA-MM-JJ", "expected YYYY-MM-DD"))?;
    let place = pivot.birthplace.trim().to_ascii_uppercase();
    if !(place.is_empty() || place.len() == 5 && place.bytes().all(|b| b.is_ascii_alphanumeric())) {
        return Err(bad(
            "birthplace",
            "attendu : code INSEE de cinq caractères",
            "expected an INSEE code of five characters",
        ));
    }
    let mut hasher = blake3::Hasher::new_keyed(secret);
    for part in [&family, &given, sex, &born.to_string(), &place] {
        // Each part is preceded by its length, so that no two identities read the same.
        hasher.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    Ok(SubjectRef(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pivot(family: &str, given: &str) -> Pivot {
        Pivot {
            family_name: family.into(),
            given_names: given.into(),
            sex: "female".into(),
            birthdate: "1980-01-02".into(),
            birthplace: "75056".into(),
        }
    }

    #[test]
    fn spelling_does_not_change_a_person_and_the_key_does() {
        let key = [7; 32];
        let a = reference(&key, &pivot("Lefèvre-Müller", "Anne Élise")).ok();
        assert!(a.is_some());
        assert_eq!(a, reference(&key, &pivot("LEFEVRE MULLER", "anne-elise")).ok());
        assert_ne!(a, reference(&[8; 32], &pivot("LEFEVRE MULLER", "anne-elise")).ok());
        assert_ne!(a, reference(&key, &pivot("LEFEVREMULLERANNE", "elise")).ok());
    }

    #[test]
    fn a_birthdate_that_cannot_be_read_is_refused_by_name() {
        let mut p = pivot("A", "B");
        p.birthdate = "2/1/1980".into();
        let refusal = reference(&[0; 32], &p).expect_err("not a date");
        assert_eq!(refusal.errors[0].pointer, "/birthdate");
    }
}
