//! A form for any kind of filing, from the one table of bodies (`greffe_domain::schema`).
//!
//! `schema → controls → what was typed → body → the same schema checks it`. Which fields there
//! are, their shape, their code list, whether they are required and whether they are concealed
//! is said in that table alone; words come from `locales/` by the field's name. What was typed
//! is kept as it was typed, right or wrong. A control's name is the path of its value in the
//! body, with dots: `purposes.0.code`. Blank means left out.

use std::borrow::Cow;
use std::collections::BTreeMap;

use greffe_domain::kind::{Kind, StreamType};
use greffe_domain::refusal::FieldError;
use greffe_domain::register::Register;
use greffe_domain::schema::{Field, List, Shape};
use greffe_domain::vocabulary::CODELISTS;
use serde_json::{Map, Value};

use super::super::Frame;
use super::super::field::amount;
use crate::words::find_word;

/// Kinds a controller files by form, in groups, as offered.
pub const OFFERED: &[(&str, &[Kind])] = &[
    (
        "processing",
        &[
            Kind::ProcessingDeclare,
            Kind::ProcessingAmend,
            Kind::ProcessingDeploy,
            Kind::ProcessingWithdraw,
            Kind::AssessmentFile,
        ],
    ),
    (
        "formality",
        &[
            Kind::FormalityFile,
            Kind::InformationRecord,
            Kind::WorksCouncilOpine,
            Kind::ConsultationRecord,
        ],
    ),
    (
        "experiment",
        &[
            Kind::ExperimentLaunch,
            Kind::ExperimentEnrol,
            Kind::ExperimentPlanExpansion,
            Kind::ExperimentExpand,
            Kind::ExperimentEvaluate,
            Kind::ExperimentEnd,
            Kind::ConditionSet,
            Kind::ConditionMeet,
            Kind::MilestoneRecord,
            Kind::GeneraliseDecide,
        ],
    ),
    (
        "access",
        &[
            Kind::AccessRequest,
            Kind::AccessReport,
            Kind::UseRecord,
            Kind::AccessAnswer,
            Kind::AgreementRecord,
            Kind::ObjectionRecord,
        ],
    ),
];

/// A kind that has a form.
pub fn offered(text: &str) -> Option<Kind> {
    let kind = Kind::parse(text)?;
    OFFERED.iter().any(|(_, kinds)| kinds.contains(&kind)).then_some(kind)
}

/// Rows of one list in a form; longer ones are filed as a batch or by program.
const MAX_ROWS: usize = 50;
/// Ids offered as one types.
const MAX_OFFERED: usize = 200;
/// Lists that may be empty, by path: there is none of it, and saying so is an answer.
const MAY_BE_EMPTY: &[&str] = &["/recipients", "/subjects", "/cohort/cells", "/cohort/units"];

/// What was typed, by the name of its control.
#[derive(Debug, Clone, Default)]
pub struct Typed(BTreeMap<String, String>);

