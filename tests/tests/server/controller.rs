//! The controller's pages over the real demonstration: who may open them, forms, review,
//! signing in the browser and elsewhere, receipts, batches.

use std::collections::BTreeSet;

use greffe::sign::{Draft, Stamp};
use greffe_domain::key::simulated_party_key;
use greffe_domain::kind::Kind;
use greffe_tests::bodies::{Members, body};
use greffe_tests::browser::{Browser, Page, between, plain, sign_in_browser, value_of};
use greffe_tests::http::Client;
use greffe_tests::server::{Server, greffe};
use serde_json::{Value, json};

const SUBJECT: &str = "8xgVOa7tmXe7JuIFR3BuLizob9RZeCHNirHNQjKAduE";
const PROCESSING: &str = "accompagnement-invente";

/// `greffe demo`, on a directory of its own; killed when dropped.
struct Demo {
    _server: Server,
    url: String,
    /// The authority's.
    token: String,
    directory: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (server, token) = Server::demo_and_token(directory.path());
        Self { url: server.url().to_owned(), _server: server, token, directory }
    }

    fn regulator(&self) -> Client {
        Client::new(&self.url).with_token(&self.token)
    }

    fn size(&self) -> u64 {
        let head = Client::new(&self.url).get("/v1/head").expect("an answer");
        head.body["size"].as_u64().expect("a size")
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.to_str().expect("UTF-8").to_owned()
    }
}

fn csrf(page: &Page) -> String {
    value_of(&page.text, "csrf").expect("a form of this session")
}

/// What one types for an access to the demonstration's processing.
fn access_typed() -> Vec<(&'static str, &'static str)> {
    vec![
        ("processing", PROCESSING),
        ("purpose", "PUR-CASE-MGMT"),
        ("categories.0", "REINTEGRATION-PLAN"),
        ("categories.1", "EMP-IDENTITY"),
        ("recipient.party", "fund-invented"),
        ("recipient.role", "R-CASE-MANAGER"),
        ("recipient.agent", "agent-042"),
        ("discloser", "fund-invented"),
        ("identifiability", "NOMINATIVE"),
        ("basis.codes.0", "LIL7-3"),
        ("basis.codes.1", "LIL8-DEROG"),
        ("subjects", SUBJECT),
        ("channel", "portal"),
        ("filing.at", "2012-05-10"),
        ("filing.evidence", "act"),
    ]
}

fn access_body() -> Value {
    json!({
        "processing": PROCESSING, "purpose": "PUR-CASE-MGMT",
        "categories": ["REINTEGRATION-PLAN", "EMP-IDENTITY"],
        "recipient": {
            "party": "fund-invented", "role": "R-CASE-MANAGER", "agent": "agent-042",
        },
        "discloser": "fund-invented", "identifiability": "NOMINATIVE",
        "basis": {"codes": ["LIL7-3", "LIL8-DEROG"]}, "subjects": [SUBJECT], "channel": "portal",
    })
}

/// Codes of the findings that a page tells.
fn codes_told(page: &str) -> BTreeSet<String> {
    let findings = page.split("<ul class=\"findings\">").nth(1).unwrap_or_default();
    let findings = findings.split("</ul>").next().unwrap_or_default();
    findings
        .split("<code>")
        .skip(1)
        .filter_map(|c| c.split("</code>").next())
        .map(str::to_owned)
        .collect()
}

fn codes_of(verdict: &Value) -> BTreeSet<String> {
    let findings = verdict["findings"].as_array().expect("findings");
    findings.iter().filter_map(|f| f["code"].as_str()).map(str::to_owned).collect()
}

/// Signs what a review page shows, with the key that the page offers.
fn sign_shown(browser: &mut Browser, page: &Page, kind: Kind, draft: Value) -> String {
    let pem = browser.get("/controller/demonstration-key.pem");
    assert_eq!(pem.status, 200);
    let attribute = |name: &str| between(&page.text, &format!("data-{name}=\""), "\"");
    let concealed: Value =
        serde_json::from_str(&attribute("concealed").expect("pointers")).expect("JSON");
    assert_eq!(concealed, json!(kind.concealed_paths()));
    let iat: i64 = attribute("now").and_then(|n| n.parse().ok()).expect("seconds");
    let request = json!({
        "pem": pem.text, "draft": draft, "aud": attribute("origin"), "iat": iat,
    });
    sign_in_browser(kind, request)
}

