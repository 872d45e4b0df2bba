//! The shape of every body, field by field, in one table.
//!
//! Used three times: to check what arrives (`check`), to know which values must be
//! concealed (`is_concealed`, for `greffe sign` and `GET /v1/vocabulary`), and to
//! document itself (`describe`). Whether an id *exists* is not here: that is asked of the
//! register by `decide`. Source: the published table of filings, `docs/filings.md`.

use serde_json::{Map, Value, json};

use crate::edtf::Edtf;
use crate::identifier;
use crate::kind::{Kind, StreamType};
use crate::refusal::{FieldError, RefusalCode as C, Words};
use crate::sdjwt::PathStep;
use crate::vocabulary::{
    Category, FormalityKind, Identifiability, InformationStep, LegalBasis, Outcome, Purpose,
    RecipientRole, Role, RuleCode,
};

/// Longest free text, in characters.
pub const MAX_TEXT_CHARS: usize = 2_000;
/// Longest list inside a body. A leaf holds 65,535 bytes, so longer ones cannot be recorded.
pub const MAX_LIST: usize = 2_000;

/// One value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Free text, 1 to `MAX_TEXT_CHARS` characters.
    Text,
    /// An id or a short word: `[a-z0-9][a-z0-9./-]{0,79}`.
    Slug,
    /// The id of something registered, of that stream type.
    Ref(StreamType),
    Code(List),
    OneOf(&'static [&'static str]),
    Bool,
    /// Integer, both ends included.
    Int(i64, i64),
    Edtf,
    Siren,
    Siret,
    /// Public key, RFC 8037 JWK.
    Jwk,
    /// Ed25519 signature, 64 bytes base64url.
    Signature,
    /// RFC 7638 thumbprint, 32 bytes base64url; also digests and subject references.
    Bytes32,
    /// Position of an entry.
    Position,
    Many(&'static Shape),
    /// A list whose every element is concealed.
    ManyConcealed(&'static Shape),
    Object(&'static [Field]),
}

/// A code list.
#[derive(Debug, Clone, Copy)]
pub enum List {
    Purpose,
    Category,
    RecipientRole,
    LegalBasis,
    Formality,
    Outcome,
    Step,
    Identifiability,
    Rule,
}

impl List {
    fn holds(self, code: &str) -> bool {
        match self {
            List::Purpose => Purpose::parse(code).is_some(),
            List::Category => Category::parse(code).is_some(),
            List::RecipientRole => RecipientRole::parse(code).is_some(),
            List::LegalBasis => LegalBasis::parse(code).is_some(),
            List::Formality => FormalityKind::parse(code).is_some(),
            List::Outcome => Outcome::parse(code).is_some(),
            List::Step => InformationStep::parse(code).is_some(),
            List::Identifiability => Identifiability::parse(code).is_some(),
            List::Rule => RuleCode::parse(code).is_some(),
        }
    }

    /// Its name in the published lists.
    pub fn name(self) -> &'static str {
        match self {
            List::Purpose => Purpose::LIST,
            List::Category => Category::LIST,
            List::RecipientRole => RecipientRole::LIST,
            List::LegalBasis => LegalBasis::LIST,
            List::Formality => FormalityKind::LIST,
            List::Outcome => Outcome::LIST,
            List::Step => InformationStep::LIST,
            List::Identifiability => Identifiability::LIST,
            List::Rule => "rules",
        }
    }
}

/// One member of an object.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    pub name: &'static str,
    pub shape: Shape,
    pub required: bool,
    /// Personal: must travel as a salted digest and a disclosure.
    pub concealed: bool,
}

const fn req(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true, concealed: false }
}

const fn opt(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, concealed: false }
}

const fn secret(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: true, concealed: true }
}

const fn opt_secret(name: &'static str, shape: Shape) -> Field {
    Field { name, shape, required: false, concealed: true }
}

use Shape::{
    Bool, Bytes32, Code, Int, Jwk, Many, ManyConcealed, Object, OneOf, Position, Ref, Signature,
    Siren, Siret, Slug, Text,
};
use StreamType as S;