impl Typed {
    /// Of a form's pairs, those that hold something.
    pub fn of(pairs: Vec<(String, String)>) -> Self {
        Self(pairs.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    pub fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&String, &String)> {
        self.0.iter()
    }

    fn is_under(&self, path: &str) -> bool {
        let prefix = format!("{path}.");
        self.0.keys().any(|name| name == path || name.starts_with(&prefix))
    }

    /// Rows of a list: one more than the highest that holds something.
    fn rows(&self, path: &str) -> usize {
        let prefix = format!("{path}.");
        let index =
            |name: &String| name.strip_prefix(&prefix)?.split('.').next()?.parse::<usize>().ok();
        let last = self.0.keys().filter_map(index).filter(|i| *i < MAX_ROWS).max();
        last.map_or(0, |last| last + 1)
    }
}

/// One piece of a form, in the order it is written.
pub enum Node {
    Open {
        id: String,
        legend: String,
        help: Option<String>,
        errors: Vec<String>,
    },
    Close,
    Control(Control),
    /// A button that gives the list at `path` one more row.
    Add {
        path: String,
        label: String,
    },
}

pub struct Control {
    pub name: String,
    pub id: String,
    pub label: String,
    pub help: Option<String>,
    pub required: bool,
    /// Never required, whatever is around it.
    pub optional: bool,
    /// Signed as a digest only.
    pub concealed: bool,
    pub value: String,
    pub errors: Vec<String>,
    pub widget: Widget,
}

pub enum Widget {
    Line {
        /// Id of the `datalist` offered.
        list: Option<String>,
        numeric: bool,
    },
    /// One value a line, or a long text.
    Area,
    Choice(Vec<(String, String)>),
}

impl Control {
    /// Ids of what describes it, for `aria-describedby`.
    pub fn described_by(&self) -> String {
        let help = self.help.iter().map(|_| format!("{}-help", self.id));
        let errors = (!self.errors.is_empty()).then(|| format!("{}-error", self.id));
        help.chain(errors).collect::<Vec<_>>().join(" ")
    }
}

/// A list of values offered as one types.
pub struct Offered {
    pub id: String,
    /// Value and label.
    pub values: Vec<(String, String)>,
}

/// A form: its pieces, what it offers, and the errors no piece of it is about.
pub struct Form {
    pub nodes: Vec<Node>,
    pub offered: Vec<Offered>,
    pub others: Vec<String>,
}

struct Writer<'a> {
    frame: &'a Frame,
    kind: Kind,
    typed: &'a Typed,
    /// Path of the list that gets one more row.
    add: Option<&'a str>,
    errors: Vec<(String, String)>,
    /// Whether everything around the field written is required: else it is not either.
    certain: bool,
    nodes: Vec<Node>,
    lists: BTreeMap<String, Source>,
}

#[derive(Clone, Copy)]
enum Source {
    Codes(&'static str),
    Ids(StreamType),
}

/// Writes the form of a kind, with what was typed and what is wrong with it.
pub fn form(
    frame: &Frame,
    kind: Kind,
    typed: &Typed,
    add: Option<&str>,
    errors: &[FieldError],
    register: &Register,
) -> Form {
    let told = |e: &FieldError| (control_at(&e.pointer), frame.lang.of(&e.detail).into_owned());
    let mut writer = Writer {
        frame,
        kind,
        typed,
        add,
        errors: errors.iter().map(told).collect(),
        certain: true,
        nodes: Vec::new(),
        lists: BTreeMap::new(),
    };
    writer.fields(kind.fields(), "");
    writer.envelope();
    let offered = writer.lists.iter().map(|(id, source)| Offered {
        id: id.clone(),
        values: match source {
            Source::Codes(list) => codes(frame, list),
            Source::Ids(stream) => ids(register, *stream),
        },
    });
    let offered = offered.filter(|o| !o.values.is_empty()).collect();
    let others = writer.errors.iter().map(|(_, words)| words.clone()).collect();
    Form { nodes: writer.nodes, offered, others }
}

/// Name of the control for a pointer into the payload.
fn control_at(pointer: &str) -> String {
    match pointer.strip_prefix("/body") {
        Some(path) => path.trim_start_matches('/').replace('/', "."),
        None => format!("filing.{}", pointer.trim_start_matches('/')),
    }
}

fn codes(frame: &Frame, list: &str) -> Vec<(String, String)> {
    let terms = CODELISTS.lists.get(list).into_iter().flatten();
    terms
        .map(|t| (t.code.clone(), frame.spaced(frame.lang.pick(&t.label_fr, &t.label_en))))
        .collect()
}

/// Ids in the register, the last recorded first, with what they name.
fn ids(register: &Register, stream: StreamType) -> Vec<(String, String)> {
    let name = |id: &str| match stream {
        StreamType::Party => Some(register.party(id)?.name.clone()),
        StreamType::Processing => {
            Some(register.processing(id)?.versions.last()?.data.title.clone())
        }
        StreamType::Experiment => Some(register.experiment(id)?.processing.clone()),
        _ => None,
    };
    if stream == StreamType::Reference {
        let mut texts: Vec<_> = register.references().collect();
        texts.sort_by_key(|(_, text)| std::cmp::Reverse(text.position));
        let named = texts.into_iter().take(MAX_OFFERED);
        return named.map(|(id, text)| (id.clone(), text.data.title.clone())).collect();
    }
    let recorded = register.in_order(stream).iter().rev();
    recorded.filter_map(|(_, id)| Some((id.clone(), name(id)?))).take(MAX_OFFERED).collect()
}

/// Family of a kind, for words that differ by it: `access`, `processing`…
fn family(kind: Kind) -> &'static str {
    kind.as_str().split('.').next().unwrap_or_default()
}

