//! The documented affairs replay, and an expectation that is wrong is found out.

use std::path::{Path, PathBuf};

use greffe_tests::server::greffe;
use serde_json::{Value, json};

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(directory)
        .expect("tests/cases")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "ndjson"))
        .collect();
    cases.sort();
    assert!(cases.len() >= 6, "the five affairs and the invented sixth are there");
    cases
}

fn replay(paths: &[&Path]) -> (Option<i32>, Value, String) {
    let mut args = vec!["replay", "--report", "json"];
    args.extend(paths.iter().map(|p| p.to_str().expect("UTF-8")));
    let output = greffe(&args);
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output.status.code(), report, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn each_affair_replays_alone() {
    for case in cases() {
        let (code, report, errors) = replay(&[&case]);
        assert_eq!(code, Some(0), "{}: {errors}\n{report:#}", case.display());
        let held = report["expectations"].as_array().map_or(0, Vec::len);
        assert!(held > 0, "{} expects nothing", case.display());
    }
}

#[test]
fn all_affairs_replay_into_one_ledger() {
    let cases = cases();
    let paths: Vec<&Path> = cases.iter().map(PathBuf::as_path).collect();
    let (code, report, errors) = replay(&paths);
    assert_eq!(code, Some(0), "{errors}\n{report:#}");
}

/// The case with one of its expectations changed so that it cannot hold.
fn spoiled(line: &str) -> Option<String> {
    let mut value: Value = serde_json::from_str(line).ok()?;
    let expected = value.get_mut("expect")?;
    match expected["ask"].as_str()? {
        "access" | "generalise" => {
            expected["findings"] = json!(["PURPOSE-REFUSED", "NIR-NOT-AUTHORISED"])
        }
        "regime" => expected["is"] = json!("NONE"),
        "get" => expected["has"] = json!({"nothing": "of the kind"}),
        "reject" => expected["code"] = json!("overloaded"),
        _ => return None,
    }
    Some(value.to_string())
}

#[test]
fn changing_one_expectation_makes_its_affair_fail_and_names_the_line() {
    let directory = tempfile::tempdir().expect("a directory");
    for case in cases() {
        let text = std::fs::read_to_string(&case).expect("a case");
        let lines: Vec<&str> = text.lines().collect();
        let (index, bad) = lines
            .iter()
            .enumerate()
            .filter_map(|(i, line)| Some((i, spoiled(line)?)))
            .next_back()
            .expect("an expectation");
        let mut changed: Vec<String> = lines.iter().map(|l| (*l).to_owned()).collect();
        changed[index] = bad;
        let path = directory.path().join(case.file_name().expect("a name"));
        std::fs::write(&path, changed.join("\n")).expect("written");
        let (code, report, errors) = replay(&[&path]);
        assert_eq!(code, Some(1), "{}: {errors}\n{report:#}", case.display());
        let named = format!("{}:{}", path.display(), index + 1);
        assert!(errors.contains(&named), "{errors} does not name {named}");
    }
}
