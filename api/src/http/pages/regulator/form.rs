//! Searches whose whole state is the address: the fields of a form, what is wrong with each,
//! and addresses that differ in one of them.
//!
//! A value that cannot be read stays in its field, with what is wrong beside it; the others
//! keep theirs.

use std::borrow::Cow;

use greffe_domain::register::Register;
use greffe_domain::vocabulary::CODELISTS;

use super::super::Frame;
use crate::http::Params;
use crate::http::problem::Problem;
use crate::words::{self, Lang};

/// How a field is filled in.
pub enum Input {
    Text,
    Date,
    /// Value and words of each choice.
    Choice(Vec<(String, String)>),
    /// Text, with the values of a list offered.
    Offered(&'static str),
}

pub struct Field {
    pub name: &'static str,
    pub label: Cow<'static, str>,
    pub value: String,
    pub input: Input,
    pub hint: Option<Cow<'static, str>>,
    pub error: Option<String>,
}

impl Field {
    pub fn is_date(&self) -> bool {
        // A browser shows no date that it cannot read: what was typed would be lost.
        matches!(self.input, Input::Date) && self.error.is_none()
    }

    pub fn choices(&self) -> Option<&[(String, String)]> {
        match &self.input {
            Input::Choice(choices) => Some(choices),
            _ => None,
        }
    }

    pub fn offered(&self) -> Option<&'static str> {
        match self.input {
            Input::Offered(list) => Some(list),
            _ => None,
        }
    }

    /// Ids of what describes it, for `aria-describedby`.
    pub fn described_by(&self) -> String {
        let mut ids = Vec::new();
        if self.error.is_some() {
            ids.push(format!("{}-error", self.name));
        }
        if self.hint.is_some() {
            ids.push(format!("{}-hint", self.name));
        }
        ids.join(" ")
    }
}

/// A form as the reader filled it in.
pub struct Form {
    pub path: &'static str,
    pub fields: Vec<Field>,
    /// Values offered, by list.
    pub lists: Vec<(&'static str, Vec<(String, String)>)>,
}

impl Form {
    pub fn new(path: &'static str) -> Self {
        Self { path, fields: Vec::new(), lists: Vec::new() }
    }

    /// Adds a field, with its words and what the address says of it.
    pub fn field(&mut self, frame: &Frame, params: &Params, name: &'static str, input: Input) {
        let key = name.replace('_', "-");
        let hint = crate::words::find_word(frame.lang, &format!("reg-hint-{key}"), None);
        self.fields.push(Field {
            name,
            label: frame.t(&format!("reg-field-{key}")),
            value: params.text(name).unwrap_or_default().to_owned(),
            input,
            hint,
            error: None,
        });
    }

    /// What was read, or nothing and what is wrong beside the field of that name.
    pub fn read<T>(
        &mut self,
        lang: Lang,
        name: &str,
        read: Result<Option<T>, Problem>,
    ) -> Result<Option<T>, Problem> {
        let problem = match read {
            Ok(value) => return Ok(value),
            Err(problem) => problem,
        };
        match self.fields.iter_mut().find(|field| field.name == name) {
            Some(field) if problem.status.is_client_error() => {
                let said = lang.of(&problem.detail);
                // The field's own name is before it already.
                let said = said.split_once(name).map_or(said.as_ref(), |(_, rest)| rest);
                let said = said.trim_start_matches(['`', '»', ' ', '\u{a0}', '\u{202f}', ':']);
                field.error = Some(said.to_owned());
                Ok(None)
            }
            _ => Err(problem),
        }
    }

    pub fn refuse(&mut self, name: &str, why: Cow<'static, str>) {
        if let Some(field) = self.fields.iter_mut().find(|field| field.name == name) {
            field.error = Some(why.into_owned());
        }
    }

    pub fn errors(&self) -> usize {
        self.fields.iter().filter(|field| field.error.is_some()).count()
    }

    /// Whether anything is asked for.
    pub fn is_filled(&self) -> bool {
        self.fields.iter().any(|field| !field.value.is_empty())
    }

    /// The fields filled in, with their values in words.
    pub fn asked(&self) -> Vec<(String, String)> {
        let filled = self.fields.iter().filter(|field| !field.value.is_empty());
        filled
            .map(|field| {
                let chosen = field.choices().and_then(|c| c.iter().find(|c| c.0 == field.value));
                let said = chosen.map_or(&field.value, |(_, words)| words);
                (field.label.clone().into_owned(), said.clone())
            })
            .collect()
    }

    /// The same search at another address, with more in it.
    pub fn at(&self, path: &str, more: &[(&str, &str)]) -> String {
        let kept = self
            .fields
            .iter()
            .map(|field| (field.name, field.value.as_str()))
            .filter(|(name, _)| more.iter().all(|(other, _)| name != other))
            .chain(more.iter().copied());
        address(path, kept)
    }

    pub fn here(&self, more: &[(&str, &str)]) -> String {
        self.at(self.path, more)
    }

    /// Adds what the reader may choose from, where the ledger has few enough of them.
    pub fn offer(&mut self, list: &'static str, values: impl Iterator<Item = (String, String)>) {
        const OFFERED: usize = 100;
        let mut values: Vec<_> = values.take(OFFERED + 1).collect();
        if values.len() <= OFFERED {
            values.sort();
            self.lists.push((list, values));
        }
    }

    pub fn offer_parties(&mut self, register: &Register) {
        let parties = register.parties().map(|(id, p)| (id.clone(), p.name.clone()));
        self.offer("parties", parties);
    }
}

/// A path with its members, those without a value left out.
pub fn address<'a>(path: &str, members: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    let mut address = path.to_owned();
    for (name, value) in members.filter(|(_, value)| !value.is_empty()) {
        address.push(if address.contains('?') { '&' } else { '?' });
        address.push_str(name);
        address.push('=');
        address.push_str(&encode(value));
    }
    address
}

/// A value as it stands in a query (RFC 3986 §2.3).
pub fn encode(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// Choices of a published list of codes, by their words.
pub fn codes(lang: Lang, list: &str) -> Input {
    let terms = CODELISTS.lists.get(list).map(Vec::as_slice).unwrap_or_default();
    let mut choices: Vec<(String, String)> = terms
        .iter()
        .map(|term| {
            (
                term.code.clone(),
                words::spaced(lang, lang.pick(&term.label_fr, &term.label_en)).into_owned(),
            )
        })
        .collect();
    choices.sort_by(|a, b| a.1.cmp(&b.1));
    Input::Choice(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_what_is_filled_in_and_nothing_else() {
        let members = [("q", "l’état & co"), ("by", ""), ("type", "DecisionRendered")];
        assert_eq!(
            address("/regulator/audit", members.into_iter()),
            "/regulator/audit?q=l%E2%80%99%C3%A9tat%20%26%20co&type=DecisionRendered"
        );
    }
}
