//! Problems as pages: what went wrong on a page, and one page for each code.

use std::borrow::Cow;

use askama::Template;
use axum::extract::Path;
use axum::response::Response;

use super::super::problem::{Problem, codes};
use super::Frame;
use crate::words::problem_words;

#[derive(Template)]
#[template(path = "problems.html")]
struct Problems {
    frame: Frame,
    items: Vec<ProblemView>,
}

struct ProblemView {
    code: &'static str,
    title: Cow<'static, str>,
    advice: Cow<'static, str>,
}

/// A page that could not be shown as asked.
#[derive(Template)]
#[template(path = "failure.html")]
struct Failure {
    frame: Frame,
    problem: ProblemView,
    detail: String,
}

pub async fn all(frame: Frame) -> Response {
    let items = codes().map(|code| view(&frame, code)).collect();
    frame.clone().render(&Problems { frame, items })
}

pub async fn one(frame: Frame, Path(code): Path<String>) -> Result<Response, Problem> {
    let known = codes()
        .find(|c| *c == code)
        .ok_or_else(|| Problem::not_found(&format!("/problems/{code}")))?;
    let items = vec![view(&frame, known)];
    Ok(frame.clone().render(&Problems { frame, items }))
}

fn view(frame: &Frame, code: &'static str) -> ProblemView {
    let (title, advice) = problem_words(frame.lang, code);
    ProblemView { code, title, advice }
}

/// The page of a problem; its status is the caller's to set.
pub fn failure(frame: Frame, problem: &Problem) -> Response {
    let page = Failure {
        problem: view(&frame, problem.code),
        detail: frame.lang.of(&problem.detail).into_owned(),
        frame: frame.clone(),
    };
    frame.render(&page)
}