/// Words for a field, by the most particular name they are shipped under.
fn words(frame: &Frame, prefix: &str, kind: Kind, path: &str) -> Option<Cow<'static, str>> {
    let named: Vec<&str> =
        path.split(['.', '/']).filter(|s| !s.is_empty() && s.parse::<usize>().is_err()).collect();
    let name = named.last()?.replace('_', "-");
    let whole = named.join("-").replace('_', "-");
    [
        format!("{prefix}-{}-{whole}", family(kind)),
        format!("{prefix}-{whole}"),
        format!("{prefix}-{name}"),
    ]
    .iter()
    .find_map(|key| find_word(frame.lang, key, None))
}

/// The label of the field at a path of the body.
pub fn label(frame: &Frame, kind: Kind, path: &str) -> String {
    let shared = || {
        let name = path.rsplit(['.', '/']).find(|s| s.parse::<usize>().is_err())?;
        find_word(frame.lang, &format!("field-{}", name.replace('_', "-")), None)
    };
    words(frame, "file", kind, path)
        .or_else(shared)
        .map_or_else(|| path.to_owned(), Cow::into_owned)
}

impl Writer<'_> {
    fn errors_at(&mut self, path: &str) -> Vec<String> {
        self.errors_where(|name| name == path)
    }

    fn errors_where(&mut self, at: impl Fn(&str) -> bool) -> Vec<String> {
        let (here, rest) = std::mem::take(&mut self.errors).into_iter().partition(|e| at(&e.0));
        self.errors = rest;
        let here: Vec<(String, String)> = here;
        here.into_iter().map(|(_, words)| words).collect()
    }

    /// `at`, `evidence` and `reference`, which are beside the body.
    fn envelope(&mut self) {
        let legend = self.frame.t("file-envelope").into_owned();
        self.open("envelope", legend, None, Vec::new());
        let evidence: Vec<(String, String)> = greffe_domain::kind::EvidenceKind::NAMES
            .iter()
            .map(|name| ((*name).to_owned(), self.frame.t(&format!("kind-{name}")).into_owned()))
            .collect();
        let line = || Widget::Line { list: None, numeric: false };
        for (name, required, widget) in [
            ("at", false, line()),
            ("evidence", true, Widget::Choice(evidence)),
            ("reference", false, line()),
        ] {
            // The body of a formality has a `reference` of its own.
            let control = format!("filing.{name}");
            let errors = self.errors_at(&control);
            self.nodes.push(Node::Control(Control {
                id: id_of(&control),
                label: self.frame.t(&format!("file-envelope-{name}")).into_owned(),
                help: find_word(self.frame.lang, &format!("help-envelope-{name}"), None)
                    .map(Cow::into_owned),
                required,
                optional: !required,
                concealed: false,
                value: self.typed.get(&control).unwrap_or_default().to_owned(),
                errors,
                widget,
                name: control,
            }));
        }
        self.nodes.push(Node::Close);
    }

    fn open(&mut self, path: &str, legend: String, help: Option<String>, errors: Vec<String>) {
        self.nodes.push(Node::Open { id: id_of(path), legend, help, errors });
    }

    fn fields(&mut self, fields: &[Field], under: &str) {
        for field in fields {
            let path = join(under, field.name);
            self.field(&field.shape, &path, field.required, field.concealed);
        }
    }

    fn help(&self, path: &str, shape: &Shape) -> Option<String> {
        let by_shape = match shape {
            Shape::Edtf => Some("help-shape-edtf"),
            Shape::Slug => Some("help-shape-slug"),
            Shape::ManyConcealed(Shape::Bytes32) | Shape::Bytes32 => Some("help-shape-subject"),
            Shape::Many(Shape::Text | Shape::Slug | Shape::Position) => Some("help-shape-lines"),
            _ => None,
        };
        words(self.frame, "help", self.kind, path)
            .or_else(|| by_shape.map(|key| self.frame.t(key)))
            .map(Cow::into_owned)
    }

    fn field(&mut self, shape: &Shape, path: &str, required: bool, concealed: bool) {
        let legend = label(self.frame, self.kind, path);
        match shape {
            Shape::Object(fields) => {
                let (help, errors) = (self.help(path, shape), self.errors_at(path));
                self.open(path, marked(self.frame, legend, required), help, errors);
                let outside = self.certain;
                self.certain = outside && required;
                self.fields(fields, path);
                self.certain = outside;
                self.nodes.push(Node::Close);
            }
            Shape::Many(inner) if is_rows(inner) => {
                let (help, errors) = (self.help(path, shape), self.errors_at(path));
                self.open(path, marked(self.frame, legend.clone(), required), help, errors);
                let more = usize::from(self.add == Some(path));
                let rows = (self.typed.rows(path).max(1) + more).min(MAX_ROWS);
                let outside = self.certain;
                for row in 0..rows {
                    self.certain = outside && required && row == 0;
                    let row_path = format!("{path}.{row}");
                    match inner {
                        Shape::Object(fields) => {
                            let errors = self.errors_at(&row_path);
                            let legend = format!("{legend} {}", row + 1);
                            self.open(&row_path, legend, None, errors);
                            self.fields(fields, &row_path);
                            self.nodes.push(Node::Close);
                        }
                        _ => self.control(
                            inner,
                            &row_path,
                            format!("{legend} {}", row + 1),
                            true,
                            false,
                        ),
                    }
                }
                self.certain = outside;
                if rows < MAX_ROWS {
                    let label =
                        self.frame.with("file-add", &[("what", legend.to_lowercase().into())]);
                    self.nodes.push(Node::Add { path: path.to_owned(), label: label.into_owned() });
                }
                self.nodes.push(Node::Close);
            }
            _ => self.control(shape, path, legend, required, concealed),
        }
    }

    fn control(
        &mut self,
        shape: &Shape,
        path: &str,
        label: String,
        required: bool,
        concealed: bool,
    ) {
        let value = self.typed.get(path).unwrap_or_default().to_owned();
        let lines = matches!(shape, Shape::Many(_) | Shape::ManyConcealed(_));
        let errors = if lines {
            // One control holds the whole list: its lines' errors are its own.
            let under = format!("{path}.");
            self.errors_where(|name| name == path || name.starts_with(&under))
        } else {
            self.errors_at(path)
        };
        let line = |list| Widget::Line { list, numeric: false };
        let widget = match shape {
            Shape::Many(_) | Shape::ManyConcealed(_) => Widget::Area,
            Shape::Code(list) => line(Some(self.offer(Source::Codes(list.name())))),
            Shape::Ref(stream) => line(Some(self.offer(Source::Ids(*stream)))),
            Shape::Int(..) | Shape::Position => Widget::Line { list: None, numeric: true },
            Shape::Bool => Widget::Choice(
                ["true", "false"]
                    .map(|v| (v.to_owned(), self.frame.t(yes_no(v == "true")).into_owned()))
                    .into(),
            ),
            Shape::OneOf(names) => {
                let named = |name: &&str| ((*name).to_owned(), value_words(self.frame, name));
                Widget::Choice(names.iter().map(named).collect())
            }
            _ => line(None),
        };
        let widget = match widget {
            // A value that is none of the choices stays, and is told wrong.
            Widget::Choice(mut choices) => {
                if !value.is_empty() && choices.iter().all(|(v, _)| *v != value) {
                    choices.push((value.clone(), value.clone()));
                }
                Widget::Choice(choices)
            }
            other => other,
        };
        self.nodes.push(Node::Control(Control {
            id: id_of(path),
            name: path.to_owned(),
            label,
            help: self.help(path, shape),
            required: required && self.certain,
            optional: !required,
            concealed: concealed || matches!(shape, Shape::ManyConcealed(_)),
            value,
            errors,
            widget,
        }));
    }

    fn offer(&mut self, source: Source) -> String {
        let id = match source {
            Source::Codes(list) => format!("codes-{}", list.replace('_', "-")),
            Source::Ids(stream) => format!("ids-{stream}"),
        };
        self.lists.insert(id.clone(), source);
        id
    }
}

