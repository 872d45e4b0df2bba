//! Case files: facts to file and answers to expect, played against a service.
//!
//! A case is NDJSON (`tests/cases/README.md`). Several are merged by clock into one ledger.
//! Everything goes through HTTP, as outside: filings are signed with the parties' simulated
//! keys, questions are asked with their tokens. Salts, `jti` and keys are derived from the
//! file and line, so that the same cases give the same filings.

use std::collections::{BTreeMap, HashMap};

use greffe_domain::date::{LegalDate, Timestamp};
use greffe_domain::encoding::base64url;
use greffe_domain::json;
use greffe_domain::key::{enrolment_text, simulated_party_key};
use greffe_domain::rules::regime::Regime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::client::{Answer, Client, encode};
use crate::failure::CliError;
use crate::sign::{Draft, Stamp};

/// Who registers parties in a simulated ledger.
pub const REGISTRAR: &str = "greffe";
/// Origin of the ledger that `replay` opens.
pub const ORIGIN: &str = "replay.greffe.example/cases";

/// One line of a case file.
#[derive(Debug, Clone)]
struct Line {
    number: usize,
    value: Value,
}

/// A case file, read.
#[derive(Debug, Clone)]
pub struct Case {
    pub name: String,
    /// Lines between two settings of the clock, in order.
    segments: Vec<(Timestamp, Vec<Line>)>,
}

/// One expectation, answered.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    pub file: String,
    pub line: usize,
    pub ask: String,
    pub ok: bool,
    /// What differed; empty when it holds.
    pub differences: Vec<String>,
}

#[derive(Debug, Default, Clone, Serialize)]
pub struct Report {
    pub filings: usize,
    pub expectations: Vec<Outcome>,
}

impl Report {
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.expectations.iter().filter(|o| !o.ok)
    }
}

impl Case {
    /// Reads a file's text. Errors name the line.
    pub fn read(name: &str, text: &str) -> Result<Self, CliError> {
        let bad = |number: usize, what: String| {
            CliError::broken(
                format!("{name}:{number}: {what}"),
                "see tests/cases/README.md for the form",
            )
        };
        let mut segments: Vec<(Timestamp, Vec<Line>)> = Vec::new();
        let mut before_clock = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let number = index + 1;
            let value = json::parse(line.as_bytes()).map_err(|e| bad(number, e.to_string()))?;
            let Some(clock) = value.get("clock") else {
                let lines = segments.last_mut().map_or(&mut before_clock, |(_, lines)| lines);
                lines.push(Line { number, value });
                continue;
            };
            let time = clock.as_str().and_then(Timestamp::parse).ok_or_else(|| {
                bad(number, "`clock` is an instant, e.g. 2005-03-10T09:00:00Z".into())
            })?;
            if segments.last().is_some_and(|(last, _)| *last > time) {
                return Err(bad(number, "the clock goes back".into()));
            }
            // What stands before the first clock happens at it.
            segments.push((time, std::mem::take(&mut before_clock)));
        }
        if !before_clock.is_empty() {
            let anything = before_clock.iter().any(|l| l.value.get("comment").is_none());
            if anything {
                return Err(bad(before_clock[0].number, "no `clock` line comes before it".into()));
            }
        }
        Ok(Self { name: name.to_owned(), segments })
    }

    /// How many lines it has, clocks aside.
    pub fn lines(&self) -> usize {
        self.segments.iter().map(|(_, lines)| lines.len()).sum()
    }

    /// When it starts. `None`: it sets no clock.
    pub fn starts(&self) -> Option<Timestamp> {
        self.segments.first().map(|(time, _)| *time)
    }
}

/// The earliest clock of several cases.
pub fn earliest(cases: &[Case]) -> Option<Timestamp> {
    cases.iter().filter_map(Case::starts).min()
}

/// Plays cases against a service, which holds a simulated ledger.
pub struct Player {
    client: Client,
    origin: String,
    tokens: HashMap<String, Client>,
    /// Party line → where it was, so that the same again is no news.
    parties: HashMap<String, (String, Value)>,
    /// (file, line id) → first position.
    ids: HashMap<(String, String), u64>,
    /// Position → who filed it.
    filers: HashMap<u64, String>,
    clock: Timestamp,
    report: Report,
}

impl Player {
    pub fn new(client: Client) -> Result<Self, CliError> {
        let head = client.get("/v1/head")?.accepted()?;
        let origin = head["origin"].as_str().unwrap_or_default().to_owned();
        Ok(Self {
            client,
            origin,
            tokens: HashMap::new(),
            parties: HashMap::new(),
            ids: HashMap::new(),
            filers: HashMap::new(),
            clock: Timestamp::from_micros(0),
            report: Report::default(),
        })
    }

