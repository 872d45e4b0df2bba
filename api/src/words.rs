//! The words people read, French first: which language a reader asked for, and the texts of
//! `locales/{fr,en}/*.ftl` (Project Fluent), compiled in.
//!
//! A text that is asked for and not shipped is a bug, and tests ask for each; both languages
//! ship the same messages.

use std::borrow::Cow;
use std::sync::LazyLock;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use greffe_domain::date::{Interval, LegalDate, days_in_month};
use greffe_domain::refusal::Words;

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

    /// A text of the domain in this language, spaced as the language is.
    pub fn of(self, words: &Words) -> Cow<'_, str> {
        spaced(self, self.pick(&words.fr, &words.en))
    }

    pub fn pick<'a>(self, fr: &'a str, en: &'a str) -> &'a str {
        match self {
            Self::Fr => fr,
            Self::En => en,
        }
    }
}

/// The space that stands before these signs in French, so that no line begins with one
/// (Imprimerie nationale): thin before `;`, `?` and `!`, whole before `:` and inside `« »`.
const THIN: char = '\u{202f}';
const WHOLE: char = '\u{a0}';

/// A text that the domain has, spaced as its language is written: French puts a space that
/// never breaks before `: ; ? ! »` and after `«`, where the text has a plain one.
///
/// The texts of `locales/` have theirs already, and a test holds them to it.
pub fn spaced(lang: Lang, text: &str) -> Cow<'_, str> {
    if lang == Lang::En || !text.contains(' ') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 8);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let fixed = match (c, rest.peek()) {
            (' ', Some(';' | '?' | '!')) => THIN,
            (' ', Some(':' | '»')) => WHOLE,
            (' ', _) if out.ends_with('«') => WHOLE,
            _ => c,
        };
        out.push(fixed);
    }
    Cow::Owned(out)
}

/// What stands between a name and what is said of it, before its space.
pub fn colon(lang: Lang) -> &'static str {
    lang.pick("\u{a0}:", ":")
}

/// What stands between the items of a list that may hold commas, before its space.
pub fn semicolon(lang: Lang) -> &'static str {
    lang.pick("\u{202f};", ";")
}

type Bundle = FluentBundle<FluentResource>;

static FR: LazyLock<Bundle> = LazyLock::new(|| {
    bundle(
        Lang::Fr,
        &[
            include_str!("../locales/fr/page.ftl"),
            include_str!("../locales/fr/problems.ftl"),
            include_str!("../locales/fr/me.ftl"),
            include_str!("../locales/fr/regulator.ftl"),
            include_str!("../locales/fr/controller.ftl"),
        ],
    )
});
static EN: LazyLock<Bundle> = LazyLock::new(|| {
    bundle(
        Lang::En,
        &[
            include_str!("../locales/en/page.ftl"),
            include_str!("../locales/en/problems.ftl"),
            include_str!("../locales/en/me.ftl"),
            include_str!("../locales/en/regulator.ftl"),
            include_str!("../locales/en/controller.ftl"),
        ],
    )
});

fn bundle(lang: Lang, texts: &[&str]) -> Bundle {
    let tag = lang.as_str().parse().expect("`fr` and `en` are language tags");
    let mut bundle = Bundle::new_concurrent(vec![tag]);
    // Isolation marks are for mixed directions; ours are all left to right.
    bundle.set_use_isolating(false);
    for text in texts {
        let resource = FluentResource::try_new((*text).to_owned())
            .unwrap_or_else(|(_, errors)| panic!("the shipped texts are Fluent: {errors:?}"));
        bundle.add_resource(resource).unwrap_or_else(|e| panic!("a text is shipped twice: {e:?}"));
    }
    bundle
}

fn texts(lang: Lang) -> &'static Bundle {
    match lang {
        Lang::Fr => &FR,
        Lang::En => &EN,
    }
}

/// A text, or `None` when none of that name is shipped.
pub fn find_word(
    lang: Lang,
    key: &str,
    args: Option<&FluentArgs<'_>>,
) -> Option<Cow<'static, str>> {
    let bundle = texts(lang);
    let pattern = bundle.get_message(key)?.value()?;
    let mut errors = Vec::new();
    let text = bundle.format_pattern(pattern, args, &mut errors);
    assert!(errors.is_empty(), "`{key}` in locales/{}: {errors:?}", lang.as_str());
    Some(Cow::Owned(text.into_owned()))
}

