//! Case files: what was recorded, when, by whom, and what the ledger must answer.
//!
//! `files → lines merged by clock → filings and questions → Report`. Everything goes through
//! the routes of the service (`client.rs`). Keys are derived from party ids, salts and `jti`
//! from the file's name and the line, so that a replay signs the same bytes each time.
//! Format: `tests/cases/README.md`.

use std::collections::HashMap;

use greffe_domain::date::Timestamp;
use greffe_domain::encoding::base64url;
use greffe_domain::json;
use greffe_domain::key::{SecretKey, enrolment_text, simulated_party_key};
use serde_json::{Value, json};

use crate::client::{Answer, Client, ClientError};
use crate::sign::{Draft, Stamp};

/// Registrar of the ledgers that replays open.
pub const REGISTRAR: &str = "greffe";
/// Their origin.
pub const ORIGIN: &str = "replay.greffe.example/cases";

/// A line that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{file}, line {line}: {what}")]
pub struct CaseError {
    pub file: String,
    pub line: usize,
    pub what: String,
}

/// Why a replay stopped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error(transparent)]
    Case(#[from] CaseError),
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// A case file, read.
#[derive(Debug, Clone)]
pub struct CaseFile {
    /// Its name without directories: part of what salts are derived from.
    pub name: String,
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
struct Line {
    number: usize,
    clock: Timestamp,
    value: Value,
}

impl CaseFile {
    pub fn parse(name: &str, text: &str) -> Result<Self, CaseError> {
        let mut lines = Vec::new();
        let mut clock: Option<Timestamp> = None;
        for (i, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let number = i + 1;
            let error = |what: String| CaseError { file: name.to_owned(), line: number, what };
            let value = json::parse(line.as_bytes()).map_err(|e| error(e.to_string()))?;
            if value.get("comment").is_some() {
                continue;
            }
            if let Some(text) = value.get("clock") {
                let time = text.as_str().and_then(Timestamp::parse).ok_or_else(|| {
                    error("`clock` is a UTC time, e.g. 2005-03-10T09:00:00Z".into())
                })?;
                if clock.is_some_and(|before| time < before) {
                    return Err(error("the clock of a file never goes back".into()));
                }
                clock = Some(time);
                continue;
            }
            let known = ["party", "by", "expect"].iter().any(|m| value.get(m).is_some());
            if !known {
                return Err(error(
                    "expected one of `comment`, `clock`, `party`, `by` (a filing), `expect`".into(),
                ));
            }
            let clock = clock.ok_or_else(|| error("set the `clock` first".into()))?;
            lines.push(Line { number, clock, value });
        }
        Ok(Self { name: name.to_owned(), lines })
    }

    /// Time of its first line, if it has one.
    pub fn starts(&self) -> Option<Timestamp> {
        self.lines.first().map(|l| l.clock)
    }
}

/// One thing that was not as it must be.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Failure {
    pub file: String,
    pub line: usize,
    pub what: String,
}

#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct FileReport {
    pub file: String,
    /// Entries recorded, parties included.
    pub entries: usize,
    pub expectations: usize,
    pub met: usize,
    pub failures: Vec<Failure>,
}

#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Report {
    pub files: Vec<FileReport>,
}

impl Report {
    pub fn is_met(&self) -> bool {
        self.files.iter().all(|f| f.failures.is_empty())
    }

    pub fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.files.iter().flat_map(|f| &f.failures)
    }
}

/// Plays case files, merged by clock. `registrar`: the key that registers parties.
/// `progress`: called with the lines played and their number.
pub fn play(
    files: &[CaseFile],
    client: &Client,
    registrar: &SecretKey,
    mut progress: impl FnMut(usize, usize),
) -> Result<Report, ReplayError> {
    let mut merged: Vec<(usize, &Line)> = files
        .iter()
        .enumerate()
        .flat_map(|(f, file)| file.lines.iter().map(move |l| (f, l)))
        .collect();
    // Stable: lines of one clock keep the order of files, then of lines.
    merged.sort_by_key(|(_, line)| line.clock);
    let mut player = Player {
        client,
        registrar,
        origin: client.origin()?,
        names: vec![HashMap::new(); files.len()],
        authors: HashMap::new(),
        parties: HashMap::new(),
        tokens: HashMap::new(),
        report: Report {
            files: files
                .iter()
                .map(|f| FileReport { file: f.name.clone(), ..FileReport::default() })
                .collect(),
        },
    };
    let total = merged.len();
    for (done, (file, line)) in merged.into_iter().enumerate() {
        player.line(file, &files[file].name, line)?;
        progress(done + 1, total);
    }
    Ok(player.report)
}