    /// Plays several cases, merged by clock. `progress` is called after each line.
    pub fn play(mut self, cases: &[Case], mut progress: impl FnMut()) -> Result<Report, CliError> {
        // A segment's time, then the order of the files, then that within the file.
        let mut order: BTreeMap<(Timestamp, usize, usize), &[Line]> = BTreeMap::new();
        for (file, case) in cases.iter().enumerate() {
            for (segment, (time, lines)) in case.segments.iter().enumerate() {
                order.insert((*time, file, segment), lines);
            }
        }
        for ((time, file, _), lines) in order {
            self.clock = time;
            for line in lines {
                self.line(&cases[file].name, line)?;
                progress();
            }
        }
        Ok(self.report)
    }

    fn line(&mut self, file: &str, line: &Line) -> Result<(), CliError> {
        let here = format!("{file}:{}", line.number);
        let value = &line.value;
        if value.get("comment").is_some() {
            return Ok(());
        }
        if value.get("party").is_some() {
            return self.party(&here, value);
        }
        if let Some(expected) = value.get("expect") {
            let expected = self.resolve(file, expected, &here)?;
            let differences = self.expect(file, &here, &expected)?;
            self.report.expectations.push(Outcome {
                file: file.to_owned(),
                line: line.number,
                ask: text(&expected, "ask").to_owned(),
                ok: differences.is_empty(),
                differences,
            });
            return Ok(());
        }
        if value.get("by").is_some() {
            let resolved = self.resolve(file, value, &here)?;
            let answer = self.submit(&here, &resolved)?;
            if !answer.is_ok() {
                let error = answer.accepted().err();
                let what = error.map(|e| e.to_string()).unwrap_or_default();
                return Err(CliError::no(format!("{here}: {what}"), "correct the case file"));
            }
            self.report.filings += 1;
            let position = answer.body["receipts"][0]["position"].as_u64().unwrap_or_default();
            self.filers.insert(position, text(&resolved, "by").to_owned());
            if let Some(id) = value["id"].as_str() {
                self.ids.insert((file.to_owned(), id.to_owned()), position);
            }
            return Ok(());
        }
        Err(CliError::broken(
            format!("{here}: neither clock, party, by, expect nor comment"),
            "see tests/cases/README.md for the form",
        ))
    }

    fn party(&mut self, here: &str, value: &Value) -> Result<(), CliError> {
        let party = text(value, "party").to_owned();
        if let Some((first, known)) = self.parties.get(&party) {
            if known == value {
                return Ok(());
            }
            return Err(CliError::broken(
                format!("{here}: `{party}` is not the party registered at {first}"),
                "write the same line, or choose another id",
            ));
        }
        let key = simulated_party_key(&party);
        let proof = key.sign(enrolment_text(&self.origin, &party, key.public().kid()).as_bytes());
        let mut body = json!({
            "party": party, "name": value["name"], "roles": value["roles"],
            "key": key.public().to_jwk(), "proof": base64url(&proof),
        });
        if let Some(siren) = value.get("siren") {
            body["siren"] = siren.clone();
        }
        let filing = json!({
            "by": REGISTRAR, "kind": "party.register", "evidence": "act", "body": body,
        });
        self.submit(here, &filing)?
            .accepted()
            .map_err(|error| CliError::no(format!("{here}: {error}"), "correct the party line"))?;
        self.parties.insert(party, (here.to_owned(), value.clone()));
        self.report.filings += 1;
        Ok(())
    }

    /// Signs and sends what a line files.
    fn submit(&self, here: &str, line: &Value) -> Result<Answer, CliError> {
        let by = text(line, "by");
        let mut members = serde_json::Map::new();
        members.insert("iss".into(), by.into());
        for name in ["kind", "at", "evidence", "reference", "body"] {
            if let Some(value) = line.get(name) {
                members.insert(name.into(), value.clone());
            }
        }
        let draft = match Draft::from_value(Value::Object(members)) {
            Ok(draft) => draft,
            Err(refusal) => {
                // What cannot even be signed is refused as the service would.
                let body = json!({"code": refusal.code.as_str(), "detail": refusal.detail.en});
                return Ok(Answer { status: 400, body });
            }
        };
        let mut counter = 0u64;
        let mut salts = || {
            counter += 1;
            let seed = blake3::derive_key(
                "greffe v1 replay salt",
                format!("{here}\n{counter}").as_bytes(),
            );
            let mut salt = [0; 16];
            salt.copy_from_slice(&seed[..16]);
            salt
        };
        let iat = self.clock.unix_seconds();
        let stamp = Stamp { aud: &self.origin, iat, jti: here };
        let signed = draft.sign(&stamp, &mut salts, &simulated_party_key(by));
        self.client.post("/v1/filings", "application/sd-jwt", &signed)
    }