fn marked(frame: &Frame, legend: String, required: bool) -> String {
    if required { legend } else { format!("{legend} ({})", frame.t("file-optional")) }
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}

fn value_words(frame: &Frame, name: &str) -> String {
    find_word(frame.lang, &format!("file-value-{}", name.to_lowercase()), None)
        .or_else(|| {
            find_word(frame.lang, &format!("value-{name}"), None).filter(|_| name != "days")
        })
        .map_or_else(|| name.replace('-', " "), Cow::into_owned)
}

/// Whether a value names something of the register: told as it is signed, never reworded.
fn is_id(shape: &Shape) -> bool {
    match shape {
        Shape::Slug | Shape::Ref(_) => true,
        Shape::Many(inner) | Shape::ManyConcealed(inner) => is_id(inner),
        _ => false,
    }
}

/// Whether a list is written as rows of controls; other lists are lines of one control.
fn is_rows(inner: &Shape) -> bool {
    matches!(inner, Shape::Object(_) | Shape::Code(_) | Shape::OneOf(_) | Shape::Ref(_))
}

/// Id of the control at a path, in the page.
pub fn id_of(path: &str) -> String {
    format!("f-{}", path.replace('.', "-"))
}

fn join(under: &str, name: &str) -> String {
    if under.is_empty() { name.to_owned() } else { format!("{under}.{name}") }
}