const DATE: Shape = Shape::Edtf;
const COUNT: Shape = Int(0, 100_000_000);
const PURPOSE: Shape = Code(List::Purpose);
const PURPOSES: Shape = Many(&PURPOSE);
const CATEGORY: Shape = Code(List::Category);
const CATEGORIES: Shape = Many(&CATEGORY);
const SLUGS: Shape = Many(&Slug);
const PROCESSING: Field = req("processing", Ref(S::Processing));
const EXPERIMENT: Field = req("experiment", Ref(S::Experiment));
const ABOUT_RIGHTS: Shape =
    Object(&[req("type", OneOf(&["processing", "experiment"])), req("id", Slug)]);
/// `statement` and `subject` streams have no name of their own, so nothing is filed about them.
const ABOUT_ANY: Shape = Object(&[
    req(
        "type",
        OneOf(&["party", "reference", "processing", "decision", "ruling", "experiment", "access"]),
    ),
    req("id", Slug),
]);
const SITE: Shape = Object(&[
    req("id", Slug),
    req("name", Text),
    opt("siret", Siret),
    opt("commune", Text),
    opt("headcount", COUNT),
    opt("headcount_on", DATE),
]);

const DECLARATION: &[Field] = &[
    PROCESSING,
    opt("controller", Ref(S::Party)),
    req("title", Text),
    req("purposes", Many(&Object(&[req("code", PURPOSE), opt("label", Text), opt("main", Bool)]))),
    req(
        "categories",
        Many(&Object(&[
            req("code", CATEGORY),
            opt("label", Text),
            opt("retention_days", Int(0, 1_000_000)),
        ])),
    ),
    req("subjects", Many(&Text)),
    req(
        "recipients",
        Many(&Object(&[req("role", Code(List::RecipientRole)), opt("party", Ref(S::Party))])),
    ),
    req("legal_basis", Many(&Code(List::LegalBasis))),
    opt("special_basis", Many(&Code(List::LegalBasis))),
    opt("monitors_staff", Bool),
    opt("identifiability", Code(List::Identifiability)),
    opt("high_risk", Bool),
    opt("transfers", Many(&Text)),
    opt("security", Many(&Text)),
];

const CELL: Shape = Object(&[
    req("units", SLUGS),
    req("categories", CATEGORIES),
    opt_secret("value", Int(-9_007_199_254_740_991, 9_007_199_254_740_991)),
    req("unit", OneOf(&["days", "spells", "persons", "cents", "permille"])),
    req("suppressed", Bool),
    opt_secret("largest_share_permille", Int(0, 1_000)),
]);

const ACCESS: &[Field] = &[
    PROCESSING,
    opt("experiment", Ref(S::Experiment)),
    req("purpose", PURPOSE),
    req("categories", CATEGORIES),
    req(
        "recipient",
        Object(&[
            req("party", Ref(S::Party)),
            req("role", Code(List::RecipientRole)),
            opt("site", Object(&[req("id", Slug), opt("siret", Siret), opt("headcount", COUNT)])),
            opt_secret("agent", Text),
        ]),
    ),
    opt("discloser", Ref(S::Party)),
    opt("identifiability", Code(List::Identifiability)),
    opt("period", DATE),
    req("basis", Object(&[req("codes", Many(&Code(List::LegalBasis))), opt("reference", Text)])),
    opt("data_retention_until", DATE),
    opt("subjects", ManyConcealed(&Bytes32)),
    opt(
        "cohort",
        Object(&[
            opt("headcount", COUNT),
            opt_secret("absentees", COUNT),
            req("units", SLUGS),
            req("cells", Many(&CELL)),
            opt("members", ManyConcealed(&Bytes32)),
        ]),
    ),
    req("channel", OneOf(&["visit", "report", "portal", "api"])),
];

const CLAIM: Shape =
    Object(&[req("fact", Code(List::Rule)), req("holds", Bool), opt_secret("text", Text)]);

