//! `/controller/batch`: many facts of one kind from a CSV, told line by line before anything
//! is filed, then signed as one filing.
//!
//! `CSV → a body a line, by the table of bodies → each line tried and judged alone → report →
//! one draft`. The draft waits in this process's memory for its signature, one a session and
//! for an hour: it may be larger than a page. Nothing of it is recorded or logged. A batch is
//! all or nothing, so a draft exists only when every line can be filed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use askama::Template;
use axum::extract::{Multipart, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use greffe_domain::filing::MAX_ITEMS;
use greffe_domain::kind::Kind;
use greffe_domain::refusal::{FieldError, Refusal, RefusalCode as C};
use greffe_domain::schema::{Field, Shape};
use greffe_domain::verdict::Outcome;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;

use super::super::super::problem::Problem;
use super::super::super::{Params, Shared, judgements};
use super::super::{Badge, Frame};
use super::form::{self, Typed};
use super::{
    Controller, Signing, VerdictView, attachment, checked_parts, envelope, errors_in, errors_of,
    is_judged, kind_name, part, question, see_other,
};
use crate::sign::{Draft, tried};
use crate::words::Lang;

/// Most bytes of a file; a filing holds no more.
pub const MAX_CSV_BYTES: usize = 2 * 1024 * 1024;
/// Lines of the report on one page.
const SHOWN: usize = 100;
/// Most bytes of their rows: a line may have a dozen findings.
const SHOWN_BYTES: usize = 60_000;
/// Drafts that wait for a signature, in all.
const MAX_WAITING: usize = 64;
/// How long one waits. Seconds.
const WAITS_S: i64 = 60 * 60;
/// Between the values of one cell.
const WITHIN_CELL: char = '|';

/// Kinds that a CSV can hold: their bodies have no list of objects that must be given.
const KINDS: &[Kind] =
    &[Kind::AccessReport, Kind::AccessRequest, Kind::ExperimentEnrol, Kind::UseRecord];

/// Whether a kind can be filed by CSV.
pub fn has_csv(kind: Kind) -> bool {
    KINDS.contains(&kind)
}

/// A value of the example row, by the path of its column.
const EXAMPLES: &[(&str, &str)] = &[
    ("processing", "suivi-des-arrets"),
    ("experiment", "essai-2026"),
    ("purpose", "PUR-BENEFITS"),
    ("categories", "ABS-DURATION|ABS-FACT"),
    ("recipient.party", "employeur-exemple"),
    ("recipient.role", "R-EMPLOYER-HR"),
    ("recipient.site.id", "atelier-nord"),
    ("recipient.agent", "agent-042"),
    ("discloser", "caisse-exemple"),
    ("identifiability", "NOMINATIVE"),
    ("period", "2026-01/2026-03"),
    ("basis.codes", "A6-1-E"),
    ("subjects", "qplbtP18J-AGAJoipzQcAlmpyOwBpAUhpZxu4lzjCsE"),
    ("channel", "portal"),
    ("site.id", "atelier-nord"),
    ("site.name", "Atelier nord"),
    ("site.commune", "Grenoble"),
    ("site.headcount", "240"),
    ("site.headcount_on", "2026-01-01"),
    ("consequence", "warning"),
];

/// A column: the path of one scalar, or of one list of scalars, of a body.
struct Column {
    path: String,
    shape: &'static Shape,
    required: bool,
    concealed: bool,
}

/// Columns of a kind. A list of objects has none: it is filed by form or program.
fn columns(kind: Kind) -> Vec<Column> {
    fn below(fields: &'static [Field], under: &str, required: bool, out: &mut Vec<Column>) {
        for field in fields {
            let path = if under.is_empty() {
                field.name.to_owned()
            } else {
                format!("{under}.{}", field.name)
            };
            let required = required && field.required;
            match &field.shape {
                Shape::Object(inner) => below(inner, &path, required, out),
                Shape::Many(Shape::Object(_)) => {}
                shape => {
                    let concealed = field.concealed || matches!(shape, Shape::ManyConcealed(_));
                    out.push(Column { path, shape, required, concealed });
                }
            }
        }
    }
    let mut out = Vec::new();
    below(kind.fields(), "", true, &mut out);
    out
}

/// The heading of a column: the labels of the way to it, in French whoever reads.
fn heading(kind: Kind, path: &str) -> String {
    let frame = Frame::new(Lang::Fr, &"/controller".parse().expect("a path"));
    let mut so_far = String::new();
    let mut labels = Vec::new();
    for step in path.split('.') {
        if !so_far.is_empty() {
            so_far.push('.');
        }
        so_far.push_str(step);
        labels.push(form::label(&frame, kind, &so_far));
    }
    labels.join(" > ")
}

/// A heading without what people change in it: case, accents, spaces.
fn plain(text: &str) -> String {
    text.nfkd().filter(|c| c.is_alphanumeric() || *c == '>').flat_map(char::to_lowercase).collect()
}

fn kind_of(text: &str) -> Option<Kind> {
    Kind::parse(text).filter(|kind| has_csv(*kind))
}

/// What is wrong with a file as a whole.
fn unusable(fr: impl Into<String>, en: impl Into<String>) -> Refusal {
    Refusal::new(C::Malformed, fr, en)
}

/// One line of a file: its number there, from 1, and what it holds.
struct Read {
    line: u64,
    /// `None`: a value that belongs to no column.
    typed: Option<Typed>,
}

/// UTF-8 with or without its mark, or what French spreadsheets write otherwise.
fn text_of(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0,
    }
}

