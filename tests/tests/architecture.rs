//! What must hold of the source as a whole, and of its published tables.
//!
//! Dependencies, clocks and randomness are where the architecture says; every rule, event
//! type and kind is complete; the case files name nobody.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use greffe_domain::body::Body;
use greffe_domain::date::Timestamp;
use greffe_domain::event::{At, ClockKind, Event, Filed, LedgerOpened};
use greffe_domain::identifier::find_personal_data;
use greffe_domain::json as strict;
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::{EventType, EvidenceKind, Kind};
use greffe_domain::rules::{CURRENT, Rulebook, generalise};
use greffe_domain::schema;
use greffe_domain::sdjwt::{conceal, reveal};
use greffe_domain::verdict::{Evidence, Finding, Outcome, Severity, Verdict};
use greffe_domain::vocabulary::RuleCode;
use greffe_tests::bodies::{Members, body};
use greffe_tests::vectors::{list, path, read, text};
use serde_json::{Value, json};

// Dependencies.

/// Names of the packages that `package` is built with.
fn dependencies(package: &str) -> BTreeSet<String> {
    dependencies_with(package, &[])
}

fn dependencies_with(package: &str, features: &[&str]) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"])
        .args(["--package", package])
        .args(features)
        .current_dir(path(".."))
        .output()
        .expect("cargo runs, it runs these tests");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree -p {package}: {errors}");
    let tree = String::from_utf8(output.stdout).expect("package names are UTF-8");
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

#[test]
fn the_core_and_the_verifier_depend_on_no_runtime_store_network_or_randomness() {
    for package in ["greffe-domain", "greffe-verify"] {
        let found = dependencies(package);
        assert!(found.contains("ed25519-dalek"), "the tree of {package} was read");
        for forbidden in [
            "tokio",
            "async-std",
            "smol",
            "sqlx",
            "rusqlite",
            "libsqlite3-sys",
            "axum",
            "hyper",
            "cqrs-es",
            "getrandom",
            "rand",
            "rand_chacha",
            "fastrand",
            "uuid",
            "ureq",
            "reqwest",
            "curl",
            "openssl",
            "rustls",
            "tracing",
        ] {
            assert!(!found.contains(forbidden), "{package} depends on {forbidden}");
        }
    }
}

#[test]
fn the_event_stores_client_is_built_only_when_it_is_asked_for() {
    let clients = ["kurrentdb", "eventstore", "tonic", "prost", "aws-lc-rs", "reqwest"];
    for package in ["greffe", "greffe-infra"] {
        let found = dependencies(package);
        assert!(found.contains("rusqlite"), "the tree of {package} was read");
        for client in clients {
            assert!(!found.contains(client), "{package} depends on {client}");
        }
        let asked = dependencies_with(package, &["--features", "eventstore"]);
        assert!(asked.contains("kurrentdb"), "{package} has the feature `eventstore`");
    }
}

// Source files.

/// Our Rust files below these directories of the workspace, with their text.
fn sources(directories: &[&str]) -> Vec<(PathBuf, String)> {
    fn below(directory: &Path, out: &mut Vec<(PathBuf, String)>) {
        let entries = std::fs::read_dir(directory);
        let entries = entries.unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        for entry in entries {
            let path = entry.expect("a directory of the workspace reads").path();
            if path.is_dir() {
                if path.file_name().is_none_or(|name| name != "node_modules" && name != "target") {
                    below(&path, out);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("source is UTF-8");
                out.push((path, text));
            }
        }
    }
    let mut found = Vec::new();
    for directory in directories {
        below(&path("..").join(directory), &mut found);
    }
    assert!(found.len() > 5, "source was found below {directories:?}");
    found
}

/// The part of a file before its tests, which stand last; nothing of a file of tests.
fn shipped<'t>(file: &Path, text: &'t str) -> &'t str {
    if file.components().any(|c| matches!(c.as_os_str().to_str(), Some("tests" | "benches"))) {
        return "";
    }
    text.split_once("#[cfg(test)]\nmod tests").map_or(text, |(before, _)| before)
}

const SHIPPED: &[&str] = &["domain", "infra", "api"];