const GROUND: Shape = Object(&[opt("fact", Code(List::Rule)), opt("text", Text)]);
const CONDITION: Shape = Object(&[req("condition", Slug), opt("text", Text)]);
const OUTCOME: Shape = Object(&[
    req("purpose", PURPOSE),
    req("outcome", Code(List::Outcome)),
    opt("grounds", Many(&GROUND)),
    opt("conditions", Many(&CONDITION)),
]);
const OUTCOMES: Shape = Many(&OUTCOME);
const ESTABLISHED: Shape = Object(&[req("fact", Code(List::Rule)), req("holds", Bool)]);
const ESTABLISHES: Shape = Many(&ESTABLISHED);
const COST_RANGE: Shape = Object(&[req("low", Int(0, 1_000_000)), req("high", Int(0, 1_000_000))]);

impl Kind {
    /// The fields of its body.
    pub fn fields(self) -> &'static [Field] {
        match self {
            Kind::PartyRegister => {
                const {
                    &[
                        req("party", Slug),
                        req("name", Text),
                        req("roles", Many(&OneOf(Role::NAMES))),
                        opt("siren", Siren),
                        req("key", Jwk),
                        req("proof", Signature),
                    ]
                }
            }
            Kind::PartyEnrolKey => {
                const { &[req("party", Ref(S::Party)), req("key", Jwk), req("proof", Signature)] }
            }
            Kind::PartyRevokeKey => {
                const { &[req("party", Ref(S::Party)), req("kid", Bytes32), req("reason", Slug)] }
            }
            Kind::ReferencePublish => {
                const {
                    &[
                        req("reference", Slug),
                        req(
                            "kind",
                            OneOf(&[
                                "law",
                                "decree",
                                "norm",
                                "single-authorisation",
                                "method",
                                "report",
                                "press",
                            ]),
                        ),
                        opt("number", Text),
                        req("title", Text),
                        req("objects", PURPOSES),
                        req("authority", Text),
                    ]
                }
            }
            Kind::ProcessingDeclare | Kind::ProcessingAmend => DECLARATION,
            Kind::ProcessingDeploy => const { &[PROCESSING, opt("capabilities", SLUGS)] },
            Kind::ProcessingWithdraw => const { &[PROCESSING, req("reason", Text)] },
            Kind::FormalityFile => {
                const {
                    &[
                        req("formality", Slug),
                        PROCESSING,
                        req("kind", Code(List::Formality)),
                        opt("reference", Ref(S::Reference)),
                        opt("number", Text),
                        req("purposes", PURPOSES),
                    ]
                }
            }
            Kind::FormalityAcknowledge => const { &[req("formality", Slug), req("number", Text)] },
            Kind::InformationRecord => {
                const {
                    &[
                        PROCESSING,
                        req("step", Code(List::Step)),
                        req("audience", Text),
                        opt("means", Text),
                    ]
                }
            }
            Kind::WorksCouncilOpine => {
                const {
                    &[
                        PROCESSING,
                        req("opinion", OneOf(&["favourable", "unfavourable", "none"])),
                        req("on", Text),
                    ]
                }
            }
            Kind::ConsultationRecord => {
                const {
                    &[
                        req("about", ABOUT_RIGHTS),
                        req("step", Code(List::Step)),
                        req("held", Bool),
                        opt("outcome", OneOf(&["favourable", "unfavourable"])),
                    ]
                }
            }
            Kind::AssessmentFile => {
                const {
                    &[
                        PROCESSING,
                        req("residual_risk", OneOf(&["low", "medium", "high"])),
                        opt("consulted_regulator", Bool),
                    ]
                }
            }
            Kind::AgreementRecord | Kind::ObjectionRecord => {
                const { &[PROCESSING, secret("subject", Bytes32), req("scope", Text)] }
            }
            Kind::DecisionRender => {
                const {
                    &[
                        req("decision", Slug),
                        opt("number", Text),
                        opt("formality", Slug),
                        PROCESSING,
                        req("outcomes", OUTCOMES),
                        opt("effective_from", DATE),
                        opt("until", DATE),
                    ]
                }
            }
            Kind::DecisionEnd => {
                const {
                    &[
                        req("decision", Ref(S::Decision)),
                        req(
                            "how",
                            OneOf(&[
                                "ANNULLED-EX-TUNC",
                                "ANNULLED-DEFERRED",
                                "WITHDRAWN-EX-TUNC",
                                "REPEALED-EX-NUNC",
                                "SUSPENDED",
                                "EXPIRED",
                            ]),
                        ),
                        req("effective_from", DATE),
                        opt("purposes", PURPOSES),
                    ]
                }
            }
            Kind::RulingRecord => {
                const {
                    &[
                        req("ruling", Slug),
                        req("court", Text),
                        opt("processing", Ref(S::Processing)),
                        opt("accesses", Many(&Position)),
                        req("outcome", Code(List::Outcome)),
                        opt("awarded_cents", Int(0, 9_007_199_254_740_991)),
                        opt("appeal", OneOf(&["open", "reserved", "closed", "none"])),
                        req("establishes", ESTABLISHES),
                        opt("excludes_evidence", Bool),
                    ]
                }
            }
            Kind::StatementRecord => {
                const { &[req("about", ABOUT_ANY), req("claims", Many(&CLAIM))] }
            }
            Kind::MilestoneRecord => {
                const {
                    &[
                        req("about", ABOUT_ANY),
                        req("milestone", Slug),
                        opt("when", DATE),
                        opt_secret("note", Text),
                    ]
                }
            }
            Kind::ExperimentLaunch => {
                const {
                    &[
                        req("experiment", Slug),
                        PROCESSING,
                        req("unit", OneOf(&["establishment", "company", "region", "fund"])),
                        opt("headcount_above", COUNT),
                        req("categories", CATEGORIES),
                        opt("regions", Many(&Text)),
                        req("start", DATE),
                        opt("minimum_days", Int(0, 100_000)),
                        opt("end", DATE),
                        opt("evaluation_planned", Bool),
                        opt("indirect_cost_permille", COST_RANGE),
                    ]
                }
            }
            Kind::ExperimentEnrol => const { &[EXPERIMENT, req("site", SITE)] },
            Kind::ExperimentPlanExpansion => {
                const {
                    &[
                        EXPERIMENT,
                        opt("target_sites", COUNT),
                        opt("approximate", Bool),
                        opt("by", DATE),
                    ]
                }
            }
            Kind::ExperimentExpand => {
                const {
                    &[
                        EXPERIMENT,
                        opt("sites", Many(&SITE)),
                        opt("categories", CATEGORIES),
                        opt("end", DATE),
                    ]
                }
            }
            Kind::ExperimentEvaluate => const { &[EXPERIMENT, req("conclusions", SLUGS)] },
            Kind::ExperimentEnd => const { &[EXPERIMENT] },
            Kind::ConditionSet => const { &[req("about", ABOUT_RIGHTS), req("condition", Slug)] },
            Kind::ConditionMeet => {
                const { &[req("about", ABOUT_RIGHTS), req("condition", Slug), opt("evidence", Text)] }
            }
            Kind::GeneraliseDecide => const { &[req("about", ABOUT_RIGHTS)] },
            Kind::AccessRequest | Kind::AccessReport => ACCESS,
            Kind::UseRecord => {
                const {
                    &[
                        PROCESSING,
                        opt("access", Position),
                        req("purpose", PURPOSE),
                        opt_secret("subject", Bytes32),
                        req("consequence", Slug),
                    ]
                }
            }
            Kind::AccessContest => {
                const { &[req("access", Position), secret("subject", Bytes32), secret("ground", Text)] }
            }
            Kind::AccessAnswer => {
                const { &[req("access", Position), req("outcome", Slug), opt_secret("reason", Text)] }
            }
            Kind::SubjectErase => {
                const { &[req("digests", Many(&Bytes32)), req("ground", Slug), req("scope", Text)] }
            }
            Kind::ErasureRefuse => const { &[req("ground", Slug)] },
        }
    }

    /// Whether the value at `path` (inside the body) is personal and must be concealed.
    pub fn is_concealed(self, path: &[PathStep<'_>]) -> bool {
        concealed_in(self.fields(), path)
    }

    /// The concealed paths, as JSON Pointers with `*` for any element, inside the body.
    pub fn concealed_paths(self) -> Vec<String> {
        let mut out = Vec::new();
        collect_concealed(self.fields(), "", &mut out);
        out
    }
}