/// The separator of the headings: semicolon as French spreadsheets write, comma, or tab.
fn separator(headings: &str) -> u8 {
    let most = [b';', b',', b'\t'].into_iter().max_by_key(|separator| {
        let n = headings.bytes().filter(|byte| byte == separator).count();
        // Of equals the last is taken: prefer the semicolon.
        (n, *separator == b';')
    });
    most.unwrap_or(b';')
}

/// Reads a CSV of that kind. Errors: what makes the whole file unusable; what is wrong with a
/// line is found when the line is tried.
fn read(kind: Kind, bytes: &[u8]) -> Result<Vec<Read>, Refusal> {
    let text = text_of(bytes);
    let first = text.lines().next().unwrap_or_default();
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator(first))
        .flexible(true)
        .has_headers(true)
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let unreadable = |e: csv::Error| {
        let line = e.position().map_or(1, csv::Position::line);
        unusable(
            format!("ligne {line} : le fichier n’est pas un CSV lisible ({e})"),
            format!("line {line}: the file is no readable CSV ({e})"),
        )
    };
    let known = columns(kind);
    let headings = reader.headers().map_err(unreadable)?.clone();
    let mut named: Vec<&Column> = Vec::new();
    for (i, name) in headings.iter().enumerate() {
        let of = |c: &&Column| plain(&heading(kind, &c.path)) == plain(name) || c.path == name;
        let column = known.iter().find(of).ok_or_else(|| {
            unusable(
                format!("colonne {} : « {name} » n’est pas un intitulé du modèle", i + 1),
                format!("column {}: `{name}` is not a heading of the template", i + 1),
            )
        })?;
        if named.iter().any(|c| c.path == column.path) {
            return Err(unusable(
                format!("la colonne « {name} » figure deux fois"),
                format!("the column `{name}` appears twice"),
            ));
        }
        named.push(column);
    }
    let missing: Vec<String> = known
        .iter()
        .filter(|c| c.required && named.iter().all(|n| n.path != c.path))
        .map(|c| heading(kind, &c.path))
        .collect();
    if !missing.is_empty() {
        return Err(unusable(
            format!("il manque des colonnes obligatoires : {}", missing.join(" ; ")),
            format!("required columns are missing: {}", missing.join("; ")),
        ));
    }
    let mut lines = Vec::new();
    // The reader's own count of lines stops before the rest of a CRLF and before blank lines.
    let (mut counted, mut line) = (0, 1);
    for record in reader.records() {
        let record = record.map_err(unreadable)?;
        let from = record.position().map_or(0, csv::Position::byte);
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(text.len());
        let blank = text.as_bytes()[from..].iter().take_while(|b| b"\r\n".contains(b)).count();
        let starts = from + blank;
        let breaks = text.as_bytes()[counted..starts].iter().filter(|b| **b == b'\n').count();
        line += u64::try_from(breaks).unwrap_or(u64::MAX);
        counted = starts;
        if record.iter().all(str::is_empty) {
            continue;
        }
        if lines.len() == MAX_ITEMS {
            return Err(Refusal::new(
                C::BatchTooLong,
                "plus de 1 000 lignes : une signature en porte 1 000 au plus ; scinder le fichier",
                "over 1,000 lines: one signature covers at most 1,000; split the file",
            ));
        }
        let over = record.iter().skip(named.len()).any(|cell| !cell.is_empty());
        let typed = (!over).then(|| {
            let mut typed = Typed::default();
            for (column, cell) in named.iter().zip(record.iter()).filter(|(_, c)| !c.is_empty()) {
                put(&mut typed, column, cell);
            }
            typed
        });
        lines.push(Read { line, typed });
    }
    if lines.is_empty() {
        return Err(unusable(
            "le fichier n’a aucune ligne sous ses intitulés",
            "the file has no line below its headings",
        ));
    }
    Ok(lines)
}