struct Player<'a> {
    client: &'a Client,
    registrar: &'a SecretKey,
    origin: String,
    /// For each file: line id → first position of that filing.
    names: Vec<HashMap<String, u64>>,
    /// First position of a named filing → who filed it.
    authors: HashMap<u64, String>,
    /// Parties registered, as their line says.
    parties: HashMap<String, Value>,
    tokens: HashMap<String, String>,
    report: Report,
}

/// Where a line stands, for derivations and messages.
#[derive(Clone, Copy)]
struct Place<'a> {
    file: usize,
    name: &'a str,
    line: &'a Line,
}

impl Player<'_> {
    fn line(&mut self, file: usize, name: &str, line: &Line) -> Result<(), ReplayError> {
        let place = Place { file, name, line };
        let outcome = if line.value.get("party").is_some() {
            self.register(place)
        } else if let Some(expect) = line.value.get("expect") {
            self.report.files[file].expectations += 1;
            self.expect(place, expect).map(|o| o.map(|()| self.report.files[file].met += 1))
        } else {
            self.file(place)
        }?;
        if let Err(what) = outcome {
            let failure = Failure { file: name.to_owned(), line: line.number, what };
            self.report.files[file].failures.push(failure);
        }
        Ok(())
    }

    /// The inner error says what was not as it must be; the outer one stops the replay.
    fn register(&mut self, place: Place<'_>) -> Outcome {
        let value = &place.line.value;
        let Some(id) = value["party"].as_str() else {
            return Ok(Err("`party` is an id".to_owned()));
        };
        if let Some(before) = self.parties.get(id) {
            return Ok(if before == value {
                Ok(())
            } else {
                Err(format!("the party `{id}` is written differently elsewhere"))
            });
        }
        let key = simulated_party_key(id);
        let kid = key.public().kid();
        let proof = key.sign(enrolment_text(&self.origin, id, kid).as_bytes());
        let mut body = json!({
            "party": id, "name": value["name"], "roles": value["roles"],
            "key": key.public().to_jwk(), "proof": base64url(&proof),
        });
        if let Some(siren) = value.get("siren") {
            body["siren"] = siren.clone();
        }
        let draft = json!({
            "iss": REGISTRAR, "kind": "party.register", "evidence": "act", "body": body,
        });
        let answer = match self.sign(place, draft, self.registrar) {
            Err(what) => return Ok(Err(what)),
            Ok(text) => self.client.submit(&text)?,
        };
        if answer.is_success() {
            self.report.files[place.file].entries += 1;
        } else if !(answer.code() == "already-exists" && self.is_registered(id, value)?) {
            return Ok(Err(format!("registering `{id}`: {}", answer.problem())));
        }
        self.parties.insert(id.to_owned(), value.clone());
        Ok(Ok(()))
    }

    fn is_registered(&self, id: &str, value: &Value) -> Result<bool, ClientError> {
        let known = self.client.get(&format!("/v1/parties/{id}"), None)?.body;
        Ok(known["name"] == value["name"] && known["roles"] == value["roles"])
    }

    fn file(&mut self, place: Place<'_>) -> Outcome {
        let mut value = place.line.value.clone();
        let Some(members) = value.as_object_mut() else {
            return Ok(Err("a filing is an object".to_owned()));
        };
        let id = members.remove("id");
        let (by, answer) = match self.submit(place, value)? {
            Err(what) => return Ok(Err(what)),
            Ok(answered) => answered,
        };
        if !answer.is_success() {
            return Ok(Err(format!("refused: {}", answer.problem())));
        }
        let receipts = answer.body["receipts"].as_array().map_or(0, Vec::len);
        self.report.files[place.file].entries += receipts;
        if let Some(id) = id {
            let position = answer.body["receipts"][0]["position"].as_u64();
            let (Some(id), Some(position)) = (id.as_str(), position) else {
                return Ok(Err("`id` is a text".to_owned()));
            };
            self.names[place.file].insert(id.to_owned(), position);
            self.authors.insert(position, by);
        }
        Ok(Ok(()))
    }

    /// Signs and sends what a line or an expectation files; answers who filed, and the answer.
    fn submit(
        &mut self,
        place: Place<'_>,
        value: Value,
    ) -> Result<Result<(String, Answer), String>, ReplayError> {
        let mut value = value;
        if let Err(what) = self.substitute(place.file, &mut value) {
            return Ok(Err(what));
        }
        let Some(members) = value.as_object_mut() else {
            return Ok(Err("a filing is an object".to_owned()));
        };
        let Some(Value::String(by)) = members.remove("by") else {
            return Ok(Err("`by` names the party that files".to_owned()));
        };
        members.insert("iss".to_owned(), by.as_str().into());
        let key = if by == REGISTRAR { self.registrar.clone() } else { simulated_party_key(&by) };
        match self.sign(place, value, &key) {
            Err(what) => Ok(Err(what)),
            Ok(text) => Ok(Ok((by, self.client.submit(&text)?))),
        }
    }

    fn sign(&self, place: Place<'_>, draft: Value, key: &SecretKey) -> Result<String, String> {
        let draft =
            Draft::from_value(draft).map_err(|r| format!("{} ({})", r.detail.en, r.code))?;
        let jti = format!("replay/{}/{}", place.name, place.line.number);
        let stamp = Stamp { aud: &self.origin, iat: place.line.clock.unix_seconds(), jti: &jti };
        let mut drawn = 0u64;
        let mut salts = || {
            drawn += 1;
            derived_salt(place.name, place.line.number, drawn)
        };
        Ok(draft.sign(&stamp, &mut salts, key))
    }

    /// Replaces every `{"$position":"id"}` by the position of that line's filing.
    fn substitute(&self, file: usize, value: &mut Value) -> Result<(), String> {
        match value {
            Value::Array(values) => values.iter_mut().try_for_each(|v| self.substitute(file, v)),
            Value::Object(members) => {
                if let (1, Some(name)) = (members.len(), members.get("$position")) {
                    let name = name.as_str().unwrap_or_default();
                    *value = self.position(file, name)?.into();
                    return Ok(());
                }
                members.values_mut().try_for_each(|v| self.substitute(file, v))
            }
            _ => Ok(()),
        }
    }

    fn position(&self, file: usize, name: &str) -> Result<u64, String> {
        self.names[file]
            .get(name)
            .copied()
            .ok_or_else(|| format!("no filing named `{name}` was recorded before this line"))
    }

    fn token(&mut self, party: &str) -> Result<Result<String, String>, ReplayError> {
        if let Some(token) = self.tokens.get(party) {
            return Ok(Ok(token.clone()));
        }
        Ok(match self.client.token(party, &simulated_party_key(party))? {
            Err(answer) => Err(format!("no token for `{party}`: {}", answer.problem())),
            Ok(token) => {
                self.tokens.insert(party.to_owned(), token.clone());
                Ok(token)
            }
        })
    }

    fn expect(&mut self, place: Place<'_>, expect: &Value) -> Outcome {
        match expect["ask"].as_str() {
            Some("access") => self.expect_access(place, expect),
            Some("generalise") => self.expect_generalise(expect),
            Some("regime") => self.expect_regime(expect),
            Some("get") => self.expect_get(place, expect),
            Some("reject") => self.expect_reject(place, expect),
            _ => Ok(Err("`ask` is one of access, generalise, regime, get, reject".to_owned())),
        }
    }

    fn expect_access(&mut self, place: Place<'_>, expect: &Value) -> Outcome {
        let verdict = match expect["position"].as_str() {
            Some(name) => {
                let position = match self.position(place.file, name) {
                    Ok(position) => position,
                    Err(what) => return Ok(Err(what)),
                };
                let by = self.authors.get(&position).cloned().unwrap_or_default();
                let token = match self.token(&by)? {
                    Ok(token) => token,
                    Err(what) => return Ok(Err(what)),
                };
                let known = match &expect["known_at"] {
                    Value::String(text) => format!("?known_at={text}"),
                    Value::Number(n) => format!("?known_at={n}"),
                    _ => String::new(),
                };
                let path = format!("/v1/accesses/{position}{known}");
                let answer = self.client.get(&path, Some(&token))?;
                if !answer.is_success() {
                    return Ok(Err(answer.problem()));
                }
                answer.body["now"].clone()
            }
            None => {
                let mut body = expect["body"].clone();
                if let Err(what) = self.substitute(place.file, &mut body) {
                    return Ok(Err(what));
                }
                let asks = body["discloser"].as_str().or(body["recipient"]["party"].as_str());
                let asks = asks.unwrap_or_default().to_owned();
                let token = match self.token(&asks)? {
                    Ok(token) => token,
                    Err(what) => return Ok(Err(what)),
                };
                let mut question = json!({"kind": "access.request", "body": body});
                for name in ["at", "known_at"] {
                    if let Some(value) = expect.get(name) {
                        question[name] = value.clone();
                    }
                }
                let answer = self.client.post_json("/v1/judgements", &question, Some(&token))?;
                if !answer.is_success() {
                    return Ok(Err(answer.problem()));
                }
                answer.body
            }
        };
        Ok(compare_verdict(expect, &verdict))
    }

    fn expect_generalise(&mut self, expect: &Value) -> Outcome {
        // The register is public; a judgement is asked for by a party, whichever it is.
        let mut parties: Vec<&String> = self.parties.keys().collect();
        parties.sort();
        let Some(party) = parties.first().map(|p| (*p).clone()) else {
            return Ok(Err("register a party first".to_owned()));
        };
        let token = match self.token(&party)? {
            Ok(token) => token,
            Err(what) => return Ok(Err(what)),
        };
        let mut question = json!({"kind": "generalise.decide", "body": {"about": expect["about"]}});
        for name in ["at", "known_at"] {
            if let Some(value) = expect.get(name) {
                question[name] = value.clone();
            }
        }
        let answer = self.client.post_json("/v1/judgements", &question, Some(&token))?;
        if !answer.is_success() {
            return Ok(Err(answer.problem()));
        }
        Ok(compare_verdict(expect, &answer.body))
    }

    fn expect_regime(&mut self, expect: &Value) -> Outcome {
        let day = expect["at"].as_str().unwrap_or_default();
        let answer = self.client.get(&format!("/v1/regimes?at={day}"), None)?;
        if !answer.is_success() {
            return Ok(Err(answer.problem()));
        }
        let found = &answer.body["regime"];
        Ok(if *found == expect["is"] {
            Ok(())
        } else {
            Err(format!("regime on {day}: expected {}, got {found}", expect["is"]))
        })
    }

    fn expect_get(&mut self, place: Place<'_>, expect: &Value) -> Outcome {
        let mut path = expect["path"].as_str().unwrap_or_default().to_owned();
        while let Some((before, rest)) = path.split_once('{') {
            let Some((name, after)) = rest.split_once('}') else { break };
            match self.position(place.file, name) {
                Ok(position) => path = format!("{before}{position}{after}"),
                Err(what) => return Ok(Err(what)),
            }
        }
        let token = match expect["as"].as_str() {
            None => None,
            Some(party) => match self.token(party)? {
                Ok(token) => Some(token),
                Err(what) => return Ok(Err(what)),
            },
        };
        let answer = self.client.get(&path, token.as_deref())?;
        if !answer.is_success() {
            return Ok(Err(format!("GET {path}: {}", answer.problem())));
        }
        let mut has = expect["has"].clone();
        if let Err(what) = self.substitute(place.file, &mut has) {
            return Ok(Err(what));
        }
        Ok(match difference(&has, &answer.body, "") {
            None => Ok(()),
            Some(what) => Err(format!("GET {path}: {what}")),
        })
    }

    fn expect_reject(&mut self, place: Place<'_>, expect: &Value) -> Outcome {
        let mut value = expect.clone();
        let members = value.as_object_mut().expect("`ask` was read from an object");
        members.remove("ask");
        let expected = members.remove("code").unwrap_or_default();
        let (_, answer) = match self.submit(place, value)? {
            Err(what) => return Ok(Err(what)),
            Ok(answered) => answered,
        };
        Ok(if answer.is_success() {
            Err(format!("expected to be refused with {expected}, was recorded"))
        } else if expected == answer.code() {
            Ok(())
        } else {
            Err(format!("expected to be refused with {expected}, got {}", answer.problem()))
        })
    }
}