    /// Puts positions for `{"$position":"id"}` and `{id}` in paths.
    fn resolve(&self, file: &str, value: &Value, here: &str) -> Result<Value, CliError> {
        Ok(match value {
            Value::Object(members) => {
                if let (1, Some(Value::String(id))) = (members.len(), members.get("$position")) {
                    return Ok(self.position(file, id, here)?.into());
                }
                let mut out = serde_json::Map::new();
                for (name, value) in members {
                    let value = if name == "path" {
                        Value::String(self.resolve_path(
                            file,
                            value.as_str().unwrap_or_default(),
                            here,
                        )?)
                    } else {
                        self.resolve(file, value, here)?
                    };
                    out.insert(name.clone(), value);
                }
                Value::Object(out)
            }
            Value::Array(values) => Value::Array(
                values.iter().map(|v| self.resolve(file, v, here)).collect::<Result<_, _>>()?,
            ),
            other => other.clone(),
        })
    }

    fn resolve_path(&self, file: &str, path: &str, here: &str) -> Result<String, CliError> {
        let mut out = String::new();
        let mut rest = path;
        while let Some((before, after)) = rest.split_once('{') {
            let Some((id, after)) = after.split_once('}') else { break };
            out.push_str(before);
            out.push_str(&self.position(file, id, here)?.to_string());
            rest = after;
        }
        out.push_str(rest);
        Ok(out)
    }

    fn position(&self, file: &str, id: &str, here: &str) -> Result<u64, CliError> {
        self.ids.get(&(file.to_owned(), id.to_owned())).copied().ok_or_else(|| {
            CliError::broken(
                format!("{here}: no line before it has the id `{id}`"),
                "name a line with \"id\" first",
            )
        })
    }

    /// The service, asked as that party.
    fn signed_in(&mut self, party: &str) -> Result<Client, CliError> {
        if let Some(client) = self.tokens.get(party) {
            return Ok(client.clone());
        }
        let client = self.client.signed_in(party, &simulated_party_key(party))?;
        self.tokens.insert(party.to_owned(), client.clone());
        Ok(client)
    }

    fn expect(
        &mut self,
        file: &str,
        here: &str,
        expected: &Value,
    ) -> Result<Vec<String>, CliError> {
        match text(expected, "ask") {
            "access" => self.expect_access(file, here, expected),
            "generalise" => {
                let question = json!({
                    "kind": "generalise.decide", "at": expected["at"],
                    "body": {"about": expected["about"]},
                });
                let answer = self.judge(with_known_at(question, expected), None)?;
                Ok(compare_findings(&answer, expected))
            }
            "regime" => {
                let day = LegalDate::parse(text(expected, "at"));
                let found = day.map(|day| Regime::on(day).as_str());
                Ok(if found == expected["is"].as_str() {
                    Vec::new()
                } else {
                    vec![format!("the regime is {}", found.unwrap_or("not known: `at` is a day"))]
                })
            }
            "get" => {
                let client = match expected["as"].as_str() {
                    Some(party) => self.signed_in(party)?,
                    None => self.client.clone(),
                };
                let answer = client.get(text(expected, "path"))?;
                if !answer.is_ok() {
                    return Ok(vec![format!("answered {} {}", answer.status, answer.body)]);
                }
                let mut differences = Vec::new();
                contains(&answer.body, &expected["has"], "", &mut differences);
                Ok(differences)
            }
            "reject" => {
                let mut line = expected.clone();
                if line.get("evidence").is_none() {
                    line["evidence"] = "act".into();
                }
                // Another name than the line's own filing, should both be on one line.
                let answer = self.submit(&format!("{here}/reject"), &line)?;
                let wanted = text(expected, "code");
                Ok(if answer.is_ok() {
                    vec![format!("accepted; expected the refusal {wanted}")]
                } else if answer.code() != wanted {
                    vec![format!(
                        "refused with {}; expected {wanted}: {}",
                        answer.code(),
                        text(&answer.body, "detail")
                    )]
                } else {
                    Vec::new()
                })
            }
            other => Err(CliError::broken(
                format!("{here}: `{other}` is not something to ask"),
                "ask access, generalise, regime, get or reject",
            )),
        }
    }

    fn expect_access(
        &mut self,
        file: &str,
        here: &str,
        expected: &Value,
    ) -> Result<Vec<String>, CliError> {
        let position = match &expected["position"] {
            Value::Null => None,
            Value::String(id) => Some(self.position(file, id, here)?),
            number => number.as_u64(),
        };
        let Some(position) = position else {
            let question =
                json!({"kind": "access.request", "at": expected["at"], "body": expected["body"]});
            let recipient = text(&expected["body"]["recipient"], "party").to_owned();
            let answer = self.judge(with_known_at(question, expected), Some(&recipient))?;
            return Ok(compare_findings(&answer, expected));
        };
        let filer = self.filers.get(&position).cloned().unwrap_or_else(|| REGISTRAR.to_owned());
        let client = self.signed_in(&filer)?;
        let known_at = match &expected["known_at"] {
            Value::Null => String::new(),
            Value::String(at) => format!("?known_at={}", encode(at)),
            at => format!("?known_at={at}"),
        };
        let answer = client.get(&format!("/v1/accesses/{position}{known_at}"))?;
        if !answer.is_ok() {
            return Ok(vec![format!("answered {} {}", answer.status, answer.body)]);
        }
        Ok(compare_findings(&answer.body["now"], expected))
    }