/// Puts a cell where a form would have it.
fn put(typed: &mut Typed, column: &Column, cell: &str) {
    match column.shape {
        Shape::Many(Shape::Code(_) | Shape::OneOf(_) | Shape::Ref(_)) => {
            for (i, value) in cell.split(WITHIN_CELL).map(str::trim).enumerate() {
                if !value.is_empty() {
                    typed.set(&format!("{}.{i}", column.path), value);
                }
            }
        }
        Shape::Many(_) | Shape::ManyConcealed(_) => {
            typed.set(&column.path, &cell.replace(WITHIN_CELL, "\n"));
        }
        _ => typed.set(&column.path, cell),
    }
}

/// The template of a kind: headings in French and one example, as a French spreadsheet opens
/// it.
fn template_of(kind: Kind) -> Vec<u8> {
    let mut out = b"\xef\xbb\xbf".to_vec();
    {
        let mut writer = csv::WriterBuilder::new()
            .delimiter(b';')
            .terminator(csv::Terminator::CRLF)
            .from_writer(&mut out);
        let columns = columns(kind);
        let headings: Vec<String> = columns.iter().map(|c| heading(kind, &c.path)).collect();
        let example = columns.iter().map(|c| {
            EXAMPLES.iter().find(|(path, _)| *path == c.path).map_or("", |(_, value)| value)
        });
        let written = writer.write_record(&headings).and_then(|()| writer.write_record(example));
        written.and_then(|()| Ok(writer.flush()?)).expect("a CSV is written to memory");
    }
    out
}

/// What is told of one line before anything is filed.
#[derive(Clone)]
struct Line {
    number: u64,
    outcome: Option<Outcome>,
    /// Codes of the findings, each with its sentence.
    findings: Vec<(String, String)>,
    /// Column and what to do.
    errors: Vec<(String, String)>,
}

impl Line {
    /// About how many bytes of a page it takes.
    fn weight(&self) -> usize {
        let told = self.findings.iter().chain(&self.errors);
        told.fold(160, |sum, (name, words)| sum + name.len() + words.len() + 50)
    }
}

/// A report, and the draft when every line can be filed.
pub struct Waiting {
    party: String,
    kind: Kind,
    lines: Vec<Line>,
    /// About the batch as a whole.
    errors: Vec<String>,
    draft: Option<Value>,
    since: i64,
}

