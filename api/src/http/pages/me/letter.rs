//! A request for access (GDPR, article 15) drafted for one line: as text, and as a page to
//! print. In French, which the controller reads.
//!
//! It states what the entry says and asks for what the article gives; who signs is left
//! blank, since the register keeps no identity. Source of the second question: CJEU, 22 June
//! 2023, C-579/21 (dates and purposes of consultations).

use askama::Template;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::super::super::Shared;
use super::super::{Frame, name_of, processing_title};
use super::access::{Own, discloser};
use super::labels;
use crate::words::{self, Lang};

#[derive(Template)]
#[template(path = "me/letter.txt")]
struct Letter {
    controller: Option<String>,
    today: String,
    origin: String,
    position: u64,
    recorded: String,
    /// By name, or about the workplace.
    site: Option<String>,
    refused: bool,
    days: String,
    recipient: String,
    role: String,
    discloser: Option<String>,
    purpose: String,
    categories: String,
    basis: String,
    processing: (String, String),
}

#[derive(Template)]
#[template(path = "me/letter.html")]
struct Page {
    frame: Frame,
    position: u64,
    text: String,
    query: String,
}

/// The letter about an access, dated today.
fn draft(app: &Shared, own: &Own, frame: &Frame) -> String {
    // Whatever the reader's language: labels and dates are those of the letter.
    let frame = Frame { lang: Lang::Fr, ..frame.clone() };
    let recorded = own.recorded();
    let access = recorded.access;
    let letter = app.ledger.with_register(|register| {
        let processing = register.processing(&access.processing);
        let controller = processing.and_then(|p| p.controller.as_deref());
        Letter {
            controller: controller.map(|id| name_of(register, id)),
            today: words::day(Lang::Fr, app.clock.now().date()),
            origin: app.ledger.origin().to_owned(),
            position: recorded.position,
            recorded: words::day(Lang::Fr, recorded.time.date()),
            site: own.site().map(str::to_owned),
            refused: own.is_refused(),
            days: frame.days(&recorded.filed.at.interval),
            recipient: name_of(register, &access.recipient.party),
            role: frame.label(access.recipient.role.as_str()),
            discloser: None,
            purpose: frame.label(access.purpose.as_str()),
            categories: labels(&frame, access.categories.iter().map(|c| c.as_str())),
            basis: labels(&frame, access.basis.codes.iter().map(|b| b.as_str())),
            processing: (access.processing.clone(), processing_title(register, &access.processing)),
        }
    });
    Letter { discloser: discloser(app, &recorded), ..letter }
        .render()
        .expect("writing a letter to memory does not fail")
}

pub async fn letter(State(app): State<Shared>, own: Own, frame: Frame) -> Response {
    let page = Page {
        position: own.recorded().position,
        text: draft(&app, &own, &frame),
        query: own.query(),
        frame: frame.clone(),
    };
    frame.render(&page)
}

pub async fn letter_text(State(app): State<Shared>, own: Own, frame: Frame) -> Response {
    let name =
        format!("attachment; filename=\"demande-article-15-{}.txt\"", own.recorded().position);
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_LANGUAGE, "fr".to_owned()),
        (header::CONTENT_DISPOSITION, name),
    ];
    (headers, draft(&app, &own, &frame)).into_response()
}
