//! Who may read what, over HTTP: every cell of who × route, and that nobody sees another's
//! accesses.

use greffe_tests::http::Client;
use greffe_tests::server::{Server, create_ledger, submit};
use greffe_tests::signing::{access, declaration, sign};
use serde_json::{Value, json};

const PARTIES: &[(&str, &[&str])] = &[
    ("caisse-a", &["controller"]),
    ("caisse-b", &["controller"]),
    ("employeur", &["employer"]),
    ("cnil", &["regulator"]),
    ("guichet", &["subject-desk"]),
    ("presse", &["observer"]),
    ("tribunal", &["court"]),
    ("cse", &["works-council"]),
];

const SUBJECT: [u8; 32] = [7; 32];

/// A ledger with two controllers that each disclosed to somebody.
fn fill(http: &Client) -> (u64, u64) {
    let file = |text: String| {
        submit(http, &text).expect("recorded")[0]["position"].as_u64().expect("a position")
    };
    for controller in ["caisse-a", "caisse-b"] {
        let body = declaration(&format!("{controller}/suivi"), &["R-CPAM", "R-EMPLOYER-HR"]);
        file(sign(
            controller,
            "processing.declare",
            Some("2020"),
            body,
            &format!("declare {controller}"),
        ));
    }
    let a = access("caisse-a/suivi", "employeur", "R-EMPLOYER-HR", SUBJECT);
    let b = access("caisse-b/suivi", "caisse-b", "R-CPAM", [8; 32]);
    (
        file(sign("caisse-a", "access.report", Some("2026"), a, "access a")),
        file(sign("caisse-b", "access.report", Some("2026"), b, "access b")),
    )
}