/// Batches that wait for their signature, by session.
#[derive(Clone, Default)]
pub struct Drafts(Arc<Mutex<HashMap<String, Arc<Waiting>>>>);

impl Drafts {
    fn held(&self) -> MutexGuard<'_, HashMap<String, Arc<Waiting>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps one in place of the session's last; the oldest of all goes when there are too
    /// many.
    fn keep(&self, session: &str, waiting: Waiting) {
        let mut held = self.held();
        held.retain(|_, other| other.since > waiting.since - WAITS_S);
        if held.len() >= MAX_WAITING && !held.contains_key(session) {
            let oldest = held.iter().min_by_key(|(_, w)| w.since).map(|(key, _)| key.clone());
            oldest.and_then(|key| held.remove(&key));
        }
        held.insert(session.to_owned(), Arc::new(waiting));
    }

    fn of(&self, who: &Controller, now: i64) -> Option<Arc<Waiting>> {
        let held = self.held();
        let waiting = held.get(&who.session.csrf)?;
        (waiting.since > now - WAITS_S && waiting.party == who.party()).then(|| Arc::clone(waiting))
    }
}

/// A kind's columns, as the page documents them.
struct ColumnView {
    heading: String,
    required: bool,
    concealed: bool,
    list: bool,
}

#[derive(Template)]
#[template(path = "controller/batch.html")]
struct Page {
    frame: Frame,
    csrf: String,
    kinds: Vec<(&'static str, String, Vec<ColumnView>)>,
    kind: String,
    at: String,
    reference: String,
    errors: Vec<String>,
}

struct LineView {
    number: u64,
    badge: Badge,
    findings: Vec<(String, String)>,
    errors: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "controller/report.html")]
struct Report {
    frame: Frame,
    title: String,
    kind: &'static str,
    lines: Vec<LineView>,
    total: usize,
    wrong: usize,
    counts: Vec<(Badge, String)>,
    errors: Vec<String>,
    envelope: Vec<form::Told>,
    ready: bool,
    judged: bool,
    next: Option<usize>,
    from: usize,
    signing: Signing,
}

fn page_of(frame: Frame, who: &Controller, kind: &str, typed: &Typed, errors: Vec<String>) -> Page {
    let text = |name: &str| typed.get(name).unwrap_or_default().to_owned();
    let kinds = KINDS.iter().map(|kind| {
        let view = |c: Column| ColumnView {
            heading: heading(*kind, &c.path),
            required: c.required,
            concealed: c.concealed,
            list: matches!(c.shape, Shape::Many(_) | Shape::ManyConcealed(_)),
        };
        let columns = columns(*kind).into_iter().map(view).collect();
        (kind.as_str(), kind_name(&frame, *kind).into_owned(), columns)
    });
    Page {
        csrf: who.session.csrf.clone(),
        kinds: kinds.collect(),
        kind: kind.to_owned(),
        at: text("filing.at"),
        reference: text("filing.reference"),
        errors,
        frame,
    }
}

pub async fn page(frame: Frame, who: Controller, params: Params) -> Result<Response, Problem> {
    params.only(&["kind"])?;
    let kind = params.text("kind").unwrap_or(Kind::AccessReport.as_str()).to_owned();
    let page = page_of(frame.clone(), &who, &kind, &Typed::default(), Vec::new());
    Ok(frame.render(&page))
}

pub async fn template(Path(file): Path<String>, _: Controller) -> Result<Response, Problem> {
    let kind = file.strip_suffix(".csv").and_then(kind_of);
    let kind = kind.ok_or_else(|| Problem::not_found(&format!("/controller/templates/{file}")))?;
    Ok(attachment(&format!("{kind}.csv"), "text/csv; charset=utf-8", template_of(kind)))
}