/// The filing that was typed, as `greffe sign` reads it.
pub fn draft(kind: Kind, iss: &str, typed: &Typed) -> Value {
    let mut draft = serde_json::json!({"iss": iss, "kind": kind, "body": body(kind, typed)});
    for name in ["at", "evidence", "reference"] {
        if let Some(value) = typed.get(&format!("filing.{name}")) {
            draft[name] = value.trim().into();
        }
    }
    draft
}

/// The body that was typed. Nothing is checked here that the schema checks: what does not
/// read as a number stays a text, and is then refused by name.
pub fn body(kind: Kind, typed: &Typed) -> Value {
    Value::Object(object(kind.fields(), "", typed))
}

fn object(fields: &[Field], under: &str, typed: &Typed) -> Map<String, Value> {
    let mut members = Map::new();
    for field in fields {
        let path = join(under, field.name);
        if let Some(value) = value(&field.shape, &path, typed) {
            members.insert(field.name.to_owned(), value);
        } else if field.required
            && may_be_empty(&path)
            && (under.is_empty() || typed.is_under(under))
        {
            members.insert(field.name.to_owned(), Value::Array(Vec::new()));
        }
    }
    members
}

fn may_be_empty(path: &str) -> bool {
    MAY_BE_EMPTY.contains(&format!("/{}", path.replace('.', "/")).as_str())
}

fn value(shape: &Shape, path: &str, typed: &Typed) -> Option<Value> {
    match shape {
        Shape::Object(fields) => {
            typed.is_under(path).then(|| Value::Object(object(fields, path, typed)))
        }
        Shape::Many(inner) if is_rows(inner) => {
            let rows = (0..typed.rows(path))
                .filter_map(|row| self::value(inner, &format!("{path}.{row}"), typed));
            let rows: Vec<Value> = rows.collect();
            (!rows.is_empty()).then_some(Value::Array(rows))
        }
        Shape::Many(inner) | Shape::ManyConcealed(inner) => {
            let lines = typed.get(path)?.lines().map(str::trim).filter(|line| !line.is_empty());
            Some(Value::Array(lines.map(|line| scalar(inner, line)).collect()))
        }
        scalar_shape => Some(scalar(scalar_shape, typed.get(path)?.trim())),
    }
}

