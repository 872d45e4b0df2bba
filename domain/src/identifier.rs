//! Identifiers and what must never be one: slugs, SIREN, SIRET, origins, and the search for
//! personal data in clear text.

use std::sync::LazyLock;

/// `[a-z0-9][a-z0-9./-]{0,79}`.
pub fn is_slug(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=80).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'/' | b'-')
        })
}

/// Digits of a text that is nothing but `n` digits.
fn exactly(text: &str, n: usize) -> Option<impl DoubleEndedIterator<Item = u32> + '_> {
    (text.len() == n && text.bytes().all(|b| b.is_ascii_digit()))
        .then(|| text.bytes().map(|b| u32::from(b - b'0')))
}

/// Luhn sum, ISO/IEC 7812-1 annex B: doubling every second digit from the right.
fn luhn(digits: impl DoubleEndedIterator<Item = u32>) -> bool {
    let sum: u32 = digits
        .rev()
        .enumerate()
        .map(|(i, d)| match (i % 2, d * 2) {
            (0, _) => d,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// SIREN: nine digits whose Luhn sum is right.
pub fn valid_siren(text: &str) -> bool {
    exactly(text, 9).is_some_and(luhn)
}

/// SIREN of La Poste, whose establishments have another check.
const LA_POSTE: &str = "356000000";

/// SIRET: fourteen digits whose Luhn sum is right; for La Poste's establishments, a sum of
/// digits that is a multiple of five (published exception).
pub fn valid_siret(text: &str) -> bool {
    let Some(digits) = exactly(text, 14) else { return false };
    if text.starts_with(LA_POSTE) && digits.sum::<u32>() % 5 == 0 {
        return true;
    }
    exactly(text, 14).is_some_and(luhn) && valid_siren(&text[..9])
}

/// Name of a ledger: host-like, optional path; no scheme, space, plus or trailing slash.
pub fn valid_origin(text: &str) -> bool {
    let (host, path) = text.split_once('/').map_or((text, None), |(h, p)| (h, Some(p)));
    let label = |l: &str| {
        !l.is_empty()
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    let segment = |s: &str| {
        !s.is_empty()
            && s.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'~'))
    };
    text.len() <= 255
        && host.split('.').all(label)
        && path.is_none_or(|p| p.split('/').all(segment))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PersonalData {
    /// Social-security number whose key is right.
    Nir,
    Email,
    Telephone,
}

/// Bytes that may stand between the groups of a number.
fn is_separator(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'-' | b'/' | b'\t') || byte >= 0x80
}

/// Looks for a NIR, an e-mail address or a telephone number in clear text.
///
/// Errs on the side of finding: a number that only looks like one is refused with a message
/// that says what it was taken for.
pub fn find_personal_data(text: &str) -> Option<PersonalData> {
    static INTERESTING: LazyLock<[bool; 256]> = LazyLock::new(|| {
        std::array::from_fn(|b| {
            b == usize::from(b'@') || u8::try_from(b).is_ok_and(|b| b.is_ascii_digit())
        })
    });
    let bytes = text.as_bytes();
    let mut digits = 0;
    let mut at = false;
    for b in bytes {
        if INTERESTING[usize::from(*b)] {
            if *b == b'@' {
                at = true;
            } else {
                digits += 1;
            }
        }
    }
    if at && holds_email(text) {
        return Some(PersonalData::Email);
    }
    if digits < 9 {
        return None;
    }
    holds_number(text)
}

fn holds_email(text: &str) -> bool {
    text.char_indices().filter(|(_, c)| *c == '@').any(|(i, _)| {
        let local = text[..i]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || "._%+-".contains(c));
        let host: String = text[i + 1..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
            .collect();
        let host = host.trim_end_matches(['.', '-']);
        local
            && host
                .rsplit_once('.')
                .is_some_and(|(name, tld)| !name.is_empty() && tld.chars().count() >= 2)
    })
}

/// Reads runs of digits, letting one separator stand between two of them.
fn holds_number(text: &str) -> Option<PersonalData> {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let starts = bytes[i].is_ascii_digit() || bytes[i] == b'+';
        let inside_word = i > 0 && (bytes[i - 1].is_ascii_alphanumeric() || bytes[i - 1] == b'_');
        if !starts || inside_word {
            i += 1;
            continue;
        }
        // The run, without separators; `A`/`B` are kept for Corsica's NIR.
        let mut run = Vec::with_capacity(24);
        let mut groups = 1;
        let mut j = i;
        let mut gap = false;
        while j < bytes.len() {
            let byte = bytes[j];
            if byte.is_ascii_digit() || (byte == b'+' && j == i) {
                if gap {
                    groups += 1;
                    gap = false;
                }
                run.push(byte);
            } else if matches!(byte, b'A' | b'B' | b'a' | b'b') && (5..=6).contains(&run.len()) {
                run.push(byte.to_ascii_uppercase());
            } else if is_separator(byte) && !gap && j + 1 < bytes.len() {
                gap = true;
                // A multi-byte separator (no-break space) counts once.
                while j + 1 < bytes.len() && bytes[j + 1] >= 0x80 && bytes[j + 1] < 0xc0 {
                    j += 1;
                }
            } else {
                break;
            }
            j += 1;
        }
        let ends_word = j < bytes.len() && bytes[j].is_ascii_alphanumeric() && !gap;
        if !ends_word {
            if is_nir(&run) {
                return Some(PersonalData::Nir);
            }
            if is_telephone(&run, groups) {
                return Some(PersonalData::Telephone);
            }
        }
        i = j.max(i + 1);
    }
    None
}

/// Fifteen characters, sex 1–4 or 7–8, month 01–12 or 20–99, key = 97 − (number mod 97).
fn is_nir(run: &[u8]) -> bool {
    if run.len() != 15 || !matches!(run[0], b'1'..=b'4' | b'7' | b'8') {
        return false;
    }
    let mut body = run[..13].to_vec();
    let mut correction = 0;
    match body[6] {
        b'A' => (body[6], correction) = (b'0', 1_000_000),
        b'B' => (body[6], correction) = (b'0', 2_000_000),
        _ => {}
    }
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok().and_then(|t| t.parse::<u64>().ok());
    match (number(&body), number(&run[13..])) {
        (Some(body), Some(key)) => body >= correction && 97 - (body - correction) % 97 == key,
        _ => false,
    }
}

/// French numbers (`0X XX XX XX XX`, `+33`, `0033`) and international ones (`+` and 8 to 15
/// digits).
fn is_telephone(run: &[u8], groups: usize) -> bool {
    if run.iter().any(|b| b.is_ascii_uppercase()) {
        return false;
    }
    match run {
        [b'+', digits @ ..] => (8..=15).contains(&digits.len()),
        [b'0', b'0', b'3', b'3', rest @ ..] => {
            rest.len() == 9 || (rest.len() == 10 && rest[0] == b'0')
        }
        // Ten digits from 01 to 09, together or in pairs: not 10-digit references in odd groups.
        [b'0', b'1'..=b'9', ..] => run.len() == 10 && (groups == 1 || groups >= 4),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_digits_are_checked() {
        assert!(valid_siren("732829320"));
        assert!(!valid_siren("732829321"));
        assert!(!valid_siren("73282932"));
        assert!(valid_siret("73282932000074"));
        assert!(!valid_siret("73282932000075"));
        // An establishment of La Poste, whose Luhn sum is wrong and whose digits sum to 5n.
        assert!(valid_siret("35600000049837"));
        assert!(!valid_siret("35600000049838"));
    }

    #[test]
    fn origins_are_host_like() {
        for good in ["registre.example/absences", "replay.greffe.example/cases", "a.b"] {
            assert!(valid_origin(good), "{good}");
        }
        for bad in ["https://a.b", "a.b/", "a b", "a+b", "", "A.b", "a..b", "a/ b"] {
            assert!(!valid_origin(bad), "{bad}");
        }
    }

    #[test]
    fn personal_numbers_and_addresses_are_found() {
        for (text, expected) in [
            ("matricule 2 55 08 14 168 025 38", PersonalData::Nir),
            ("255081416802538", PersonalData::Nir),
            ("1 84 12 2A 451 089 33", PersonalData::Nir),
            ("écrire à quelqu.un@exemple.fr.", PersonalData::Email),
            ("tél. 01 23 45 67 89", PersonalData::Telephone),
            ("0612345678", PersonalData::Telephone),
            ("+33 6 12 34 56 78", PersonalData::Telephone),
            ("06.12.34.56.78", PersonalData::Telephone),
            ("0033612345678", PersonalData::Telephone),
            ("+442079460958", PersonalData::Telephone),
        ] {
            assert_eq!(find_personal_data(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn ordinary_texts_are_left_alone() {
        for text in [
            "délibération 2005-038 du 10 mars 2005",
            "décrets 2015-389, 2015-390 et 2015-391",
            "JORFTEXT000030456649",
            "73282932000074",
            "732829320",
            "732 829 320 00074",
            "40 000 €",
            "articles L.1222-4 et L.2312-38",
            "2026-11-21T20:14:21.123456Z",
            "du 2017-11-01 au 2017-12-31",
            "deux@ fois",
            "https://exemple.fr/registre/2005/038",
            "255081416802539",
        ] {
            assert_eq!(find_personal_data(text), None, "{text}");
        }
    }
}