fn positions(answer: &Value) -> Vec<u64> {
    let items = answer["items"].as_array().expect("a list");
    items.iter().filter_map(|i| i["position"].as_u64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_sees_anothers_accesses_on_any_route() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let (of_a, of_b) = fill(&server.client());
        // Who may see which of the two accesses.
        for (party, sees_a, sees_b) in [
            ("caisse-a", true, false),
            ("caisse-b", false, true),
            ("employeur", true, false),
            ("cnil", true, true),
            ("presse", false, false),
            ("tribunal", false, false),
            ("cse", false, false),
            ("guichet", false, false),
            ("greffe", false, false),
        ] {
            let client = server.client_of(party);
            for list in ["/v1/accesses", "/v1/audit", "/v1/findings"] {
                let answer = client.get(list).expect("an answer").accepted().expect(list);
                let seen = positions(&answer);
                assert_eq!(seen.contains(&of_a), sees_a, "{party} {list}: {seen:?}");
                assert_eq!(seen.contains(&of_b), sees_b, "{party} {list}: {seen:?}");
            }
            for (position, sees) in [(of_a, sees_a), (of_b, sees_b)] {
                for one in [format!("/v1/accesses/{position}"), format!("/v1/entries/{position}")] {
                    let answer = client.get(&one).expect("an answer");
                    assert_eq!(answer.is_ok(), sees, "{party} {one}: {}", answer.status);
                    assert!(
                        sees || [403, 404].contains(&answer.status),
                        "{party} {one}: {}",
                        answer.status
                    );
                }
            }
            let stream = client.get("/v1/entries?from=0&limit=1000").expect("an answer");
            let text = match &stream.body {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let shows = |position: u64| text.contains(&format!("\"position\":{position},"));
            assert_eq!(shows(of_a), sees_a, "{party} entries");
            assert_eq!(shows(of_b), sees_b, "{party} entries");
        }
    })
    .await
    .expect("every cell holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_reader_gets_each_route_or_is_told_why_not() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let (of_a, _) = fill(&server.client());
        let public = [
            "/",
            "/healthz",
            "/readyz",
            "/metrics",
            "/openapi.json",
            "/v1/head",
            "/v1/stats",
            "/v1/vocabulary",
            "/v1/processings",
            "/v1/processings/caisse-a/suivi",
            "/v1/decisions",
            "/v1/experiments",
            "/v1/parties",
            "/v1/parties/cnil",
            "/problems/key-unknown",
        ];
        let anyone = server.client();
        for path in public {
            let answer = anyone.get(path).expect("an answer");
            assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        }
        let subject = greffe_domain::encoding::base64url(&SUBJECT);
        let guarded = ["/v1/accesses", "/v1/findings", "/v1/audit", "/v1/entries", "/v1/entries/0"];
        for path in guarded
            .into_iter()
            .map(str::to_owned)
            .chain([format!("/v1/accesses/{of_a}"), format!("/v1/accesses?subject={subject}")])
        {
            assert_eq!(anyone.get(&path).expect("an answer").status, 401, "{path}");
        }
        let identities = json!({"identities": [{
            "family_name": "Exemple", "given_names": "Une", "sex": "female",
            "birthdate": "1980-01-01", "birthplace": "75056",
        }]})
        .to_string();
        // Party, may ask by subject, may derive references.
        for (party, by_subject, derives) in [
            ("caisse-a", false, true),
            ("employeur", false, false),
            ("cnil", true, false),
            ("guichet", true, true),
            ("presse", false, false),
            ("tribunal", false, false),
            ("cse", false, false),
            ("greffe", false, false),
        ] {
            let client = server.client_of(party);
            let asked = client.get(&format!("/v1/accesses?subject={subject}")).expect("an answer");
            assert_eq!(asked.status, if by_subject { 200 } else { 403 }, "{party} subject=");
            if by_subject {
                assert_eq!(positions(&asked.body), [of_a], "{party} subject=");
            }
            let derived =
                client.post("/v1/subjects", "application/json", &identities).expect("an answer");
            assert_eq!(
                derived.status,
                if derives { 200 } else { 403 },
                "{party} subjects: {}",
                derived.body
            );
        }
        let unsigned =
            anyone.post("/v1/subjects", "application/json", &identities).expect("an answer");
        assert_eq!(unsigned.status, 401);
        // Judgements: of accesses it discloses or receives; the authority any.
        let question = json!({
            "kind": "access.request", "at": "2026",
            "body": access("caisse-a/suivi", "employeur", "R-EMPLOYER-HR", SUBJECT),
        })
        .to_string();
        for (party, status) in [
            ("caisse-a", 200),
            ("employeur", 200),
            ("cnil", 200),
            ("caisse-b", 403),
            ("presse", 403),
        ] {
            let client = server.client_of(party);
            let answer =
                client.post("/v1/judgements", "application/json", &question).expect("an answer");
            assert_eq!(answer.status, status, "{party}: {}", answer.body);
        }
        assert_eq!(
            anyone.post("/v1/judgements", "application/json", &question).expect("an answer").status,
            401
        );
    })
    .await
    .expect("every cell holds");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filing_is_no_token_a_token_no_filing_and_a_token_request_is_accepted_once() {
    use greffe_domain::key::simulated_party_key;
    use greffe_domain::sdjwt::{self, TYP_FILING, TYP_TOKEN};
    use greffe_tests::server::{NOW_S, ORIGIN};

    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let http = server.client();
        let key = simulated_party_key("cnil");
        let claims =
            |jti: &str, aud: &str| json!({"iss": "cnil", "aud": aud, "iat": NOW_S, "jti": jti});
        let ask = |text: &str| http.post("/v1/tokens", "application/jwt", text).expect("an answer");
        let request = sdjwt::sign(&claims("once", ORIGIN), TYP_TOKEN, &key);
        assert!(ask(&request).is_ok());
        assert_eq!(ask(&request).code(), "token-invalid", "accepted once");
        let as_filing = sdjwt::sign(&claims("other", ORIGIN), TYP_FILING, &key);
        assert_eq!(ask(&as_filing).status, 401);
        let elsewhere = sdjwt::sign(&claims("third", "other.example"), TYP_TOKEN, &key);
        assert_eq!(ask(&elsewhere).status, 401);
        let forged =
            sdjwt::sign(&claims("fourth", ORIGIN), TYP_TOKEN, &simulated_party_key("presse"));
        assert_eq!(ask(&forged).status, 401);
        let before = http.get("/v1/head").expect("an answer").body["size"].clone();
        let token_as_filing = http
            .post(
                "/v1/filings",
                "application/sd-jwt",
                &format!("{}~", sdjwt::sign(&claims("fifth", ORIGIN), TYP_TOKEN, &key)),
            )
            .expect("an answer");
        assert_eq!(token_as_filing.status, 400, "{}", token_as_filing.body);
        assert_eq!(http.get("/v1/head").expect("an answer").body["size"], before);
    })
    .await
    .expect("refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_list_are_stable_while_entries_arrive() {
    let directory = tempfile::tempdir().expect("a directory");
    create_ledger(directory.path(), PARTIES).await;
    let path = directory.path().to_owned();
    tokio::task::spawn_blocking(move || {
        let server = Server::start(&path);
        let http = server.client();
        fill(&http);
        let report = |n: u8| {
            let body = access("caisse-a/suivi", "employeur", "R-EMPLOYER-HR", [n; 32]);
            submit(
                &http,
                &sign("caisse-a", "access.report", Some("2026"), body, &format!("page {n}")),
            )
            .expect("recorded");
        };
        (10..30).for_each(report);
        let cnil = server.client_of("cnil");
        let mut seen = Vec::new();
        let mut cursor = String::new();
        let mut arriving = 100;
        loop {
            let page = cnil
                .get(&format!("/v1/accesses?limit=7{cursor}"))
                .expect("an answer")
                .accepted()
                .expect("a page");
            let got = positions(&page);
            assert!(got.len() <= 7);
            seen.extend(got);
            if arriving < 106 {
                report(arriving);
                arriving += 1;
            }
            cursor = match &page["next"] {
                Value::Null => break,
                Value::String(next) => format!("&cursor={next}"),
                next => format!("&cursor={next}"),
            };
        }
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), seen.len(), "nothing twice");
        assert!(seen.len() >= 22, "nothing that was there is missed: {}", seen.len());
    })
    .await
    .expect("stable");
}