#[test]
fn the_browser_signs_byte_for_byte_what_the_program_signs() {
    let key = simulated_party_key("caisse");
    for kind in [
        Kind::ProcessingDeclare,
        Kind::AccessRequest,
        Kind::AccessReport,
        Kind::ExperimentLaunch,
        Kind::AgreementRecord,
        Kind::AccessContest,
    ] {
        for members in [Members::All, Members::Required] {
            let one = body(kind, members);
            let batch = json!([one, one, one]);
            for body in [one, batch] {
                let draft = json!({
                    "iss": "caisse", "kind": kind, "evidence": "act", "at": "2020-05",
                    "reference": "n° 12 « é » \u{1f512} \"\\\n", "body": body,
                });
                let salts: Vec<[u8; 16]> = (0..64).map(|i| [i; 16]).collect();
                let encoded: Vec<String> =
                    salts.iter().map(|s| greffe_domain::encoding::base64url(s)).collect();
                let mut ours = salts.into_iter();
                let stamp = Stamp { aud: "tests.greffe.example/js", iat: 1_800_000_000, jti: "j" };
                let read = Draft::from_value(draft.clone()).expect("a draft");
                let expected = read.sign(&stamp, &mut || ours.next().expect("a salt"), &key);
                let signed = sign_in_browser(
                    kind,
                    json!({
                        "pem": key.to_pem(), "draft": draft, "aud": stamp.aud, "iat": stamp.iat,
                        "jti": stamp.jti, "salts": encoded,
                    }),
                );
                assert_eq!(signed, expected, "{kind} {members:?}");
            }
        }
    }
}

#[test]
fn only_a_controller_opens_these_pages_and_no_form_is_taken_without_its_token() {
    let demo = Demo::start();
    let pages = [
        "/controller",
        "/controller/filings",
        "/controller/accesses",
        "/controller/file/access.request",
        "/controller/file/processing.declare",
        "/controller/batch",
        "/controller/batch/report",
        "/controller/batch/filing.json",
        "/controller/templates/access.report.csv",
        "/controller/receipts/1.json",
        "/controller/accesses/1",
        "/controller/demonstration-key.pem",
    ];
    let forms = ["/controller/file/access.request", "/controller/judge", "/controller/draft.json"];
    let files = ["/controller/upload", "/controller/batch"];
    let mut visitor = Browser::new(&demo.url);
    for path in pages {
        let answer = visitor.get(path);
        assert_eq!((answer.status, answer.location), (303, format!("/signin?then={path}")));
    }
    let page = visitor.get("/controller/filings?cursor=5");
    assert_eq!(page.location, "/signin?then=/controller/filings%3Fcursor%3D5");
    for person in ["citizen", "regulator"] {
        let mut browser = Browser::signed_in(&demo.url, person);
        for path in pages {
            assert_eq!(browser.get(path).status, 403, "{person} {path}");
        }
        for path in forms {
            assert_eq!(browser.post(path, &[("csrf", "x")]).status, 403, "{person} {path}");
        }
        for path in files {
            let answer = browser.post_files(path, &[("csrf", None, b"x")]);
            assert_eq!(answer.status, 403, "{person} {path}");
        }
    }
    let before = demo.size();
    let mut controller = Browser::signed_in(&demo.url, "controller");
    let home = controller.get("/controller");
    assert_eq!(home.status, 200, "{}", home.text);
    assert!(home.text.contains(&format!("/register/processings/{PROCESSING}")), "{}", home.text);
    for path in forms {
        for token in ["", "x"] {
            let answer = controller.post(path, &[("csrf", token), ("processing", "p")]);
            assert_eq!(answer.status, 403, "{path}");
        }
    }
    for path in files {
        let answer = controller.post_files(path, &[("csrf", None, b"x"), ("text", None, b"y")]);
        assert_eq!(answer.status, 403, "{path}");
    }
    assert_eq!(demo.size(), before);
    // Entry 1 is the registration of a party by the registrar: nobody else's receipt.
    assert_eq!(controller.get("/controller/receipts/1.json").status, 404);
    // The scripts: their own type, and told unchanged.
    let script = controller.get("/assets/sign.js");
    assert_eq!(script.content_type, "text/javascript; charset=utf-8");
    let again = controller.get_with("/assets/sign.js", &[("If-None-Match", &script.etag)]);
    assert_eq!((again.status, again.text.as_str()), (304, ""));
    assert_eq!(controller.get("/assets/other.js").status, 404);
}

