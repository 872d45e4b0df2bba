//! Many filings in one request: all of them or none, or each for itself.

use greffe_tests::http::{Answer, Client};
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::{Value, json};

const NDJSON: &str = "application/x-ndjson";

fn subject(jti: &str, item: usize) -> [u8; 32] {
    *blake3::hash(format!("{jti} {item}").as_bytes()).as_bytes()
}

/// A signed report of one access.
fn report(jti: &str) -> String {
    let body = access("p", "caisse", "R-CPAM", subject(jti, 0));
    sign("caisse", "access.report", Some("2026"), body, jti)
}

/// One signed filing of so many accesses.
fn batch(jti: &str, items: usize) -> Value {
    (0..items).map(|item| access("p", "caisse", "R-CPAM", subject(jti, item))).collect()
}

/// The accesses are of a processing that nobody declared: refused once it is looked up.
fn unknown_processing(jti: &str, before: usize) -> String {
    let mut body = batch(jti, before + 1);
    body[before]["processing"] = json!("elsewhere");
    sign("caisse", "access.report", Some("2026"), body, jti)
}

fn line(filing: &str) -> String {
    json!({ "filing": filing }).to_string()
}

fn lines(filings: &[String]) -> String {
    filings.iter().map(|filing| line(filing) + "\n").collect()
}

fn post(http: &Client, query: &str, body: &str) -> Answer {
    http.post(&format!("/v1/filings{query}"), NDJSON, body).expect("an answer")
}

fn size(http: &Client) -> u64 {
    let head = http.get("/v1/head").expect("an answer").accepted().expect("a head");
    head["size"].as_u64().expect("a size")
}

fn positions(receipts: &Value) -> Vec<u64> {
    let receipts = receipts.as_array().expect("receipts");
    receipts.iter().map(|r| r["position"].as_u64().expect("a position")).collect()
}

/// The answers of `?partial=true`, one a line.
fn answers(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.body);
    match &answer.body {
        Value::String(text) => {
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        }
        one => vec![one.clone()],
    }
}