/// Inside: what was not as it must be.
type Outcome = Result<Result<(), String>, ReplayError>;

/// Salt of the `drawn`-th value concealed on a line: the same at each replay.
fn derived_salt(file: &str, line: usize, drawn: u64) -> [u8; 16] {
    let material = format!("{file}\n{line}\n{drawn}\n");
    let full = blake3::derive_key("greffe v1 replay salt", material.as_bytes());
    let mut salt = [0; 16];
    salt.copy_from_slice(&full[..16]);
    salt
}

/// Holds a verdict against `verdict`, `findings` (a subset, with multiplicity) and `absent`.
fn compare_verdict(expect: &Value, verdict: &Value) -> Result<(), String> {
    let found: Vec<(&str, &str)> = verdict["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|f| {
            (f["code"].as_str().unwrap_or_default(), f["evidence"].as_str().unwrap_or_default())
        })
        .collect();
    let mut differences = Vec::new();
    if let Some(expected) = expect["verdict"].as_str()
        && verdict["verdict"] != expected
    {
        let got = verdict["verdict"].as_str().unwrap_or("nothing");
        differences.push(format!("verdict: expected {expected}, got {got}"));
    }
    // The most demanding first, so that a code alone does not take what a pair needs.
    let mut wanted: Vec<(&str, Option<&str>)> = expect["findings"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|f| match f.as_str() {
            Some(code) => (code, None),
            None => (f["code"].as_str().unwrap_or_default(), f["evidence"].as_str()),
        })
        .collect();
    wanted.sort_by_key(|(_, evidence)| evidence.is_none());
    let mut left = found.clone();
    for (code, evidence) in wanted {
        let matching =
            left.iter().position(|(c, e)| *c == code && evidence.is_none_or(|wanted| *e == wanted));
        match matching {
            Some(i) => {
                left.remove(i);
            }
            None => {
                let evidence = evidence.map(|e| format!(" ({e})")).unwrap_or_default();
                differences.push(format!("finding {code}{evidence} is missing"));
            }
        }
    }
    for code in expect["absent"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if let Some((_, evidence)) = found.iter().find(|(c, _)| *c == code) {
            differences.push(format!("finding {code} ({evidence}) must be absent"));
        }
    }
    if differences.is_empty() {
        return Ok(());
    }
    let all: Vec<String> =
        found.iter().map(|(code, evidence)| format!("{code} ({evidence})")).collect();
    Err(format!("{}; found: {}", differences.join("; "), all.join(", ")))
}