#[test]
fn a_form_tells_what_is_wrong_beside_its_field_and_keeps_what_was_typed() {
    let demo = Demo::start();
    let mut browser = Browser::signed_in(&demo.url, "controller");
    let path = "/controller/file/access.request";
    let form = browser.get(path);
    assert_eq!(form.status, 200, "{}", form.text);
    assert!(form.text.len() < 100_000, "{} bytes", form.text.len());
    let token = csrf(&form);
    // The vocabulary, offered as one types.
    assert!(form.text.contains("<datalist id=\"codes-purpose\"><option value=\"PUR-"));
    let typed = [
        ("csrf", token.as_str()),
        ("processing", PROCESSING),
        ("purpose", "PUR-NONSENSE"),
        ("recipient.site.headcount", "beaucoup"),
        ("recipient.role", "R-CASE-MANAGER"),
        ("subjects", "pas une référence"),
        ("basis.reference", "écrire à quelqu.un@exemple.fr"),
        ("filing.at", "hier"),
        ("filing.evidence", "act"),
    ];
    let before = demo.size();
    let wrong = browser.post(path, &typed);
    assert_eq!(wrong.status, 400);
    for (name, value) in [("purpose", "PUR-NONSENSE"), ("recipient.site.headcount", "beaucoup")] {
        let id = format!("f-{}", name.replace('.', "-"));
        let control = between(&wrong.text, &format!("<input id=\"{id}\""), ">").expect(name);
        assert!(control.contains(&format!("value=\"{value}\"")), "{control}");
        assert!(control.contains("aria-invalid=\"true\""), "{control}");
        assert!(control.contains(&format!("{id}-error")), "{control}");
        assert!(wrong.text.contains(&format!("<div id=\"{id}-error\"><p class=\"error\">")));
        assert!(wrong.text.contains(&format!("<a href=\"#{id}\">")), "the summary leads to {id}");
    }
    assert!(plain(&wrong.text).contains("pas une référence</textarea>"));
    assert!(
        wrong.text.contains("<a href=\"#f-filing-at\">") || wrong.text.contains("value=\"hier\"")
    );
    // One more row of a list, without losing the rest.
    let mut more = typed.to_vec();
    more.extend([("categories.0", "ABS-FACT"), ("do", "add:categories")]);
    let longer = browser.post(path, &more);
    assert_eq!(longer.status, 200);
    assert!(longer.text.contains("name=\"categories.1\""));
    assert!(longer.text.contains("value=\"beaucoup\""));
    // An id that is not in the register is refused by its field.
    let mut unknown = access_typed();
    unknown[0].1 = "inconnu";
    unknown.push(("csrf", &token));
    let unknown = browser.post(path, &unknown);
    assert_eq!(unknown.status, 400);
    assert!(unknown.text.contains("<a href=\"#f-processing\">"), "{}", unknown.text);
    assert_eq!(browser.get("/controller/file/party.register").status, 404);
    assert_eq!(demo.size(), before, "a form records nothing");
}