/// Lines of shipped code that hold one of `words`, outside the file `allowed`.
fn lines_with(words: &[&str], allowed: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (file, text) in sources(SHIPPED) {
        if file.ends_with(allowed) {
            continue;
        }
        for (number, line) in shipped(&file, &text).lines().enumerate() {
            let comment = line.trim_start().starts_with("//");
            if !comment && words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{}: {}", file.display(), number + 1, line.trim()));
            }
        }
    }
    found
}

#[test]
fn the_clock_is_read_in_one_file() {
    let words = ["SystemTime::now", "Instant::now", "now_utc", "now_local", "Utc::now"];
    let found = lines_with(&words, "infra/src/clock.rs");
    assert!(found.is_empty(), "{}", found.join("\n"));
    let clock = std::fs::read_to_string(path("../infra/src/clock.rs")).expect("it is there");
    assert!(clock.contains("SystemTime::now"), "the search finds what it looks for");
}

#[test]
fn randomness_is_drawn_in_one_file() {
    let words = ["getrandom::", "OsRng", "thread_rng", "rand::", "fastrand::", "RandomState::new"];
    let found = lines_with(&words, "infra/src/entropy.rs");
    assert!(found.is_empty(), "{}", found.join("\n"));
    let entropy = std::fs::read_to_string(path("../infra/src/entropy.rs")).expect("it is there");
    assert!(entropy.contains("getrandom::"), "the search finds what it looks for");
}

#[test]
fn an_error_is_never_unwrapped_in_silence_outside_tests() {
    let found = lines_with(&[".unwrap()"], "no file");
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let mut bare: Vec<String> = sources(&["domain", "infra", "api", "tests"])
        .into_iter()
        .filter(|(_, text)| !text.starts_with("//!"))
        .map(|(file, _)| file.display().to_string())
        .collect();
    bare.sort();
    assert!(bare.is_empty(), "no `//!` on the first line: {}", bare.join(", "));
}