    /// A dry run. A recipient may judge what it would receive; a generalisation is anyone's.
    fn judge(&mut self, question: Value, party: Option<&str>) -> Result<Value, CliError> {
        let party = match party {
            Some(party) if self.parties.contains_key(party) => party.to_owned(),
            _ => REGISTRAR.to_owned(),
        };
        let client = self.signed_in(&party)?;
        let answer = client.post("/v1/judgements", "application/json", &question.to_string())?;
        Ok(if answer.is_ok() {
            answer.body
        } else {
            json!({"verdict": format!("refused: {}", answer.body)})
        })
    }
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_default()
}

fn with_known_at(mut question: Value, expected: &Value) -> Value {
    if let Some(known_at) = expected.get("known_at") {
        question["known_at"] = known_at.clone();
    }
    if question["at"].is_null()
        && let Some(members) = question.as_object_mut()
    {
        members.remove("at");
    }
    question
}

/// Holds a verdict against what was expected: verdict, findings (each wanted one needs one
/// of its own), findings that must be absent.
fn compare_findings(verdict: &Value, expected: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    if let Some(wanted) = expected["verdict"].as_str()
        && text(verdict, "verdict") != wanted
    {
        differences.push(format!("the verdict is {}, not {wanted}", text(verdict, "verdict")));
    }
    let none = Vec::new();
    let found = verdict["findings"].as_array().unwrap_or(&none);
    let mut left: Vec<&Value> = found.iter().collect();
    for wanted in expected["findings"].as_array().unwrap_or(&none) {
        let code = wanted.as_str().unwrap_or_else(|| text(wanted, "code"));
        let evidence = wanted["evidence"].as_str();
        let place = left.iter().position(|f| {
            text(f, "code") == code && evidence.is_none_or(|e| text(f, "evidence") == e)
        });
        match place {
            Some(place) => {
                left.remove(place);
            }
            None => differences.push(format!("{code} {} is missing", evidence.unwrap_or_default())),
        }
    }
    for absent in expected["absent"].as_array().unwrap_or(&none) {
        if found.iter().any(|f| f["code"] == *absent) {
            differences.push(format!("{absent} must not be there"));
        }
    }
    if !differences.is_empty() {
        let list: Vec<String> =
            found.iter().map(|f| format!("{} {}", text(f, "code"), text(f, "evidence"))).collect();
        differences.push(format!("found {}: {}", text(verdict, "verdict"), list.join(", ")));
    }
    differences
}

/// Whether `found` holds all of `wanted`: objects member by member, arrays element by
/// element, everything else equal.
fn contains(found: &Value, wanted: &Value, at: &str, differences: &mut Vec<String>) {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            for (name, wanted) in wanted {
                match found.get(name) {
                    Some(found) => contains(found, wanted, &format!("{at}/{name}"), differences),
                    None => differences.push(format!("{at}/{name} is missing")),
                }
            }
        }
        (Value::Array(found), Value::Array(wanted)) if found.len() >= wanted.len() => {
            for (i, (found, wanted)) in found.iter().zip(wanted).enumerate() {
                contains(found, wanted, &format!("{at}/{i}"), differences);
            }
        }
        (found, wanted) if found == wanted => {}
        (found, wanted) => differences.push(format!("{at} is {found}, not {wanted}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_expected_finding_needs_one_of_its_own() {
        let verdict = json!({"verdict": "X", "findings": [{"code": "A", "evidence": "UNCERTAIN"}]});
        assert!(compare_findings(&verdict, &json!({"findings": ["A"]})).is_empty());
        assert!(!compare_findings(&verdict, &json!({"findings": ["A", "A"]})).is_empty());
        assert!(!compare_findings(&verdict, &json!({"absent": ["A"]})).is_empty());
        let wrong = json!({"findings": [{"code": "A", "evidence": "CONTRADICTED"}]});
        assert!(!compare_findings(&verdict, &wrong).is_empty());
    }

    #[test]
    fn a_clock_that_goes_back_names_its_line() {
        let text = "{\"clock\":\"2005-01-02T00:00:00Z\"}\n{\"clock\":\"2005-01-01T00:00:00Z\"}\n";
        let error = Case::read("x.ndjson", text).expect_err("back in time");
        assert!(error.to_string().starts_with("x.ndjson:2"), "{error}");
    }
}