#[test]
fn what_is_reviewed_is_judged_signed_recorded_and_has_its_receipt() {
    let demo = Demo::start();
    let mut browser = Browser::signed_in(&demo.url, "controller");
    let path = "/controller/file/access.report";
    let token = csrf(&browser.get(path));
    let mut typed = access_typed();
    typed.push(("csrf", &token));
    let review = browser.post(path, &typed);
    assert_eq!(review.status, 200, "{}", review.text);
    let draft = between(&review.text, "<code id=\"draft\">", "</code>").expect("the exact JSON");
    let draft: Value = serde_json::from_str(&draft).expect("JSON");
    assert_eq!(draft["body"], access_body());
    let question = json!({"kind": "access.report", "at": "2012-05-10", "body": access_body()});
    let answer = demo
        .regulator()
        .post("/v1/judgements", "application/json", &question.to_string())
        .and_then(greffe_tests::http::Answer::accepted)
        .expect("a verdict");
    let said = |page: &str| {
        let badge = between(page, "<p class=\"overall\"><strong class=\"badge ", "</strong>");
        badge.and_then(|b| b.split('>').nth(1).map(str::to_owned)).expect("a verdict")
    };
    let in_words = |verdict: &Value| match verdict["verdict"].as_str() {
        Some("COVERED") => "Covered",
        Some("COVERED-WITH-RESERVATIONS") => "Covered with reservations",
        Some("NOT-COVERED") => "Not covered",
        _ => "Undetermined",
    };
    assert_eq!(said(&review.text), in_words(&answer));
    assert!(!codes_of(&answer).is_empty());
    assert_eq!(codes_told(&review.text), codes_of(&answer));
    // The same as one types.
    let mut live = typed.clone();
    live.push(("kind", "access.report"));
    let live = browser.post("/controller/judge", &live);
    assert_eq!((live.status, said(&live.text)), (200, said(&review.text)));
    assert_eq!(codes_told(&live.text), codes_of(&answer));
    let early = browser.post("/controller/judge", &[("csrf", &token), ("kind", "access.report")]);
    assert_eq!(early.status, 204, "nothing to judge yet is no error");
    // Back to the form, with everything in it.
    let mut back = typed.clone();
    back.push(("do", "edit"));
    let back = browser.post(path, &back);
    assert!(plain(&back.text).contains(&format!("{SUBJECT}</textarea>")));

    let text = sign_shown(&mut browser, &review, Kind::AccessReport, draft);
    let signed = text.split('~').next().expect("the signed part");
    let payload = signed.split('.').nth(1).and_then(greffe_domain::encoding::base64url_decode);
    let payload = String::from_utf8(payload.expect("base64url")).expect("UTF-8");
    assert!(!payload.contains(SUBJECT) && !payload.contains("agent-042"), "{payload}");
    let answered = Client::new(&demo.url)
        .post("/v1/filings", "application/sd-jwt", &text)
        .and_then(greffe_tests::http::Answer::accepted)
        .expect("recorded");
    let verdict = &answered["receipts"][0]["verdict"];
    assert_eq!(verdict["verdict"], answer["verdict"]);
    assert_eq!(codes_of(verdict), codes_of(&answer));

    let position = answered["receipts"][0]["position"].as_u64().expect("a position");
    let receipt = browser.get(&format!("/controller/receipts/{position}.json"));
    let kept: Value = serde_json::from_str(&receipt.text).expect("JSON");
    assert_eq!(kept, answered["receipts"][0]);
    let file = demo.file("receipt.json", &receipt.text);
    let trust = demo.directory.path().join("demo/trust.json");
    let trust = trust.to_str().expect("UTF-8");
    let checked = greffe(&["receipt", "check", &file, "--trust", trust, "--json"]);
    // It is read and proved, and grants nothing: an access reported is no grant.
    assert_eq!(checked.status.code(), Some(1), "{}", String::from_utf8_lossy(&checked.stderr));
    let said: Value = serde_json::from_slice(&checked.stdout).expect("JSON");
    assert_eq!(said["code"], "not-a-request");
    for list in ["/controller", "/controller/filings", "/controller/accesses"] {
        assert!(browser.get(list).text.contains(&format!("/controller/accesses/{position}")));
    }
    let one = browser.get(&format!("/controller/accesses/{position}"));
    assert_eq!(one.status, 200);
    assert!(!one.text.contains(SUBJECT), "what is concealed is not shown");
    assert_eq!(codes_told(&one.text), codes_of(&answer));
}