#[test]
fn nothing_is_left_to_do_in_a_comment() {
    // Written apart, so that this file does not find itself.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME")];
    let mut found = Vec::new();
    for (file, text) in sources(&["domain", "infra", "api", "tests"]) {
        let hits = text.lines().filter(|line| words.iter().any(|word| line.contains(word)));
        found.extend(hits.map(|line| format!("{}: {}", file.display(), line.trim())));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

// Rules.

/// Codes that a test or a case file expects by name.
fn expected_codes() -> String {
    let mut all = String::new();
    for (file, text) in sources(&["domain", "tests", "api"]) {
        if file.ends_with("architecture.rs") {
            continue;
        }
        let tests = file.components().any(|c| c.as_os_str() == "tests");
        all.push_str(if tests {
            &text
        } else {
            text.split_once("#[cfg(test)]").map_or("", |s| s.1)
        });
    }
    for file in case_files() {
        let text = std::fs::read_to_string(&file).expect("a case file is UTF-8");
        for line in text.lines().filter(|line| line.contains("\"expect\"")) {
            all.push_str(line);
        }
    }
    all
}

#[test]
fn every_rule_is_complete_and_expected_by_name_somewhere() {
    let expected = expected_codes();
    let mut seen = BTreeSet::new();
    for rule in CURRENT.rules() {
        let code = rule.code;
        assert!(seen.insert(code), "{code} stands twice");
        assert!(RuleCode::parse(code).is_some(), "{code} is not in the code lists");
        assert!(!rule.source.trim().is_empty(), "{code} has no source");
        assert!(!rule.regimes.is_empty(), "{code} never runs");
        assert_ne!(rule.reason_fr, rule.reason_en, "{code}");
        for reason in [rule.reason_fr, rule.reason_en] {
            assert!(reason.ends_with(['.', '?']) && reason.len() > 20, "{code}: {reason}");
        }
        assert!(expected.contains(&format!("\"{code}\"")), "no test or case expects {code}");
    }
    for requirement in generalise::REQUIREMENTS {
        assert!(RuleCode::parse(requirement.code).is_some());
        assert!(!requirement.source.is_empty());
        assert_ne!(requirement.reason_fr, requirement.reason_en);
        assert!(expected.contains(&format!("\"{}\"", requirement.code)), "{}", requirement.code);
    }
    assert!(Rulebook::by_version(CURRENT.version).is_some());
    assert!(Rulebook::by_version("1978-01-06").is_none());
}

// Events.

const EVENTS: &str = "events.json";

/// One event of each type, its body the fullest that its kind allows.
fn one_event_of(event_type: EventType) -> Event {
    let key = |party: &str| simulated_party_key(party).public().clone();
    match event_type {
        EventType::LedgerOpened => Event::LedgerOpened(Box::new(LedgerOpened {
            origin: "registre.example/absences".to_owned(),
            ledger_key: key("ledger"),
            registrar: "greffe".to_owned(),
            registrar_key: key("greffe"),
            clock: ClockKind::Simulated,
            opened_at: Timestamp::parse("2026-11-21T20:00:00Z").expect("an instant"),
        })),
        EventType::LedgerKeyRotated => Event::LedgerKeyRotated { ledger_key: key("ledger 2") },
        _ => {
            let access =
                [EventType::AccessGranted, EventType::AccessDenied, EventType::AccessRecorded];
            let kind = match event_type {
                EventType::AccessDenied => Kind::AccessRequest,
                _ => *Kind::ALL
                    .iter()
                    .find(|kind| kind.event() == event_type)
                    .unwrap_or_else(|| panic!("no kind becomes {event_type}")),
            };
            let (signed, disclosures) = concealed(kind, Members::All);
            let revealed = reveal(&signed, &disclosures).expect("all are asked for");
            Event::Filed(Filed {
                event_type,
                kind,
                iss: "caisse-exemple".to_owned(),
                at: At::parse("2004-08").expect("a month"),
                evidence: EvidenceKind::Act,
                reference: Some("registre interne, fiche 12".to_owned()),
                body: Arc::new(Body::read(kind, revealed).expect("a body of its kind")),
                signed: Arc::new(signed),
                verdict: access.contains(&event_type).then(|| Arc::new(verdict())),
            })
        }
    }
}

fn verdict() -> Verdict {
    Verdict {
        verdict: Outcome::Undetermined,
        findings: vec![Finding {
            code: RuleCode::parse("SUBJECT-OBJECTED").expect("a code"),
            severity: Severity::Blocking,
            evidence: Evidence::Uncertain,
            positions: vec![4, 9],
            rests_on: vec!["AKIgV6XTdw2ipXK4htSrk4jKYiOmxEN0M_bPrAAJbw0".to_owned()],
            cells: Vec::new(),
            source: "Loi 78-17 (2004) art. 38 ; RGPD art. 21".to_owned(),
        }],
        basis: vec![2, 3],
        regime: "LIL-2004".to_owned(),
        judged_at: 12,
        valid_until: None,
    }
}

fn concealed(kind: Kind, members: Members) -> (Value, Vec<greffe_domain::sdjwt::Disclosure>) {
    let mut salt = 0u8;
    conceal(body(kind, members), &|path| kind.is_concealed(path), &mut || {
        salt += 1;
        [salt; 16]
    })
}

fn canonical(event: &Event) -> String {
    let mut out = Vec::new();
    event.write_canonical(&mut out);
    String::from_utf8(out).expect("JSON is UTF-8")
}

#[test]
fn every_event_type_has_a_frozen_event_that_reads_and_writes_the_same_bytes() {
    let file = read(EVENTS);
    for event_type in EventType::ALL {
        let name = event_type.as_str();
        let frozen: Vec<&Value> =
            list(&file, "events").iter().filter(|v| text(v, "type") == name).collect();
        assert_eq!(frozen.len(), 1, "{name} in {EVENTS}");
        let frozen = text(frozen[0], "event");
        let value = strict::parse_nested(frozen.as_bytes(), 18).expect("strict JSON");
        let event = Event::read(&value).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(event.event_type(), *event_type);
        assert_eq!(canonical(&event), frozen, "{name}");
    }
    assert_eq!(list(&file, "events").len(), EventType::ALL.len());
}

/// Prints the file, for an event type that is new: `cargo test … -- --ignored --nocapture`.
/// What is frozen is kept as it is.
#[test]
#[ignore = "writes tests/vectors/events.json for event types that are not in it yet"]
fn write_the_events_that_are_not_frozen_yet() {
    let target = path("vectors").join(EVENTS);
    let known = if target.exists() { read(EVENTS)["events"].clone() } else { json!([]) };
    let lines: Vec<String> = EventType::ALL
        .iter()
        .map(|event_type| {
            let name = event_type.as_str();
            let frozen = known.as_array().into_iter().flatten().find(|v| v["type"] == name);
            let vector = frozen.cloned().unwrap_or_else(
                || json!({"type": name, "event": canonical(&one_event_of(*event_type))}),
            );
            format!("  {vector}")
        })
        .collect();
    let about =
        "One canonical `event` of each type, its body the fullest of its kind. See README.md.";
    let text =
        format!("{{\n \"about\": \"{about}\",\n \"events\": [\n{}\n ]\n}}\n", lines.join(",\n"));
    std::fs::write(target, text).expect("the directory of the vectors is ours");
}

// Kinds.

#[test]
fn every_kind_reads_the_fullest_and_the_barest_body_of_its_schema() {
    for kind in Kind::ALL {
        for members in [Members::All, Members::Required] {
            let (signed, disclosures) = concealed(*kind, members);
            let revealed = reveal(&signed, &disclosures).expect("all are asked for");
            let mut errors = Vec::new();
            schema::check(*kind, &signed, &revealed, "/body", &mut errors);
            assert!(errors.is_empty(), "{kind} {members:?}: {errors:?}");
            if let Err(e) = Body::read(*kind, revealed) {
                panic!("{kind} {members:?}: {e}");
            }
            // Without its disclosures it reads too: values may have been erased.
            let withheld = reveal(&signed, &[]).expect("nothing revealed");
            let mut errors = Vec::new();
            schema::check(*kind, &signed, &withheld, "/body", &mut errors);
            assert!(errors.is_empty(), "{kind} {members:?} withheld: {errors:?}");
            if let Err(e) = Body::read(*kind, withheld) {
                panic!("{kind} {members:?} withheld: {e}");
            }
        }
    }
}

/// No value is dropped between the schema and the typed body: each member of the fullest
/// body, changed to a value of another type, is noticed when it is read.
#[test]
fn every_member_of_the_schema_is_read_into_the_typed_body() {
    for kind in Kind::ALL {
        for field in kind.fields() {
            let (signed, disclosures) = concealed(*kind, Members::All);
            let mut revealed = reveal(&signed, &disclosures).expect("all are asked for");
            let Some(member) = revealed.get_mut(field.name) else {
                assert!(field.name == "subjects", "{kind} {}", field.name);
                continue;
            };
            // A key is read as JSON: its form is checked where keys are.
            if field.name == "key" {
                continue;
            }
            *member = json!({"neither": "a list, a text, a number nor a concealed value"});
            assert!(Body::read(*kind, revealed).is_err(), "{kind}: `{}` is not read", field.name);
        }
    }
}

// Case files.

fn case_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(path("cases"))
        .expect("tests/cases is there")
        .map(|entry| entry.expect("its entries read").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "ndjson"))
        .collect();
    files.sort();
    assert!(files.len() >= 6, "the six affairs are there");
    files
}

fn strings<'v>(value: &'v Value, out: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => out.push(text),
        Value::Array(values) => values.iter().for_each(|v| strings(v, out)),
        Value::Object(members) => members.iter().for_each(|(name, v)| {
            out.push(name);
            strings(v, out);
        }),
        _ => {}
    }
}

#[test]
fn the_case_files_hold_no_address_telephone_or_social_security_number() {
    for file in case_files() {
        let text = std::fs::read_to_string(&file).expect("a case file is UTF-8");
        for (number, line) in text.lines().enumerate() {
            let at = format!("{}:{}", file.display(), number + 1);
            let value = strict::parse_nested(line.as_bytes(), 32);
            let value = value.unwrap_or_else(|e| panic!("{at}: {e}"));
            let mut found = Vec::new();
            strings(&value, &mut found);
            for text in found {
                assert_eq!(find_personal_data(text), None, "{at}: {text}");
            }
        }
    }
}
