//! The pages people open, written on the server and whole without scripts.
//!
//! `request → Frame (language, where the reader is) → what the API answers → view → template`.
//! Pages show what the JSON routes say and decide nothing. Words are in `locales/`, shapes in
//! `templates/`; a page is one file with its style in it, and asks nobody else for anything.

pub mod assets;
pub mod controller;
mod field;
mod growth;
pub mod home;
pub mod me;
pub mod problems;
pub mod register;
pub mod regulator;
pub mod signin;
mod timeline;

use std::borrow::Cow;
use std::sync::LazyLock;

use askama::Template;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use data_encoding::BASE64;
use fluent_bundle::FluentValue;
use greffe_domain::date::{Interval, Timestamp};
use greffe_domain::register::Register;
use greffe_domain::rules::CURRENT;
use greffe_domain::verdict::{Evidence, Outcome};
use greffe_domain::vocabulary::CODELISTS;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::session::{Person, Visitor};
use super::{Language, Shared, queries};
use crate::words::{self, Lang};

/// The whole style, in every page: one round trip, and no jump when it arrives.
pub const STYLE: &str = concat!(
    include_str!("../../../assets/vendor/modern-normalize.css"),
    include_str!("../../../assets/greffe.css")
);

/// What pages may load: their own style by its hash, scripts and pictures of this server, and
/// nothing from elsewhere.
pub static SECURITY_POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = BASE64.encode(&Sha256::digest(STYLE));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{hash}'; script-src 'self'; connect-src 'self'; \
         img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    );
    HeaderValue::from_str(&policy).expect("a policy of ASCII")
});

/// The mark of the site, which every browser asks for: without it each first page would log an
/// error.
pub async fn icon() -> impl IntoResponse {
    const ICON: &str = include_str!("../../../assets/icon.svg");
    let kept = "public, max-age=604800";
    ([(header::CONTENT_TYPE, "image/svg+xml"), (header::CACHE_CONTROL, kept)], ICON)
}

/// A party's name, or its id while nobody of that id is registered.
fn name_of(register: &Register, id: &str) -> String {
    register.party(id).map_or_else(|| id.to_owned(), |p| p.name.clone())
}

/// The title a processing was last declared under, or its id.
fn processing_title(register: &Register, id: &str) -> String {
    let version = register.processing(id).and_then(|p| p.versions.last());
    version.map_or_else(|| id.to_owned(), |v| v.data.title.clone())
}

/// What every page needs to know of its reader.
#[derive(Debug, Clone)]
pub struct Frame {
    pub lang: Lang,
    /// Path and query asked for, without the language.
    here: String,
    /// Whether the address names the language: it is then remembered.
    names_language: bool,
    pub signed: Option<Signed>,
}

/// What the header says of whoever is signed in.
#[derive(Debug, Clone)]
pub struct Signed {
    /// Who, in the reader's words.
    pub who: String,
    /// The part of the site that is theirs.
    pub home: &'static str,
    pub csrf: String,
    pub demonstration: bool,
}

impl FromRequestParts<Shared> for Frame {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Shared) -> Result<Self, Problem> {
        let Language(lang) = Language::from_request_parts(parts, app).await?;
        let Visitor(session) = Visitor::from_request_parts(parts, app).await?;
        let mut frame = Self::new(lang, &parts.uri);
        frame.signed = session.map(|session| Signed {
            who: match &session.person {
                Person::Citizen { .. } => frame.t("signed-citizen").into_owned(),
                Person::Agent { party } => app.ledger.with_register(|r| {
                    r.party(party).map_or_else(|| party.clone(), |p| p.name.clone())
                }),
            },
            home: signin::home_of(app, &session.person),
            csrf: session.csrf.clone(),
            demonstration: session.demonstration,
        });
        Ok(frame)
    }
}

impl Frame {
    pub fn new(lang: Lang, uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let kept: Vec<&str> =
            query.split('&').filter(|p| !p.is_empty() && !p.starts_with("lang=")).collect();
        let names_language = query.split('&').any(|p| p.starts_with("lang="));
        let mut here = uri.path().to_owned();
        if !kept.is_empty() {
            here.push('?');
            here.push_str(&kept.join("&"));
        }
        Self { lang, here, names_language, signed: None }
    }

    /// This page in a language.
    pub fn here_in(&self, lang: &str) -> String {
        let join = if self.here.contains('?') { '&' } else { '?' };
        format!("{}{join}lang={lang}", self.here)
    }

    pub fn is(&self, lang: &str) -> bool {
        self.lang.as_str() == lang
    }

    /// Whether the page asked for is in a part of the site.
    pub fn within(&self, path: &str) -> bool {
        self.here.starts_with(path)
    }