#[test]
fn a_filing_signed_elsewhere_is_taken_and_told_in_words_when_refused() {
    let demo = Demo::start();
    let mut browser = Browser::signed_in(&demo.url, "controller");
    let path = "/controller/file/processing.declare";
    let token = csrf(&browser.get(path));
    let review = browser.post(
        path,
        &[
            ("csrf", &token),
            ("processing", "suivi-essaye"),
            ("controller", "fund-invented"),
            ("title", "Suivi essayé"),
            ("purposes.0.code", "PUR-BENEFITS"),
            ("categories.0.code", "ABS-DURATION"),
            ("subjects", "Assurés"),
            ("legal_basis.0", "A6-1-E"),
            ("filing.evidence", "act"),
        ],
    );
    assert_eq!(review.status, 200, "{}", review.text);
    let draft = value_of(&review.text, "draft").expect("the draft");
    let download = browser.post("/controller/draft.json", &[("csrf", &token), ("draft", &draft)]);
    assert_eq!(download.content_type, "application/json");
    let filing = demo.file("filing.json", &download.text);
    let key = demo.file("key.pem", &browser.get("/controller/demonstration-key.pem").text);
    let origin = between(&review.text, "data-origin=\"", "\"").expect("an origin");
    let signed = greffe(&["sign", &filing, "--key", &key, "--aud", &origin]);
    assert_eq!(signed.status.code(), Some(0), "{}", String::from_utf8_lossy(&signed.stderr));
    let token = token.as_bytes();
    let upload = |browser: &mut Browser, bytes: &[u8]| {
        let parts = [("csrf", None, token), ("filing", Some("filing.jwt"), bytes)];
        browser.post_files("/controller/upload", &parts)
    };
    let before = demo.size();
    let garbage = upload(&mut browser, b"pas un SD-JWT");
    assert_eq!(garbage.status, 400);
    assert!(garbage.text.contains("/problems/malformed"), "{}", garbage.text);
    let of_another = json!({
        "iss": "cnil", "kind": "milestone.record", "evidence": "act",
        "body": {"about": {"type": "processing", "id": PROCESSING}, "milestone": "notified"},
    });
    let stamp = Stamp { aud: &origin, iat: 1_800_000_000, jti: "of another" };
    let of_another = Draft::from_value(of_another).expect("a draft").sign(
        &stamp,
        &mut || [0; 16],
        &simulated_party_key("cnil"),
    );
    let refused = upload(&mut browser, of_another.as_bytes());
    assert_eq!(refused.status, 403, "{}", refused.text);
    assert_eq!(demo.size(), before, "nothing of that is recorded");
    let taken = upload(&mut browser, &signed.stdout);
    assert_eq!(taken.status, 201, "{}", taken.text);
    assert!(taken.text.contains("/controller/receipts/"), "{}", taken.text);
    assert_eq!(demo.size(), before + 1);
    assert!(browser.get("/controller").text.contains("/register/processings/suivi-essaye"));
    // The same bytes again: the same receipt. Another declaration of the same: told why not.
    assert_eq!(upload(&mut browser, &signed.stdout).status, 201);
    let again = greffe(&["sign", &filing, "--key", &key, "--aud", &origin]);
    let again = upload(&mut browser, &again.stdout);
    assert_eq!(again.status, 409);
    assert!(again.text.contains("/problems/already-exists"), "{}", again.text);
    assert_eq!(demo.size(), before + 1);
}