/// Calls `visit(pointer, stream, id)` for every id of something registered that the signed
/// body names, `about` included.
pub fn references(kind: Kind, signed: &Value, visit: &mut dyn FnMut(&str, StreamType, &str)) {
    references_in(kind.fields(), signed, "", visit);
    if let Some(about) = signed.get("about") {
        let stream = about.get("type").cloned().and_then(|t| serde_json::from_value(t).ok());
        if let (Some(stream), Some(id)) = (stream, about.get("id").and_then(Value::as_str)) {
            visit("/about/id", stream, id);
        }
    }
}

fn references_in(
    fields: &[Field],
    signed: &Value,
    at: &str,
    visit: &mut dyn FnMut(&str, StreamType, &str),
) {
    for field in fields {
        if let Some(value) = signed.get(field.name) {
            references_below(&field.shape, value, at, field.name, visit);
        }
    }
}

fn references_below(
    shape: &Shape,
    value: &Value,
    at: &str,
    name: &str,
    visit: &mut dyn FnMut(&str, StreamType, &str),
) {
    match shape {
        Shape::Ref(stream) => {
            if let Some(id) = value.as_str() {
                visit(&join(at, name), *stream, id);
            }
        }
        Shape::Object(fields) => references_in(fields, value, &join(at, name), visit),
        Shape::Many(inner)
            if matches!(inner, Shape::Ref(_) | Shape::Object(_) | Shape::Many(_)) =>
        {
            for (i, value) in value.as_array().into_iter().flatten().enumerate() {
                references_below(inner, value, &join(at, name), &i.to_string(), visit);
            }
        }
        _ => {}
    }
}