    pub fn style(&self) -> &'static str {
        STYLE
    }

    pub fn t(&self, key: &str) -> Cow<'static, str> {
        words::word(self.lang, key)
    }

    pub fn with(&self, key: &str, values: &[(&str, FluentValue<'_>)]) -> Cow<'static, str> {
        words::word_with(self.lang, key, values)
    }

    /// A text with a count in it, named `n`.
    pub fn count(&self, key: &str, n: usize) -> Cow<'static, str> {
        words::word_with(self.lang, key, &[("n", FluentValue::from(n))])
    }

    pub fn days(&self, interval: &Interval) -> String {
        words::days(self.lang, interval)
    }

    /// A published code in words; the code itself where no list holds it.
    pub fn label(&self, code: &str) -> String {
        let term = CODELISTS.lists.values().flatten().find(|t| t.code == code);
        term.map_or_else(
            || code.to_owned(),
            |t| self.spaced(self.lang.pick(&t.label_fr, &t.label_en)),
        )
    }

    /// A rule's plain sentence.
    pub fn reason(&self, code: &str) -> String {
        queries::reason(code, &CURRENT, self.lang)
            .map_or_else(|| code.to_owned(), |reason| self.spaced(&reason))
    }

    /// A text of the domain, spaced as the reader's language is.
    pub fn spaced(&self, text: &str) -> String {
        words::spaced(self.lang, text).into_owned()
    }

    pub fn colon(&self) -> &'static str {
        words::colon(self.lang)
    }

    pub fn semicolon(&self) -> &'static str {
        words::semicolon(self.lang)
    }

    /// Several things that may hold commas, one after the other.
    pub fn listed(&self, texts: &[impl AsRef<str>]) -> String {
        let mut out = String::new();
        for (i, text) in texts.iter().enumerate() {
            if i > 0 {
                out.push_str(self.semicolon());
                out.push(' ');
            }
            out.push_str(text.as_ref());
        }
        out
    }

    /// A slug in words where they are shipped, else as it stands without its hyphens.
    pub fn slug(&self, family: &str, slug: &str) -> String {
        words::find_word(self.lang, &format!("{family}-{slug}"), None)
            .map_or_else(|| slug.replace('-', " "), Cow::into_owned)
    }

    pub fn evidence(&self, evidence: Evidence) -> Cow<'static, str> {
        self.t(match evidence {
            Evidence::Contradicted => "evidence-contradicted",
            Evidence::NotEvidenced => "evidence-not-evidenced",
            Evidence::Uncertain => "evidence-uncertain",
        })
    }

    pub fn verdict(&self, outcome: Outcome) -> Badge {
        let code = outcome.as_str();
        Badge::new(
            match code {
                "COVERED" => "yes",
                "COVERED-WITH-RESERVATIONS" => "partly",
                "NOT-COVERED" => "no",
                _ => "open",
            },
            self.t(&format!("verdict-{code}")),
        )
    }

    /// A text with `code` in it, as HTML.
    pub fn marked(&self, text: &str) -> String {
        let mut html = String::with_capacity(text.len() + 26);
        for (i, part) in text.split('`').enumerate() {
            if i > 0 {
                html.push_str(if i % 2 == 1 { "<code>" } else { "</code>" });
            }
            for c in part.chars() {
                match c {
                    '&' => html.push_str("&amp;"),
                    '<' => html.push_str("&lt;"),
                    '>' => html.push_str("&gt;"),
                    _ => html.push(c),
                }
            }
        }
        if text.matches('`').count() % 2 == 1 {
            html.push_str("</code>");
        }
        html
    }

    /// What was wrong, as a sentence of a page: details start lower case for who reads JSON.
    pub fn sentence(&self, text: &str) -> String {
        let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
        format!("{}{end}", self.capital(text))
    }

    /// A text that begins a line.
    pub fn capital(&self, text: &str) -> String {
        let mut rest = text.chars();
        let first = rest.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
        format!("{first}{}", rest.as_str())
    }

    /// The four verdicts and what each means, in a sentence.
    pub fn verdicts(&self) -> Vec<(Badge, Cow<'static, str>)> {
        let told = |outcome: Outcome| {
            (self.verdict(outcome), self.t(&format!("me-meaning-{}", outcome.as_str())))
        };
        [
            Outcome::Covered,
            Outcome::CoveredWithReservations,
            Outcome::NotCovered,
            Outcome::Undetermined,
        ]
        .map(told)
        .into()
    }

    /// A moment for people, to the minute: `10 mars 2005 à 9 h 05 UTC`.
    pub fn moment(&self, time: Timestamp) -> String {
        let minutes = time.unix_seconds().rem_euclid(86_400) / 60;
        let (hour, minute) = (minutes / 60, minutes % 60);
        let clock = match self.lang {
            Lang::Fr => format!("{hour}\u{a0}h\u{a0}{minute:02}"),
            Lang::En => format!("{hour:02}:{minute:02}"),
        };
        let day = words::day(self.lang, time.date());
        self.with("moment", &[("day", day.into()), ("clock", clock.into())]).into_owned()
    }

    /// Writes a page.
    pub fn render(&self, page: &impl Template) -> Response {
        let html = page.render().expect("writing a page to memory does not fail");
        let mut response =
            ([(header::CONTENT_LANGUAGE, self.lang.as_str())], Html(html)).into_response();
        if self.names_language {
            let cookie = format!(
                "lang={}; Path=/; Max-Age=31536000; SameSite=Lax; HttpOnly",
                self.lang.as_str()
            );
            let cookie = HeaderValue::from_str(&cookie).expect("a cookie of ASCII");
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

/// A word that weighs: its colour says what its text says.
#[derive(Debug, Clone)]
pub struct Badge {
    /// `yes`, `partly`, `no`, `open`.
    pub class: &'static str,
    pub text: Cow<'static, str>,
}

impl Badge {
    pub fn new(class: &'static str, text: impl Into<Cow<'static, str>>) -> Self {
        Self { class, text: text.into() }
    }
}