#[test]
fn a_csv_is_told_line_by_line_and_filed_under_one_signature() {
    let demo = Demo::start();
    let mut browser = Browser::signed_in(&demo.url, "controller");
    let page = browser.get("/controller/batch");
    assert_eq!(page.status, 200, "{}", page.text);
    let token = csrf(&page);
    let template = browser.get("/controller/templates/access.report.csv");
    let headings =
        template.text.split("\r\n").next().expect("headings").trim_start_matches('\u{feff}');
    let at = |name: &str| headings.split(';').position(|h| h == name).expect(name);
    let row = |purpose: &str, subject: &str, party: &str| {
        let mut cells = vec![""; headings.split(';').count()];
        for (name, value) in [
            ("Traitement", PROCESSING),
            ("Finalité", purpose),
            ("Catégories de données", "REINTEGRATION-PLAN|EMP-IDENTITY"),
            ("Destinataire > Organisme", party),
            ("Destinataire > Rôle", "R-CASE-MANAGER"),
            ("Base invoquée > Codes", "LIL7-3 | LIL8-DEROG"),
            ("Personnes (références)", subject),
            ("Canal", "portal"),
        ] {
            cells[at(name)] = value;
        }
        format!("{}\r\n", cells.join(";"))
    };
    let send = |browser: &mut Browser, csv: &str| {
        browser.post_files(
            "/controller/batch",
            &[
                ("csrf", None, token.as_bytes()),
                ("kind", None, b"access.report"),
                ("filing.at", None, b"2012-05-10"),
                ("filing.evidence", None, b"act"),
                ("csv", Some("acces.csv"), csv.as_bytes()),
            ],
        )
    };
    let good = row("PUR-CASE-MGMT", SUBJECT, "fund-invented");
    let before = demo.size();
    let unusable = send(&mut browser, "Traitement;Couleur\r\n");
    assert_eq!(unusable.status, 400);
    assert!(plain(&unusable.text).contains("Couleur"), "{}", unusable.text);
    // Two lines to correct among three.
    let wrong = format!(
        "\u{feff}{headings}\r\n{good}{}{}",
        row("PUR-NONSENSE", "x", "fund-invented"),
        row("PUR-CASE-MGMT", SUBJECT, "personne")
    );
    let sent = send(&mut browser, &wrong);
    assert_eq!((sent.status, sent.location.as_str()), (303, "/controller/batch/report"));
    let report = browser.get("/controller/batch/report");
    let text = plain(&report.text);
    let of_line = |n: u64| {
        let from = format!("<tr><th scope=\"row\" class=\"n\">{n}</th>");
        between(&text, &from, "</tr>").expect("a line of the report")
    };
    assert!(!of_line(2).contains("to be corrected"), "{}", of_line(2));
    assert!(of_line(3).contains("Finalité") && of_line(3).contains("PUR-NONSENSE"));
    assert!(of_line(3).contains("Personnes (références)"), "{}", of_line(3));
    assert!(of_line(4).contains("Destinataire > Organisme"), "{}", of_line(4));
    assert!(!report.text.contains("id=\"signing\""), "nothing to sign yet");
    assert_eq!(browser.get("/controller/batch/filing.json").status, 404);

    // As many lines as a page may show, each with many findings: told on several light pages.
    let refused = row("PUR-STAFF-STEERING", SUBJECT, "fund-invented");
    assert_eq!(send(&mut browser, &format!("{headings}\n{}", refused.repeat(100))).status, 303);
    let mut told = 0;
    let mut next = Some("/controller/batch/report".to_owned());
    while let Some(path) = next {
        let page = browser.get(&path);
        assert!(page.text.len() < 100_000, "{path}: {} bytes", page.text.len());
        told += page.text.matches("<tr><th scope=\"row\" class=\"n\">").count();
        next = between(&page.text, "rel=\"next\" href=\"", "\"");
    }
    assert_eq!(told, 100, "each line once");

    let three = format!("{headings}\n{good}{good}{good}");
    assert_eq!(send(&mut browser, &three).status, 303);
    let report = browser.get("/controller/batch/report");
    assert!(report.text.contains("id=\"signing\""), "{}", report.text);
    assert!(report.text.len() < 100_000);
    let question = json!({"kind": "access.report", "at": "2012-05-10", "body": {
        "processing": PROCESSING, "purpose": "PUR-CASE-MGMT",
        "categories": ["REINTEGRATION-PLAN", "EMP-IDENTITY"],
        "recipient": {"party": "fund-invented", "role": "R-CASE-MANAGER"},
        "basis": {"codes": ["LIL7-3", "LIL8-DEROG"]}, "subjects": [SUBJECT], "channel": "portal",
    }});
    let answer = demo
        .regulator()
        .post("/v1/judgements", "application/json", &question.to_string())
        .and_then(greffe_tests::http::Answer::accepted)
        .expect("a verdict");
    for code in codes_of(&answer) {
        let times = report.text.matches(&format!("<code>{code}</code>")).count();
        assert!(times >= 3, "{code} on each line: {times}");
    }
    let draft = browser.get("/controller/batch/filing.json");
    let draft: Value = serde_json::from_str(&draft.text).expect("JSON");
    assert_eq!(draft["body"].as_array().map(Vec::len), Some(3));
    assert_eq!(demo.size(), before, "nothing is filed before it is signed");
    let text = sign_shown(&mut browser, &report, Kind::AccessReport, draft);
    let answered = Client::new(&demo.url)
        .post("/v1/filings", "application/sd-jwt", &text)
        .and_then(greffe_tests::http::Answer::accepted)
        .expect("recorded");
    let receipts = answered["receipts"].as_array().expect("receipts");
    assert_eq!(receipts.len(), 3);
    assert!(receipts.iter().all(|r| r["verdict"]["verdict"] == answer["verdict"]));
    assert_eq!(demo.size(), before + 3);
}
