//! The words people read, French first: which language a reader asked for, and the texts of
//! `locales/{fr,en}/`.

use std::collections::HashMap;
use std::sync::LazyLock;

use greffe_domain::refusal::Words;
use serde::Deserialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Lang {
    #[default]
    Fr,
    En,
}

impl Lang {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fr => "fr",
            Self::En => "en",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        match text.get(..2).map(str::to_ascii_lowercase).as_deref() {
            Some("fr") => Some(Self::Fr),
            Some("en") => Some(Self::En),
            _ => None,
        }
    }

    /// The first of our languages in order of the reader's preference (RFC 9110 §12.5.4).
    pub fn accepted(header: &str) -> Option<Self> {
        let mut best: Option<(u32, Self)> = None;
        for part in header.split(',') {
            let mut fields = part.split(';');
            let Some(lang) = fields.next().and_then(|tag| Self::parse(tag.trim())) else {
                continue;
            };
            let weight = fields
                .find_map(|f| f.trim().strip_prefix("q="))
                .map_or(1000, |q| (q.parse::<f32>().unwrap_or(0.0) * 1000.0) as u32);
            if weight > 0 && best.is_none_or(|(w, _)| weight > w) {
                best = Some((weight, lang));
            }
        }
        best.map(|(_, lang)| lang)
    }

    pub fn of(self, words: &Words) -> &str {
        self.pick(&words.fr, &words.en)
    }

    pub fn pick<'a>(self, fr: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Fr => fr,
            Self::En => en,
        }
    }
}

#[derive(Deserialize)]
struct ProblemText {
    title: String,
    advice: String,
}

type Texts<T> = LazyLock<HashMap<String, T>>;

static PROBLEMS_FR: Texts<ProblemText> = LazyLock::new(|| read(include_str!("../locales/fr/problems.json")));
static PROBLEMS_EN: Texts<ProblemText> = LazyLock::new(|| read(include_str!("../locales/en/problems.json")));
static PAGE_FR: Texts<String> = LazyLock::new(|| read(include_str!("../locales/fr/page.json")));
static PAGE_EN: Texts<String> = LazyLock::new(|| read(include_str!("../locales/en/page.json")));

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> HashMap<String, T> {
    serde_json::from_str(text).expect("the shipped texts are valid JSON")
}

/// Title of a problem code, and what to do about it.
pub fn problem_words(lang: Lang, code: &str) -> (&'static str, &'static str) {
    let texts = match lang {
        Lang::Fr => &PROBLEMS_FR,
        Lang::En => &PROBLEMS_EN,
    };
    texts.get(code).map_or(("", ""), |t| (&t.title, &t.advice))
}

/// A text of the page. Panics on a key that is not shipped: a test asks for each.
pub fn page_word(lang: Lang, key: &str) -> &'static str {
    let texts = match lang {
        Lang::Fr => &PAGE_FR,
        Lang::En => &PAGE_EN,
    };
    texts.get(key).unwrap_or_else(|| panic!("no text `{key}` in locales/{}", lang.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_s_first_language_of_ours_is_taken() {
        assert_eq!(Lang::accepted("de, en;q=0.5, fr;q=0.8"), Some(Lang::Fr));
        assert_eq!(Lang::accepted("en-GB,en;q=0.9"), Some(Lang::En));
        assert_eq!(Lang::accepted("de"), None);
        assert_eq!(Lang::accepted("fr;q=0"), None);
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        let mut fr: Vec<_> = PAGE_FR.keys().collect();
        let mut en: Vec<_> = PAGE_EN.keys().collect();
        fr.sort();
        en.sort();
        assert_eq!(fr, en);
    }
}