pub async fn receive(
    State(app): State<Shared>,
    frame: Frame,
    who: Controller,
    form: Multipart,
) -> Result<Response, Problem> {
    let parts = checked_parts(&who, form).await?;
    let text = |name: &str| {
        part(&parts, name).map_or(String::new(), |b| String::from_utf8_lossy(b).trim().to_owned())
    };
    let mut common = Typed::default();
    for name in ["filing.at", "filing.evidence", "filing.reference"] {
        let value = text(name);
        if !value.is_empty() {
            common.set(name, &value);
        }
    }
    let chosen = text("kind");
    let file =
        part(&parts, "csv").ok_or_else(|| unusable("choisir un fichier CSV", "choose a CSV file"));
    let kind = kind_of(&chosen).ok_or_else(|| {
        unusable("choisir ce que le fichier contient", "choose what the file holds")
    });
    let read = match (kind, file) {
        (Ok(kind), Ok(file)) => read(kind, file).map(|lines| (kind, lines)),
        (Err(refusal), _) | (_, Err(refusal)) => Err(refusal),
    };
    let (kind, lines) = match read {
        Ok(read) => read,
        Err(refusal) => {
            let errors = vec![frame.lang.of(&refusal.detail).into_owned()];
            let page = page_of(frame.clone(), &who, &chosen, &common, errors);
            let mut response = frame.render(&page);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        }
    };
    if is_judged(kind) {
        // As many dry runs as it has lines, or a whole minute's.
        let n = u32::try_from(lines.len()).unwrap_or(u32::MAX);
        judgements::take(&app, &who.reader, n.min(app.limits.judgements_per_minute))?;
    }
    let waiting = try_lines(&app, &frame, &who, kind, &common, lines).await?;
    app.drafts.keep(&who.session.csrf, waiting);
    Ok(see_other("/controller/batch/report"))
}

/// Tries and judges each line, alone, and all of them as one filing.
async fn try_lines(
    app: &Shared,
    frame: &Frame,
    who: &Controller,
    kind: Kind,
    common: &Typed,
    lines: Vec<Read>,
) -> Result<Waiting, Problem> {
    let origin = app.ledger.origin();
    let mut told = Vec::with_capacity(lines.len());
    let mut bodies = Vec::with_capacity(lines.len());
    let mut whole = Vec::new();
    for Read { line, typed } in lines {
        let mut view =
            Line { number: line, outcome: None, findings: Vec::new(), errors: Vec::new() };
        let Some(typed) = typed else {
            let words = frame.t("batch-too-many-cells").into_owned();
            view.errors.push((String::new(), words));
            told.push(view);
            continue;
        };
        let mut draft = form::draft(kind, who.party(), common);
        draft["body"] = form::body(kind, &typed);
        let read = Draft::from_value(draft.clone()).and_then(|d| tried(&d, origin));
        let mut errors = match read {
            Ok(_) => Vec::new(),
            Err(refusal) => errors_of(&refusal),
        };
        if errors.is_empty() && is_judged(kind) {
            let question = question(&draft);
            match judgements::answer(app, &who.reader, frame.lang, &question).await {
                Ok(answer) => {
                    let outcome = serde_json::from_value(answer["verdict"].clone());
                    view.outcome = Some(outcome.expect("an answer to a dry run has a verdict"));
                    let judged = VerdictView::answered(frame, &answer);
                    view.findings =
                        judged.findings.into_iter().map(|f| (f.code, f.reason)).collect();
                }
                Err(problem) if problem.status.is_client_error() => {
                    errors = errors_in(problem.errors, C::Malformed, problem.detail);
                }
                Err(problem) => return Err(problem),
            }
            // A long file is judged between other requests.
            tokio::task::yield_now().await;
        }
        for error in errors {
            match error.pointer.strip_prefix("/body") {
                Some(path) => view.errors.push(column_error(frame, kind, path, &error)),
                // Of what is beside the lines, and so the same on each.
                None => whole.push(frame.lang.of(&error.detail).into_owned()),
            }
        }
        bodies.push(draft["body"].take());
        told.push(view);
    }
    whole.sort();
    whole.dedup();
    let mut draft = None;
    if whole.is_empty() && told.iter().all(|line| line.errors.is_empty()) {
        let mut batch = form::draft(kind, who.party(), common);
        batch["body"] = bodies.into();
        match Draft::from_value(batch.clone()).and_then(|d| tried(&d, origin)) {
            Ok(_) => draft = Some(batch),
            Err(refusal) => whole.push(frame.lang.of(&refusal.detail).into_owned()),
        }
    }
    let since = app.clock.now().unix_seconds();
    let party = who.party().to_owned();
    Ok(Waiting { party, kind, lines: told, errors: whole, draft, since })
}