fn concealed_in(fields: &[Field], path: &[PathStep<'_>]) -> bool {
    let Some((PathStep::Member(name), rest)) = path.split_first() else { return false };
    let Some(field) = fields.iter().find(|f| f.name == *name) else { return false };
    if field.concealed {
        return rest.is_empty();
    }
    concealed_below(&field.shape, rest)
}

fn concealed_below(shape: &Shape, path: &[PathStep<'_>]) -> bool {
    match (shape, path) {
        (Shape::ManyConcealed(_), [PathStep::Index(_)]) => true,
        (Shape::Many(inner), [PathStep::Index(_), rest @ ..]) => concealed_below(inner, rest),
        (Shape::Object(fields), rest) if !rest.is_empty() => concealed_in(fields, rest),
        _ => false,
    }
}

fn collect_concealed(fields: &[Field], prefix: &str, out: &mut Vec<String>) {
    fn below(shape: &Shape, path: &str, out: &mut Vec<String>) {
        match shape {
            Shape::ManyConcealed(_) => out.push(format!("{path}/*")),
            Shape::Many(inner) => below(inner, &format!("{path}/*"), out),
            Shape::Object(fields) => collect_concealed(fields, path, out),
            _ => {}
        }
    }
    for field in fields {
        let path = format!("{prefix}/{}", field.name);
        if field.concealed {
            out.push(path);
        } else {
            below(&field.shape, &path, out);
        }
    }
}

/// Checks one body against its kind's table.
///
/// `signed`: the body as signed (digests in place). `revealed`: the same after
/// `sdjwt::reveal`. `pointer`: where the body stands in the payload, e.g. `/body/3`.
/// Appends one error per fault; none means the body deserialises.
pub fn check(
    kind: Kind,
    signed: &Value,
    revealed: &Value,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) {
    Checker { errors }.object(kind.fields(), signed, revealed, pointer);
    if matches!(kind, Kind::AccessRequest | Kind::AccessReport) {
        let has = |name: &str| signed.get(name).is_some();
        if has("subjects") == has("cohort") {
            fault(
                errors,
                pointer,
                C::FieldMissing,
                "indiquer soit `subjects` (des personnes), soit `cohort` (un groupe), pas les deux",
                "give either `subjects` (individuals) or `cohort` (a group), not both",
            );
        }
    }
}

fn fault(
    errors: &mut Vec<FieldError>,
    pointer: &str,
    code: C,
    fr: impl Into<String>,
    en: impl Into<String>,
) {
    errors.push(FieldError { pointer: pointer.to_owned(), code, detail: Words::new(fr, en) });
}

struct Checker<'a> {
    errors: &'a mut Vec<FieldError>,
}

impl Checker<'_> {
    fn object(&mut self, fields: &[Field], signed: &Value, revealed: &Value, at: &str) {
        let (Some(signed), Some(revealed)) = (signed.as_object(), revealed.as_object()) else {
            return self.wrong_type(at, "un objet", "an object");
        };
        // Digests that no disclosure opened: tolerated here (`require_complete` is the
        // server's check), so that a ledger whose values were erased still reads.
        let withheld = revealed.contains_key("_sd");
        for name in revealed.keys() {
            if name != "_sd" && !fields.iter().any(|f| f.name == name) {
                let (code, fr, en) = if signed.contains_key(name) {
                    (
                        C::FieldUnknown,
                        "n’est pas un champ de ce dépôt",
                        "is not a field of this filing",
                    )
                } else {
                    (
                        C::DisclosureUnexpected,
                        "n’est pas un champ dissimulable",
                        "is not a concealable field",
                    )
                };
                fault(
                    self.errors,
                    &join(at, name),
                    code,
                    format!("« {name} » {fr} ; le retirer"),
                    format!("`{name}` {en}; remove it"),
                );
            }
        }
        if signed.contains_key("_sd") && !fields.iter().any(|f| f.concealed) {
            fault(
                self.errors,
                &join(at, "_sd"),
                C::DisclosureUnexpected,
                "aucun champ de cet objet ne peut être dissimulé",
                "no field of this object can be concealed",
            );
        }
        for field in fields {
            self.field(field, signed, revealed, withheld, &join(at, field.name));
        }
    }

    fn field(
        &mut self,
        field: &Field,
        signed: &Map<String, Value>,
        revealed: &Map<String, Value>,
        withheld: bool,
        at: &str,
    ) {
        let Some(value) = revealed.get(field.name) else {
            if field.required && !(field.concealed && withheld) {
                fault(
                    self.errors,
                    at,
                    C::FieldMissing,
                    format!("« {} » est obligatoire", field.name),
                    format!("`{}` is required", field.name),
                );
            }
            return;
        };
        match (field.concealed, signed.get(field.name)) {
            (true, Some(_)) => self.in_clear(at),
            (true, None) => self.value(&field.shape, &Value::Null, &value["value"], at),
            (false, Some(clear)) => self.value(&field.shape, clear, value, at),
            (false, None) => fault(
                self.errors,
                at,
                C::DisclosureUnexpected,
                format!("« {} » ne peut pas être dissimulé ; le donner en clair", field.name),
                format!("`{}` cannot be concealed; give it in clear", field.name),
            ),
        }
    }

    fn in_clear(&mut self, at: &str) {
        fault(
            self.errors,
            at,
            C::PersonalDataInClear,
            "cette valeur est personnelle : la dissimuler (`greffe sign` le fait)",
            "this value is personal: conceal it (`greffe sign` does)",
        );
    }

    fn wrong_type(&mut self, at: &str, fr: &str, en: &str) {
        fault(self.errors, at, C::Malformed, format!("attendu : {fr}"), format!("expected {en}"));
    }

    fn value(&mut self, shape: &Shape, signed: &Value, value: &Value, at: &str) {
        let text = value.as_str();
        match shape {
            Shape::Text => match text {
                Some(t) if !t.trim().is_empty() && t.chars().count() <= MAX_TEXT_CHARS => {}
                _ => self.wrong_type(
                    at,
                    "un texte de 1 à 2 000 caractères",
                    "a text of 1 to 2,000 characters",
                ),
            },
            Shape::Slug | Shape::Ref(_) => {
                if !text.is_some_and(identifier::is_slug) {
                    self.identifier(
                        at,
                        "un identifiant : minuscules, chiffres, « . », « / », « - », 80 caractères au plus",
                        "an id: lower-case letters, digits, `.`, `/`, `-`, at most 80 characters",
                    );
                }
            }
            Shape::Code(list) => match text {
                Some(code) if list.holds(code) => {}
                Some(code) => fault(
                    self.errors,
                    at,
                    C::CodeUnknown,
                    format!(
                        "« {code} » n’est pas un code de la liste « {} » ; voir /v1/vocabulary",
                        list.name()
                    ),
                    format!(
                        "`{code}` is not a code of the list `{}`; see /v1/vocabulary",
                        list.name()
                    ),
                ),
                None => self.wrong_type(at, "un code", "a code"),
            },
            Shape::OneOf(names) => match text {
                Some(name) if names.contains(&name) => {}
                Some(name) => fault(
                    self.errors,
                    at,
                    C::CodeUnknown,
                    format!("« {name} » : attendu l’un de {}", names.join(", ")),
                    format!("`{name}`: expected one of {}", names.join(", ")),
                ),
                None => self.wrong_type(at, "un mot", "a word"),
            },
            Shape::Bool => {
                if !value.is_boolean() {
                    self.wrong_type(at, "true ou false", "true or false");
                }
            }
            Shape::Int(low, high) => match value.as_i64() {
                Some(n) if (*low..=*high).contains(&n) => {}
                Some(_) => self.wrong_type(
                    at,
                    &format!("un entier de {low} à {high}"),
                    &format!("an integer from {low} to {high}"),
                ),
                None => fault(
                    self.errors,
                    at,
                    C::NumberNotInteger,
                    "attendu : un entier",
                    "expected an integer",
                ),
            },
            Shape::Edtf => {
                if text.is_none_or(|t| Edtf::parse(t).is_err()) {
                    fault(
                        self.errors,
                        at,
                        C::DateInvalid,
                        "date attendue au format EDTF (ISO 8601-2 niveaux 0 et 1), par exemple 2017-11 ou ../2022-05",
                        "expected an EDTF date (ISO 8601-2 levels 0 and 1), e.g. 2017-11 or ../2022-05",
                    );
                }
            }
            Shape::Siren => {
                if !text.is_some_and(identifier::valid_siren) {
                    self.identifier(
                        at,
                        "un SIREN de neuf chiffres dont la clé est juste",
                        "a SIREN of nine digits with a right check digit",
                    );
                }
            }
            Shape::Siret => {
                if !text.is_some_and(identifier::valid_siret) {
                    self.identifier(
                        at,
                        "un SIRET de quatorze chiffres dont la clé est juste",
                        "a SIRET of fourteen digits with a right check digit",
                    );
                }
            }
            // Weak and malformed keys are told apart where the key is read (`party`).
            Shape::Jwk => {
                if !value.is_object() {
                    self.wrong_type(at, "une clé JWK Ed25519", "an Ed25519 JWK");
                }
            }
            Shape::Signature => self.bytes(text, 64, at),
            Shape::Bytes32 => self.bytes(text, 32, at),
            Shape::Position => {
                if value.as_u64().is_none() {
                    fault(
                        self.errors,
                        at,
                        C::NumberNotInteger,
                        "attendu : la position d’une entrée",
                        "expected the position of an entry",
                    );
                }
            }
            Shape::Many(inner) => {
                let (Some(values), Some(clear)) = (value.as_array(), signed.as_array()) else {
                    return self.wrong_type(at, "une liste", "a list");
                };
                self.list_length(values.len(), at);
                for (i, (value, clear)) in values.iter().zip(clear).enumerate() {
                    let at = join(at, &i.to_string());
                    if clear.get("...").is_some() {
                        fault(
                            self.errors,
                            &at,
                            C::DisclosureUnexpected,
                            "cette valeur ne peut pas être dissimulée ; la donner en clair",
                            "this value cannot be concealed; give it in clear",
                        );
                    } else {
                        self.value(inner, clear, value, &at);
                    }
                }
            }
            Shape::ManyConcealed(inner) => {
                let (Some(values), Some(clear)) = (value.as_array(), signed.as_array()) else {
                    return self.wrong_type(at, "une liste", "a list");
                };
                self.list_length(values.len(), at);
                for (i, (value, clear)) in values.iter().zip(clear).enumerate() {
                    let at = join(at, &i.to_string());
                    if clear.get("...").is_none() {
                        self.in_clear(&at);
                    } else if let Some(value) = value.get("value") {
                        self.value(inner, &Value::Null, value, &at);
                    }
                }
            }
            Shape::Object(fields) => self.object(fields, signed, value, at),
        }
    }

    fn list_length(&mut self, length: usize, at: &str) {
        if length > MAX_LIST {
            self.wrong_type(
                at,
                "une liste de 2 000 éléments au plus",
                "a list of at most 2,000 elements",
            );
        }
    }

    fn identifier(&mut self, at: &str, fr: &str, en: &str) {
        fault(
            self.errors,
            at,
            C::IdentifierInvalid,
            format!("attendu : {fr}"),
            format!("expected {en}"),
        );
    }

    fn bytes(&mut self, text: Option<&str>, length: usize, at: &str) {
        let right = text
            .and_then(crate::encoding::base64url_decode)
            .is_some_and(|bytes| bytes.len() == length);
        if !right {
            self.identifier(
                at,
                &format!("{length} octets en base64url sans remplissage"),
                &format!("{length} bytes in unpadded base64url"),
            );
        }
    }
}

