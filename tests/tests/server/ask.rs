//! `greffe ask`: every question from the terminal, for people and for programs.

use greffe_tests::server::greffe;
use serde_json::Value;

#[test]
fn each_question_is_answered_as_text_and_as_json_at_a_day_and_as_known_then() {
    let directory = tempfile::tempdir().expect("a directory");
    let data = directory.path().join("cases");
    let data = data.to_str().expect("UTF-8");
    let case = concat!(env!("CARGO_MANIFEST_DIR"), "/cases/absence-motives.ndjson");
    let replayed = greffe(&["replay", case, "--data", data]);
    assert_eq!(replayed.status.code(), Some(0), "{}", String::from_utf8_lossy(&replayed.stderr));
    let ask = |question: &[&str], more: &[&str]| {
        let output = greffe(&[&["ask"], question, &["--data", data], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{question:?} {more:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    for (question, at_a_day, said) in [
        (&["accesses", "--processing", "motifs-arrets"][..], false, "employer-grenoble"),
        (&["findings", "--code", "SUBJECTS-NOT-INFORMED"], false, "SUBJECTS-NOT-INFORMED"),
        (&["processing", "motifs-arrets"], true, "motifs-arrets"),
        (&["processing"], true, "motifs-arrets"),
        (&["experiment", "motifs-2017"], true, "Bourg-en-Bresse"),
        (&["experiment"], true, "motifs-2017"),
        (&["audit", "--type", "ExperimentLaunched"], false, "ExperimentLaunched"),
    ] {
        let text = ask(question, &[]);
        assert!(text.contains(said), "{question:?}: {text}");
        assert!(serde_json::from_str::<Value>(&text).is_err(), "{question:?}: text for people");
        let json: Value = serde_json::from_str(&ask(question, &["--json"])).expect("JSON");
        assert!(json.to_string().contains(said), "{question:?}: {json}");
        let early = ["--known-at", "1"];
        let known = if question[0] == "findings" || question[0] == "audit" || !at_a_day {
            None
        } else {
            let output = greffe(&[&["ask"], question, &["--data", data], &early].concat());
            Some(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        if let Some(known) = known {
            assert!(!known.contains(said), "{question:?} before it was recorded: {known}");
            let output =
                greffe(&[&["ask"], question, &["--data", data, "--as-of", "2018-01-24"]].concat());
            assert_eq!(output.status.code(), Some(0), "{question:?} on a day");
        }
    }
    // The visits of November and December 2017 had certainly not come by the end of October.
    let visits = |as_of: &str| {
        let asked = ["accesses", "--processing", "motifs-arrets", "--as-of", as_of, "--json"];
        let found: Value = serde_json::from_str(&ask(&asked, &[])).expect("JSON");
        found["items"].as_array().or(found.as_array()).map(Vec::len)
    };
    assert_eq!(visits("2017-10-31"), Some(0));
    assert_eq!(visits("2017-11-01"), Some(5));
    // A service that is not there, a thing that is not there, a question that is none, an
    // asker who may not: there is no answer, not even "no".
    for (args, advice) in [
        (&["ask", "processing", "nowhere", "--data", data][..], "check the position"),
        (&["ask", "processing", "nowhere?at all/#", "--data", data], "check the position"),
        (&["ask", "accesses", "9999", "--data", data], "check the position"),
        (&["ask", "accesses", "--verdict", "NOPE", "--data", data], "correct the question"),
        (
            &["ask", "accesses", "--from", "2020-01-02", "--to", "2020-01-01", "--data", data],
            "correct the question",
        ),
        (&["ask", "audit", "--token", "stale", "--data", data], "check the key"),
        (&["ask", "processing", "--url", "http://127.0.0.1:1"], "greffe serve"),
    ] {
        let output = greffe(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert_eq!(error.trim_end().lines().count(), 2, "{args:?}: {error}");
        assert!(error.contains(advice) && !error.contains("nothing was recorded"), "{error}");
    }
}
