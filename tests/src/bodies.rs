//! Bodies made from the schema itself: the fullest and the barest that a kind allows.
//!
//! What the schema says a field is, is all that is known here; whoever reads the result
//! (`schema::check`, `Body::read`) is put to the test by it.

use greffe_domain::encoding::base64url;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_domain::schema::{Field, List, Shape};
use greffe_domain::vocabulary::{
    Category, FormalityKind, Identifiability, InformationStep, LegalBasis, Outcome, Purpose,
    RecipientRole, RuleCode,
};
use serde_json::{Map, Value, json};

/// Which optional members a body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Members {
    All,
    Required,
}

/// A body of that kind, personal values in clear.
pub fn body(kind: Kind, members: Members) -> Value {
    let mut body = object(kind.fields(), members);
    if matches!(kind, Kind::AccessRequest | Kind::AccessReport) {
        // Individuals or a cohort, one of them and not both.
        match members {
            Members::All => drop(body.remove("subjects")),
            Members::Required => {
                let subjects = kind.fields().iter().find(|f| f.name == "subjects");
                let shape = &subjects.expect("an access may have subjects").shape;
                body.insert("subjects".to_owned(), value(shape, Members::All));
            }
        }
    }
    body.into()
}

fn object(fields: &[Field], members: Members) -> Map<String, Value> {
    fields
        .iter()
        .filter(|field| field.required || members == Members::All)
        .map(|field| (field.name.to_owned(), value(&field.shape, members)))
        .collect()
}

fn value(shape: &Shape, members: Members) -> Value {
    match shape {
        Shape::Text => "un texte".into(),
        Shape::Slug | Shape::Ref(_) => "un-identifiant".into(),
        Shape::Code(list) => code(*list).into(),
        Shape::OneOf(words) => words[words.len() - 1].into(),
        Shape::Bool => true.into(),
        Shape::Int(low, high) => if members == Members::All { *high } else { *low }.into(),
        Shape::Edtf => "2017-11/2018-05-24".into(),
        Shape::Siren => "732829320".into(),
        Shape::Siret => "73282932000074".into(),
        Shape::Jwk => simulated_party_key("une-partie").public().to_jwk(),
        Shape::Signature => base64url(&[7; 64]).into(),
        Shape::Bytes32 => base64url(&[7; 32]).into(),
        Shape::Position => json!(3),
        Shape::Many(inner) | Shape::ManyConcealed(inner) => match members {
            Members::All => json!([value(inner, members), value(inner, members)]),
            Members::Required => json!([]),
        },
        Shape::Object(fields) => object(fields, members).into(),
    }
}

fn code(list: List) -> &'static str {
    fn last<T>(mut all: impl Iterator<Item = T>, text: impl Fn(T) -> &'static str) -> &'static str {
        let first = all.next().expect("no code list is empty");
        text(all.last().unwrap_or(first))
    }
    match list {
        List::Purpose => last(Purpose::all(), Purpose::as_str),
        List::Category => last(Category::all(), Category::as_str),
        List::RecipientRole => last(RecipientRole::all(), RecipientRole::as_str),
        List::LegalBasis => last(LegalBasis::all(), LegalBasis::as_str),
        List::Formality => last(FormalityKind::all(), FormalityKind::as_str),
        List::Outcome => last(Outcome::all(), Outcome::as_str),
        List::Step => last(InformationStep::all(), InformationStep::as_str),
        List::Identifiability => last(Identifiability::all(), Identifiability::as_str),
        List::Rule => last(RuleCode::all(), RuleCode::as_str),
    }
}