/// The first place where `actual` does not have what `has` asks for. Objects may have more
/// members; lists have as many elements.
fn difference(has: &Value, actual: &Value, at: &str) -> Option<String> {
    match (has, actual) {
        (Value::Object(wanted), Value::Object(members)) => {
            wanted.iter().find_map(|(name, value)| {
                let at = format!("{at}/{name}");
                match members.get(name) {
                    None => Some(format!("{at} is missing")),
                    Some(found) => difference(value, found, &at),
                }
            })
        }
        (Value::Array(wanted), Value::Array(values)) => {
            if wanted.len() != values.len() {
                return Some(format!("{at} has {} elements, not {}", values.len(), wanted.len()));
            }
            wanted
                .iter()
                .zip(values)
                .enumerate()
                .find_map(|(i, (w, v))| difference(w, v, &format!("{at}/{i}")))
        }
        (wanted, found) if wanted == found => None,
        (wanted, found) => Some(format!("{at}: expected {wanted}, got {found}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(findings: &[(&str, &str)]) -> Value {
        let findings: Vec<Value> =
            findings.iter().map(|(c, e)| json!({"code": c, "evidence": e})).collect();
        json!({"verdict": "NOT-COVERED", "findings": findings})
    }

    #[test]
    fn a_code_listed_twice_must_be_found_twice() {
        let expect = json!({"findings": ["A", {"code": "A", "evidence": "UNCERTAIN"}]});
        assert!(compare_verdict(&expect, &verdict(&[("A", "UNCERTAIN")])).is_err());
        let both = verdict(&[("A", "UNCERTAIN"), ("A", "NOT-EVIDENCED")]);
        assert_eq!(compare_verdict(&expect, &both), Ok(()));
    }

    #[test]
    fn an_absent_code_and_another_verdict_are_named() {
        let expect = json!({"verdict": "COVERED", "absent": ["A"]});
        let said = compare_verdict(&expect, &verdict(&[("A", "UNCERTAIN")])).expect_err("both");
        assert!(said.contains("expected COVERED") && said.contains("A (UNCERTAIN) must be absent"));
    }

    #[test]
    fn an_answer_may_hold_more_members_and_not_more_elements() {
        let has = json!({"a": [{"b": 1}]});
        assert_eq!(difference(&has, &json!({"a": [{"b": 1, "c": 2}], "d": 0}), ""), None);
        assert!(difference(&has, &json!({"a": [{"b": 1}, {}]}), "").is_some());
        assert!(difference(&has, &json!({"a": [{"b": 2}]}), "").is_some());
    }

    #[test]
    fn a_clock_that_goes_back_is_named_by_its_line() {
        let text = "{\"clock\":\"2005-01-02T00:00:00Z\"}\n{\"clock\":\"2005-01-01T00:00:00Z\"}\n";
        let error = CaseFile::parse("x.ndjson", text).expect_err("it goes back");
        assert_eq!((error.file.as_str(), error.line), ("x.ndjson", 2));
    }
}