/// Runs against a server whose ledger holds a processing to report accesses of.
async fn against_a_server(test: impl FnOnce(&Client) + Send + 'static) {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), &[("caisse", &["controller"]), ("presse", &["observer"])])
        .await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let http = server.client();
        let declare = declaration("p", &["R-CPAM"]);
        let declare = sign("caisse", "processing.declare", Some("2020"), declare, "declare");
        submit(&http, &declare).expect("declared");
        test(&http);
    })
    .await
    .expect("every answer is as expected");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lot_is_recorded_whole_in_order_and_again_gives_the_same_receipts() {
    against_a_server(|http| {
        let before = size(http);
        // Blank lines and a missing end of line are no filings.
        let lot = format!(
            "\n{}{}\n\n{}",
            lines(&[report("one"), report("two")]),
            line(&sign("caisse", "access.report", Some("2026"), batch("many", 3), "many")),
            line(&report("three"))
        );
        let answer = post(http, "", &lot);
        assert_eq!(answer.status, 201, "{}", answer.body);
        let expected: Vec<u64> = (before..before + 6).collect();
        assert_eq!(positions(&answer.body["receipts"]), expected);
        let again = post(http, "", &lot);
        assert_eq!((again.status, &again.body), (201, &answer.body), "the same bytes again");
        assert_eq!(size(http), before + 6);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_line_in_the_middle_records_nothing_of_the_lot_and_is_named() {
    against_a_server(|http| {
        let before = size(http);
        let good = |n: usize| line(&report(&format!("good {n}")));
        let mut forged = report("forged");
        forged.insert(forged.len() / 2, 'A');
        let outcomes = json!([{"purpose": "PUR-BENEFITS", "outcome": "ACCEPTED"}]);
        let decision = json!({"decision": "d", "processing": "p", "outcomes": outcomes});
        let not_his = sign("caisse", "decision.render", Some("2026"), decision, "not his");
        for (bad, status, code, names_it) in [
            ("{\"filing\":\"not a filing\"}".to_owned(), 400, "malformed", true),
            ("[1,2]".to_owned(), 400, "malformed", true),
            ("{\"filing\":\"a\",\"more\":1}".to_owned(), 400, "malformed", true),
            ("{\"filing\":\"a\",\"filing\":\"b\"}".to_owned(), 400, "malformed", true),
            (line(&not_his), 403, "role-not-allowed", false),
            (line(&unknown_processing("state", 2)), 400, "id-unknown", false),
        ] {
            let lot = [good(0), good(1), String::new(), bad.clone(), good(2)].join("\n");
            let answer = post(http, "", &lot);
            assert_eq!((answer.status, answer.code()), (status, code), "{}", answer.body);
            let detail = answer.body["detail"].as_str().expect("a detail");
            assert!(!names_it || detail.starts_with("line 4"), "{detail}");
            assert_eq!(size(http), before, "nothing is recorded: {bad}");
        }
        let answer = post(http, "", &[good(0), line(&forged)].join("\n"));
        assert!([400, 401].contains(&answer.status), "{}", answer.body);
        assert!(answer.body["detail"].as_str().expect("a detail").starts_with("line 2"));
        for nothing in ["", "\n\n"] {
            assert_eq!(post(http, "", nothing).status, 400, "a lot of none");
        }
        assert_eq!(size(http), before);
        // What was refused with the others is free to be filed.
        let answer = post(http, "", &[good(0), good(1), good(2)].join("\n"));
        assert_eq!(positions(&answer.body["receipts"]), [before, before + 1, before + 2]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_part_each_line_is_answered_for_itself_and_a_filing_is_never_split() {
    against_a_server(|http| {
        let before = size(http);
        let batch_of_3 = sign("caisse", "access.report", Some("2026"), batch("b", 3), "b");
        let lot = [
            line(&report("first")),
            "nonsense".to_owned(),
            line(&unknown_processing("split", 4)),
            String::new(),
            line(&batch_of_3),
            line(&report("first")),
        ]
        .join("\n");
        let answer = post(http, "?partial=true", &lot);
        let answers = answers(&answer);
        let numbers: Vec<u64> =
            answers.iter().map(|a| a["line"].as_u64().expect("a line")).collect();
        assert_eq!(numbers, [1, 2, 3, 5, 6]);
        assert_eq!(positions(&answers[0]["receipts"]), [before]);
        assert_eq!(answers[1]["problem"]["code"], "malformed");
        // Its first four items would stand by themselves; none of them is recorded.
        assert_eq!(answers[2]["problem"]["code"], "id-unknown");
        assert_eq!(answers[2]["problem"]["status"], 400);
        assert_eq!(positions(&answers[3]["receipts"]), [before + 1, before + 2, before + 3]);
        assert_eq!(answers[4]["receipts"], answers[0]["receipts"], "the same bytes again");
        assert_eq!(size(http), before + 4);
        assert_eq!(post(http, "?partial=maybe", &lot).code(), "parameter-invalid");
        assert_eq!(post(http, "?partial=false", &lot).status, 400, "all or nothing");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_thousand_facts_in_one_request_are_all_recorded_or_none() {
    against_a_server(|http| {
        let before = size(http);
        let parts = [("k", 1_000), ("l", 600)];
        let filings: Vec<String> = parts
            .map(|(jti, items)| {
                sign("caisse", "access.report", Some("2026"), batch(jti, items), jti)
            })
            .into();
        let with_a_bad_one = [filings.clone(), vec![unknown_processing("bad", 900)]].concat();
        assert_eq!(post(http, "", &lines(&with_a_bad_one)).code(), "id-unknown");
        assert_eq!(size(http), before, "1,600 good facts stand back for a bad one");
        let answer = post(http, "", &lines(&filings));
        assert_eq!(answer.status, 201, "{}", answer.body);
        let expected: Vec<u64> = (before..before + 1_600).collect();
        assert_eq!(positions(&answer.body["receipts"]), expected);
        // One signature covers a thousand facts at most.
        let too_long = sign("caisse", "access.report", Some("2026"), batch("m", 1_001), "m");
        assert_eq!(post(http, "", &line(&too_long)).code(), "batch-too-long");
        // More than a thousand lines.
        let many: Vec<String> = (0..1_100).map(|n| report(&format!("single {n}"))).collect();
        let answer = post(http, "", &lines(&many));
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.body["receipts"].as_array().map(Vec::len), Some(1_100));
        assert_eq!(size(http), before + 2_700);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_holds_8_mib_and_not_a_byte_more() {
    const MOST: usize = 8 * 1024 * 1024;
    against_a_server(|http| {
        let before = size(http);
        // Blank space counts, and is no filing.
        let filled = |jti: &str, bytes: usize| {
            let line = line(&report(jti));
            let blank = " ".repeat(bytes - line.len() - 1);
            format!("{line}\n{blank}")
        };
        for partial in ["", "?partial=true"] {
            let answer = post(http, partial, &filled(&format!("over {partial}"), MOST + 1));
            assert_eq!((answer.status, answer.code()), (413, "filing-too-large"));
            assert_eq!(size(http), before);
        }
        let answer = post(http, "", &filled("full", MOST));
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(size(http), before + 1);
    })
    .await;
}