fn column_error(frame: &Frame, kind: Kind, path: &str, error: &FieldError) -> (String, String) {
    // An element's error is its cell's.
    let path = path.trim_start_matches('/').replace('/', ".");
    let column = columns(kind)
        .into_iter()
        .find(|c| path == c.path || path.starts_with(&format!("{}.", c.path)));
    let column = column.map_or_else(String::new, |c| heading(kind, &c.path));
    (column, frame.lang.of(&error.detail).into_owned())
}

pub async fn report(
    State(app): State<Shared>,
    headers: HeaderMap,
    frame: Frame,
    who: Controller,
    params: Params,
) -> Result<Response, Problem> {
    params.only(&["from"])?;
    let Some(waiting) = app.drafts.of(&who, app.clock.now().unix_seconds()) else {
        return Ok(see_other("/controller/batch"));
    };
    let from = usize::try_from(params.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let total = waiting.lines.len();
    // What is wrong comes first: it is what is left to do.
    let mut lines: Vec<&Line> = waiting.lines.iter().collect();
    lines.sort_by_key(|line| (line.errors.is_empty(), line.number));
    let mut room = SHOWN_BYTES;
    let fits = |line: &&Line| {
        let weight = line.weight();
        let fits = weight <= room || room == SHOWN_BYTES;
        room = room.saturating_sub(weight);
        fits
    };
    let shown = lines.into_iter().skip(from).take(SHOWN).take_while(fits).map(|line| LineView {
        number: line.number,
        badge: match (line.outcome, line.errors.is_empty()) {
            (_, false) => Badge::new("no", frame.t("batch-line-wrong")),
            (Some(outcome), true) => frame.verdict(outcome),
            (None, true) => Badge::new("yes", frame.t("batch-line-right")),
        },
        findings: line.findings.clone(),
        errors: line.errors.clone(),
    });
    let shown: Vec<LineView> = shown.collect();
    let until = from.saturating_add(shown.len());
    let mut counts: Vec<(Outcome, usize)> = Vec::new();
    for outcome in waiting.lines.iter().filter_map(|line| line.outcome) {
        match counts.iter_mut().find(|(o, _)| *o == outcome) {
            Some((_, n)) => *n += 1,
            None => counts.push((outcome, 1)),
        }
    }
    let page = Report {
        title: kind_name(&frame, waiting.kind).into_owned(),
        kind: waiting.kind.as_str(),
        lines: shown,
        total,
        wrong: waiting.lines.iter().filter(|line| !line.errors.is_empty()).count(),
        counts: counts.into_iter().map(|(o, n)| (frame.verdict(o), n.to_string())).collect(),
        errors: waiting.errors.clone(),
        envelope: waiting.draft.as_ref().map(|d| envelope(&frame, d)).unwrap_or_default(),
        ready: waiting.draft.is_some(),
        judged: is_judged(waiting.kind),
        next: (until < total).then_some(until),
        from,
        signing: Signing::new(
            &app,
            &who,
            waiting.kind,
            &headers,
            Some("/controller/batch/filing.json"),
        ),
        frame: frame.clone(),
    };
    Ok(frame.render(&page))
}

/// The draft that waits, to be signed: in the browser, or elsewhere.
pub async fn filing(State(app): State<Shared>, who: Controller) -> Result<Response, Problem> {
    let nothing = || Problem::not_found("/controller/batch/filing.json");
    let waiting = app.drafts.of(&who, app.clock.now().unix_seconds()).ok_or_else(nothing)?;
    let draft = waiting.draft.as_ref().ok_or_else(nothing)?;
    let bytes = serde_json::to_vec(draft).expect("JSON is written to memory");
    Ok(attachment("filing.json", "application/json", bytes).into_response())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(line: &Read) -> Value {
        form::body(Kind::AccessReport, line.typed.as_ref().expect("a line of the template"))
    }

    #[test]
    fn the_template_reads_back_as_one_whole_access() {
        let lines = read(Kind::AccessReport, &template_of(Kind::AccessReport)).expect("a CSV");
        assert_eq!(lines.len(), 1);
        let draft = json!({
            "iss": "caisse-exemple", "kind": "access.report", "evidence": "act",
            "body": body(&lines[0]),
        });
        let draft = Draft::from_value(draft).expect("a draft");
        tried(&draft, "a.b").expect("the example can be filed as far as its shape goes");
        assert_eq!(draft.body["categories"], json!(["ABS-DURATION", "ABS-FACT"]));
    }

    #[test]
    fn separators_marks_line_ends_and_encodings_of_spreadsheets_are_read_alike() {
        let rows = "Traitement;Finalité;Catégories de données;Destinataire > Organisme;\
                    Destinataire > Rôle;Base invoquée > Codes;Canal\n\
                    suivi;PUR-BENEFITS;ABS-FACT;e;R-EMPLOYER-HR;A6-1-E;api\n";
        let same = [
            rows.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", rows.replace('\n', "\r\n").as_bytes()].concat(),
            rows.replace(';', ",").into_bytes(),
            rows.replace(';', "\t").into_bytes(),
            encoding_rs::WINDOWS_1252.encode(rows).0.into_owned(),
            format!("{rows};;;;;;\n\n").into_bytes(),
        ];
        for file in same {
            let lines = read(Kind::AccessReport, &file).unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(lines.len(), 1);
            assert_eq!(lines[0].line, 2);
            assert_eq!(
                body(&lines[0])["recipient"],
                json!({"party": "e", "role": "R-EMPLOYER-HR"})
            );
        }
    }

    #[test]
    fn a_file_that_cannot_be_used_says_what_to_do() {
        let refused = |text: &str| {
            read(Kind::AccessReport, text.as_bytes()).map(|_| ()).expect_err("unusable").detail.en
        };
        assert!(refused("").contains("missing"));
        assert!(refused("Traitement;Couleur\n").contains("`Couleur`"));
        assert!(refused("Traitement;processing\n").contains("twice"));
        assert!(refused("Traitement\nsuivi\n").contains("required columns"));
    }

    #[test]
    fn a_line_past_one_signature_is_refused() {
        let template = template_of(Kind::AccessReport);
        let text = String::from_utf8(template).expect("UTF-8");
        let (headings, example) = text.split_once("\r\n").expect("two lines");
        let file = |n: usize| format!("{headings}\r\n{}", example.repeat(n));
        let read = |n| read(Kind::AccessReport, file(n).as_bytes()).map(|lines| lines.len());
        assert_eq!(read(MAX_ITEMS), Ok(MAX_ITEMS));
        assert_eq!(read(MAX_ITEMS + 1).expect_err("too long").code, C::BatchTooLong);
    }

    #[test]
    fn headings_are_told_apart() {
        for kind in KINDS {
            let mut seen = std::collections::HashSet::new();
            for column in columns(*kind) {
                let heading = plain(&heading(*kind, &column.path));
                assert!(seen.insert(heading.clone()), "{kind}: {heading} twice");
            }
        }
    }
}