/// One value of a shape that is no list and no object, as typed.
pub fn scalar(shape: &Shape, text: &str) -> Value {
    match shape {
        Shape::Bool => match text.to_lowercase().as_str() {
            "true" | "oui" | "yes" => Value::Bool(true),
            "false" | "non" | "no" => Value::Bool(false),
            _ => text.into(),
        },
        Shape::Int(..) | Shape::Position => {
            let digits: String = text.chars().filter(|c| !c.is_whitespace()).collect();
            digits.parse::<i64>().map_or_else(|_| text.into(), Value::from)
        }
        Shape::Code(list) => code(*list, text).into(),
        _ => text.into(),
    }
}

/// A code by itself, or by either of its labels as published.
fn code(list: List, text: &str) -> &str {
    let terms = || CODELISTS.lists.get(list.name()).into_iter().flatten();
    let labelled = terms().find(|t| t.label_fr == text || t.label_en == text);
    labelled.map_or(text, |term| term.code.as_str())
}

/// One value of a body, as the review page tells it.
pub struct Told {
    /// Pointer into the payload, `/body/…`.
    pub pointer: String,
    pub id: String,
    pub label: String,
    pub text: String,
    pub concealed: bool,
}

/// Every value of a body in words, in the order of its fields.
pub fn tell(frame: &Frame, kind: Kind, body: &Value) -> Vec<Told> {
    let mut told = Vec::new();
    tell_fields(frame, kind, kind.fields(), body, "", "", &mut told);
    told
}

fn tell_fields(
    frame: &Frame,
    kind: Kind,
    fields: &[Field],
    body: &Value,
    under: &str,
    heading: &str,
    told: &mut Vec<Told>,
) {
    for field in fields {
        let Some(value) = body.get(field.name) else { continue };
        let path = join(under, field.name);
        let name = label(frame, kind, &path);
        let heading = if heading.is_empty() { name } else { format!("{heading} › {name}") };
        tell_value(frame, kind, &field.shape, value, &path, &heading, field.concealed, told);
    }
}

#[allow(clippy::too_many_arguments)]
fn tell_value(
    frame: &Frame,
    kind: Kind,
    shape: &Shape,
    value: &Value,
    path: &str,
    heading: &str,
    concealed: bool,
    told: &mut Vec<Told>,
) {
    match (shape, value) {
        (Shape::Object(fields), Value::Object(_)) => {
            tell_fields(frame, kind, fields, value, path, heading, told);
        }
        (Shape::Many(Shape::Object(fields)), Value::Array(rows)) => {
            for (i, row) in rows.iter().enumerate() {
                let heading = format!("{heading} {}", i + 1);
                tell_fields(frame, kind, fields, row, &format!("{path}.{i}"), &heading, told);
            }
        }
        _ => {
            let said = |value: &Value| match value {
                Value::String(id) if is_id(shape) => id.clone(),
                value => one(frame, path, value),
            };
            let text = match value {
                Value::Array(values) if values.iter().any(|v| v.get("...").is_some()) => {
                    frame.count("file-concealed-n", values.len()).into_owned()
                }
                Value::Array(values) if values.is_empty() => frame.t("file-none").into_owned(),
                Value::Array(values) => {
                    let texts: Vec<String> = values.iter().map(said).collect();
                    frame.listed(&texts)
                }
                value => said(value),
            };
            told.push(Told {
                pointer: format!("/body/{}", path.replace('.', "/")),
                id: id_of(path),
                label: heading.to_owned(),
                text,
                concealed: concealed || matches!(shape, Shape::ManyConcealed(_)),
            });
        }
    }
}