fn join(at: &str, name: &str) -> String {
    let mut pointer = String::with_capacity(at.len() + 1 + name.len());
    pointer.push_str(at);
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
    pointer
}

/// The table as JSON, for `GET /v1/vocabulary`.
pub fn describe() -> Value {
    fn shape(s: &Shape) -> Value {
        match s {
            Shape::Text => json!("text"),
            Shape::Slug => json!("slug"),
            Shape::Ref(stream) => json!({"ref": stream}),
            Shape::Code(list) => json!({"code": list.name()}),
            Shape::OneOf(names) => json!({"one_of": names}),
            Shape::Bool => json!("boolean"),
            Shape::Int(low, high) => json!({"integer": [low, high]}),
            Shape::Edtf => json!("edtf"),
            Shape::Siren => json!("siren"),
            Shape::Siret => json!("siret"),
            Shape::Jwk => json!("jwk"),
            Shape::Signature => json!("base64url-64"),
            Shape::Bytes32 => json!("base64url-32"),
            Shape::Position => json!("position"),
            Shape::Many(inner) => json!({"list": shape(inner)}),
            Shape::ManyConcealed(inner) => json!({"list": shape(inner), "concealed": true}),
            Shape::Object(f) => json!({"object": fields(f)}),
        }
    }
    fn fields(list: &[Field]) -> Value {
        list.iter()
            .map(|f| {
                json!({"name": f.name, "shape": shape(&f.shape), "required": f.required,
                       "concealed": f.concealed})
            })
            .collect()
    }
    Kind::ALL
        .iter()
        .map(|kind| {
            json!({"kind": kind, "event": kind.event(), "roles": kind.roles(),
                   "body": fields(kind.fields()), "concealed": kind.concealed_paths()})
        })
        .collect()
}