/// A text of the pages. Panics on a key that is not shipped: a test asks for each.
pub fn word(lang: Lang, key: &str) -> Cow<'static, str> {
    find_word(lang, key, None)
        .unwrap_or_else(|| panic!("no text `{key}` in locales/{}", lang.as_str()))
}

/// A text with values in it, by name.
pub fn word_with(lang: Lang, key: &str, values: &[(&str, FluentValue<'_>)]) -> Cow<'static, str> {
    let mut args = FluentArgs::with_capacity(values.len());
    for (name, value) in values {
        args.set(*name, value.clone());
    }
    find_word(lang, key, Some(&args))
        .unwrap_or_else(|| panic!("no text `{key}` in locales/{}", lang.as_str()))
}

/// Title of a problem code, and what to do about it; empty for a code that is not ours.
pub fn problem_words(lang: Lang, code: &str) -> (Cow<'static, str>, Cow<'static, str>) {
    let bundle = texts(lang);
    let key = format!("problem-{code}");
    let advice = bundle
        .get_message(&key)
        .and_then(|m| m.get_attribute("advice"))
        .map(|a| bundle.format_pattern(a.value(), None, &mut Vec::new()).into_owned());
    let title = find_word(lang, &key, None);
    (title.unwrap_or_default(), Cow::Owned(advice.unwrap_or_default()))
}

/// A day in words: `10 mars 2005`, `10 March 2005`.
pub fn day(lang: Lang, day: LegalDate) -> String {
    format!("{} {}", ordinal(lang, day), month_of(lang, day.year(), day.month()))
}

fn ordinal(lang: Lang, day: LegalDate) -> String {
    match (lang, day.day()) {
        (Lang::Fr, 1) => "1er".to_owned(),
        (_, n) => n.to_string(),
    }
}

fn month_of(lang: Lang, year: i32, month: u32) -> String {
    let name = word_with(lang, "month", &[("n", month.into())]);
    format!("{name} {year}")
}

/// The days on which something may have happened, as exactly as they are known: a day, a
/// month, a year, or from one to another. `None` on a side: open.
pub fn days(lang: Lang, interval: &Interval) -> String {
    let (from, to) = match (interval.earliest, interval.latest) {
        (None, None) => return word(lang, "date-unknown").into_owned(),
        (Some(from), None) => {
            return word_with(lang, "date-since", &[("day", day(lang, from).into())]).into_owned();
        }
        (None, Some(to)) => {
            return word_with(lang, "date-until", &[("day", edge(lang, to, true).into())])
                .into_owned();
        }
        (Some(from), Some(to)) => (from, to),
    };
    if from == to {
        return day(lang, from);
    }
    let whole_months = from.day() == 1 && to.day() == days_in_month(to.year(), to.month());
    match whole_months {
        true if from.year() == to.year() && from.month() == 1 && to.month() == 12 => {
            from.year().to_string()
        }
        true if from.year() == to.year() && from.month() == to.month() => {
            month_of(lang, from.year(), from.month())
        }
        _ => {
            let (from, to) = (edge(lang, from, false), edge(lang, to, true));
            word_with(lang, "date-between", &[("from", from.into()), ("to", to.into())])
                .into_owned()
        }
    }
}

/// One end of an interval: its month alone where it is the month's edge.
fn edge(lang: Lang, at: LegalDate, last: bool) -> String {
    let at_edge =
        if last { at.day() == days_in_month(at.year(), at.month()) } else { at.day() == 1 };
    if at_edge { month_of(lang, at.year(), at.month()) } else { day(lang, at) }
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

    /// Message ids of a Fluent text, in order of the alphabet.
    fn ids(text: &str) -> Vec<&str> {
        let mut ids: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with(|c: char| c.is_ascii_alphabetic()))
            .filter_map(|line| Some(line.split_once('=')?.0.trim()))
            .collect();
        ids.sort_unstable();
        ids
    }

    #[test]
    fn both_languages_have_the_same_texts() {
        let page = (include_str!("../locales/fr/page.ftl"), include_str!("../locales/en/page.ftl"));
        assert_eq!(ids(page.0), ids(page.1));
        let me = (include_str!("../locales/fr/me.ftl"), include_str!("../locales/en/me.ftl"));
        assert_eq!(ids(me.0), ids(me.1));
        let regulator = (
            include_str!("../locales/fr/regulator.ftl"),
            include_str!("../locales/en/regulator.ftl"),
        );
        assert_eq!(ids(regulator.0), ids(regulator.1));
        let controller = (
            include_str!("../locales/fr/controller.ftl"),
            include_str!("../locales/en/controller.ftl"),
        );
        assert_eq!(ids(controller.0), ids(controller.1));
        let problems = (
            include_str!("../locales/fr/problems.ftl"),
            include_str!("../locales/en/problems.ftl"),
        );
        assert_eq!(ids(problems.0), ids(problems.1));
        for lang in [Lang::Fr, Lang::En] {
            for id in ids(problems.0) {
                let code = id.trim_start_matches("problem-");
                assert!(!problem_words(lang, code).1.is_empty(), "{code} has no advice");
            }
        }
    }

    /// Every file of texts, by language.
    const SHIPPED: [(Lang, &str); 10] = [
        (Lang::Fr, include_str!("../locales/fr/page.ftl")),
        (Lang::Fr, include_str!("../locales/fr/problems.ftl")),
        (Lang::Fr, include_str!("../locales/fr/me.ftl")),
        (Lang::Fr, include_str!("../locales/fr/regulator.ftl")),
        (Lang::Fr, include_str!("../locales/fr/controller.ftl")),
        (Lang::En, include_str!("../locales/en/page.ftl")),
        (Lang::En, include_str!("../locales/en/problems.ftl")),
        (Lang::En, include_str!("../locales/en/me.ftl")),
        (Lang::En, include_str!("../locales/en/regulator.ftl")),
        (Lang::En, include_str!("../locales/en/controller.ftl")),
    ];

    #[test]
    fn french_spaces_before_its_marks_never_break_and_english_has_none() {
        for (lang, file) in SHIPPED {
            for line in file.lines().filter(|line| !line.starts_with('#')) {
                let wrong: &[&str] = match lang {
                    Lang::Fr => &[" :", " ;", " ?", " !", " »", "« ", "'"],
                    Lang::En => &[
                        " :",
                        " ;",
                        " ?",
                        " !",
                        "\u{a0}:",
                        "\u{202f};",
                        "\u{202f}?",
                        "\u{202f}!",
                        "«",
                        "»",
                    ],
                };
                for mark in wrong {
                    assert!(!line.contains(mark), "{lang:?}: {mark:?} in {line}");
                }
            }
        }
    }

    #[test]
    fn a_text_of_the_domain_is_spaced_as_its_language_is() {
        let text = "Refusé « en l’état » : pourquoi ? oui ; non !";
        assert_eq!(
            spaced(Lang::Fr, text),
            "Refusé «\u{a0}en l’état\u{a0}»\u{a0}: pourquoi\u{202f}? oui\u{202f}; non\u{202f}!"
        );
        assert_eq!(spaced(Lang::En, "As it is: a b"), "As it is: a b");
    }

    #[test]
    fn a_date_is_said_as_exactly_as_it_is_known() {
        let days = |lang, from: &str, to: &str| {
            super::days(
                lang,
                &Interval { earliest: LegalDate::parse(from), latest: LegalDate::parse(to) },
            )
        };
        assert_eq!(days(Lang::Fr, "2005-03-10", "2005-03-10"), "10 mars 2005");
        assert_eq!(days(Lang::Fr, "2017-11-01", "2017-11-30"), "novembre 2017");
        assert_eq!(days(Lang::En, "1994-01-01", "1994-12-31"), "1994");
        assert_eq!(
            days(Lang::Fr, "2017-11-01", "2017-12-31"),
            "entre novembre 2017 et décembre 2017"
        );
        assert_eq!(days(Lang::Fr, "", "2022-05-31"), "mai 2022 au plus tard");
        assert_eq!(days(Lang::En, "", ""), "date unknown");
    }
}