fn one(frame: &Frame, path: &str, value: &Value) -> String {
    match value {
        Value::Bool(yes) => frame.t(yes_no(*yes)).into_owned(),
        Value::Number(n) => {
            let name = path.rsplit('.').next().unwrap_or_default();
            n.as_i64().map_or_else(|| n.to_string(), |n| amount(frame, name, n))
        }
        Value::String(text) => {
            let label = frame.label(text);
            if label != *text {
                return format!("{label} ({text})");
            }
            let slug = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            if slug { value_words(frame, text) } else { label }
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Lang;

    fn typed(pairs: &[(&str, &str)]) -> Typed {
        Typed::of(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    #[test]
    fn what_is_typed_becomes_a_body_and_blanks_are_left_out() {
        let typed = typed(&[
            ("processing", " suivi "),
            ("purposes.0.code", "PUR-BENEFITS"),
            ("purposes.0.main", "true"),
            ("purposes.2.code", "Prestations"),
            ("categories.0.code", "ABS-DURATION"),
            ("categories.0.retention_days", "1 000"),
            ("subjects", "Assurés\r\n\r\nAyants droit"),
            ("title", ""),
        ]);
        let body = body(Kind::ProcessingDeclare, &typed);
        assert_eq!(body["processing"], "suivi");
        assert_eq!(body["purposes"][0]["main"], true);
        assert_eq!(body["purposes"].as_array().map(Vec::len), Some(2));
        assert_eq!(body["categories"][0]["retention_days"], 1000);
        assert_eq!(body["subjects"], serde_json::json!(["Assurés", "Ayants droit"]));
        assert_eq!(body["recipients"], serde_json::json!([]));
        assert!(body.get("title").is_none());
    }

    #[test]
    fn what_is_no_number_stays_as_typed_for_the_schema_to_refuse() {
        let body = body(
            Kind::ExperimentPlanExpansion,
            &typed(&[("experiment", "e"), ("target_sites", "douze")]),
        );
        assert_eq!(body["target_sites"], "douze");
    }

    #[test]
    fn a_label_stands_for_its_code() {
        let term = &CODELISTS.lists["purpose"][0];
        assert_eq!(code(List::Purpose, &term.label_fr), term.code);
        assert_eq!(code(List::Purpose, &term.label_en), term.code);
        assert_eq!(code(List::Purpose, "PUR-NONSENSE"), "PUR-NONSENSE");
    }

    /// Paths of every field of a kind.
    fn paths(fields: &[Field], under: &str, out: &mut Vec<String>) {
        for field in fields {
            let path = join(under, field.name);
            match &field.shape {
                Shape::Object(inner) | Shape::Many(Shape::Object(inner)) => {
                    paths(inner, &path, out);
                }
                _ => {}
            }
            out.push(path);
        }
    }

    #[test]
    fn every_field_and_choice_of_every_form_has_words_in_both_languages() {
        for lang in [Lang::Fr, Lang::En] {
            let frame = Frame::new(lang, &"/controller".parse().expect("a path"));
            for kind in OFFERED.iter().flat_map(|(_, kinds)| *kinds) {
                let mut found = Vec::new();
                paths(kind.fields(), "", &mut found);
                for path in found {
                    assert_ne!(label(&frame, *kind, &path), path, "{kind} {path} in {lang:?}");
                }
                let key = format!("file-kind-{}", kind.as_str().replace('.', "-"));
                assert!(find_word(lang, &key, None).is_some(), "{key} in {lang:?}");
            }
        }
    }

    #[test]
    fn errors_stand_by_their_field_and_none_is_lost() {
        let frame = Frame::new(Lang::En, &"/controller".parse().expect("a path"));
        let error = |pointer: &str| {
            use greffe_domain::refusal::{RefusalCode, Words};
            FieldError {
                pointer: pointer.to_owned(),
                code: RefusalCode::Malformed,
                detail: Words::new("faux", format!("wrong at {pointer}")),
            }
        };
        let errors =
            ["/body/purpose", "/body/subjects/3", "/at", "/body/recipient", "/body"].map(error);
        let register = Register::new();
        let typed = Typed::default();
        let form = form(&frame, Kind::AccessRequest, &typed, None, &errors, &register);
        let mut placed = Vec::new();
        for node in &form.nodes {
            match node {
                Node::Control(c) => {
                    placed.extend(c.errors.iter().map(|e| (c.id.clone(), e.clone())))
                }
                Node::Open { id, errors, .. } => {
                    placed.extend(errors.iter().map(|e| (id.clone(), e.clone())));
                }
                _ => {}
            }
        }
        let at = |id: &str| placed.iter().filter(|(i, _)| i == id).count();
        assert_eq!(
            [at("f-purpose"), at("f-subjects"), at("f-filing-at"), at("f-recipient")],
            [1; 4]
        );
        assert_eq!(form.others, ["wrong at /body"]);
    }
}
