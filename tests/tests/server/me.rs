//! What a signed-in citizen sees and does: their own history and nobody else's, a
//! contestation that lands once, an extract that a stranger can check.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

use greffe_domain::encoding::base64url_decode;
use greffe_tests::http::Client;
use greffe_tests::server::{Server, greffe, program};
use serde_json::Value;

/// The person of the demonstration's sign-in.
const CITIZEN: &str = "MHV5zDsVw4Ib6gxEK5sCqqbc8OmTdyrbxbVGDybL2ls";
/// Another person whom the ledger holds.
const ANOTHER: &str = "aW52ZW50ZWQgc3ViamVjdCwgYW5udWxtZW50IGNhc2U";

/// A demonstration, served.
struct Demo {
    _server: Server,
    url: String,
    token: String,
    _directory: tempfile::TempDir,
    data: PathBuf,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let (server, token) = Server::demo_and_token(directory.path());
        let data = directory.path().join("demo");
        Self { url: server.url().to_owned(), _server: server, token, _directory: directory, data }
    }

    fn authority(&self) -> Client {
        Client::new(&self.url).with_token(&self.token)
    }
}

struct Page {
    status: u16,
    location: String,
    text: String,
}

impl Page {
    /// The value of the first hidden field of that name.
    fn field(&self, name: &str) -> String {
        let mark = format!("name=\"{name}\" value=\"");
        let after = self.text.split(&mark).nth(1).unwrap_or_else(|| panic!("no {name}"));
        after.split('"').next().unwrap_or_default().to_owned()
    }
}

/// A browser: it keeps cookies and follows nothing by itself.
struct Browser {
    agent: ureq::Agent,
    base: String,
    cookies: std::cell::RefCell<Vec<(String, String)>>,
}

impl Browser {
    fn open(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        Self { agent, base: url.to_owned(), cookies: Vec::new().into() }
    }

    fn cookie(&self) -> String {
        let cookies = self.cookies.borrow();
        let pairs: Vec<String> = cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("; ")
    }

    fn read(&self, response: ureq::http::Response<ureq::Body>) -> Page {
        for set in response.headers().get_all("set-cookie") {
            let set = set.to_str().expect("ASCII");
            let (name, value) =
                set.split(';').next().and_then(|pair| pair.split_once('=')).expect("a pair");
            let mut cookies = self.cookies.borrow_mut();
            cookies.retain(|(n, _)| n != name);
            cookies.push((name.to_owned(), value.to_owned()));
        }
        let location = response.headers().get("location").and_then(|v| v.to_str().ok());
        let (status, location) =
            (response.status().as_u16(), location.unwrap_or_default().to_owned());
        let mut text = String::new();
        response.into_body().into_reader().read_to_string(&mut text).expect("text");
        Page { status, location, text }
    }

    fn get(&self, path: &str) -> Page {
        let request = self
            .agent
            .get(format!("{}{path}", self.base))
            .header("Accept", "text/html")
            .header("Cookie", self.cookie());
        self.read(request.call().expect("an answer"))
    }

    fn post(&self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = self
            .agent
            .post(format!("{}{path}", self.base))
            .header("Accept", "text/html")
            .header("Cookie", self.cookie());
        self.read(request.send_form(fields.iter().copied()).expect("an answer"))
    }

    /// Signs in as somebody of the demonstration; where that leads.
    fn sign_in(&self, person: &str) -> String {
        let form = self.get("/signin").field("form");
        let page = self.post("/signin", &[("form", &form), ("person", person), ("then", "/me")]);
        assert_eq!(page.status, 303, "{}", page.text);
        page.location
    }

    fn json(&self, path: &str) -> Value {
        let page = self.get(path);
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        serde_json::from_str(&page.text).expect("JSON")
    }
}

/// Position of the first access that the authority finds with this filter.
fn access(demo: &Demo, filter: &str) -> u64 {
    let found = demo.authority().get(&format!("/v1/accesses?{filter}")).expect("an answer");
    found.body["items"][0]["position"].as_u64().unwrap_or_else(|| panic!("{}", found.body))
}

fn verify(export: &Path, data: &Path) -> (Option<i32>, String) {
    let output = Command::new(program("greffe-verify"))
        .arg(export)
        .arg("--trust")
        .arg(data.join("trust.json"))
        .output()
        .expect("the verifier starts");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_citizen_sees_their_own_history_and_nobody_else_does() {
    let demo = Demo::start();
    let own = access(&demo, &format!("subject={CITIZEN}"));
    let other = access(&demo, &format!("subject={ANOTHER}"));

    let nobody = Browser::open(&demo.url);
    for path in ["/me", &format!("/me/accesses/{own}"), "/me/extract.ndjson"] {
        let page = nobody.get(path);
        assert_eq!((page.status, page.text.as_str()), (303, ""), "{path}");
        let then = path.replace('/', "%2F");
        assert_eq!(page.location, format!("/signin?then={then}"));
    }
    let asked = Client::new(&demo.url).get("/v1/me/accesses").expect("an answer");
    assert_eq!((asked.status, asked.code()), (401, "token-invalid"));
    // A party's token is not a person's session.
    assert_eq!(demo.authority().get("/v1/me/accesses").expect("an answer").status, 401);

    for agent in ["regulator", "controller"] {
        let browser = Browser::open(&demo.url);
        browser.sign_in(agent);
        let of_me = [
            "/me".to_owned(),
            "/v1/me/accesses".to_owned(),
            "/me/extract.ndjson".to_owned(),
            format!("/me/accesses/{own}"),
            format!("/me/accesses/{own}/letter"),
        ];
        for path in of_me {
            assert_eq!(browser.get(&path).status, 403, "{agent} {path}");
        }
    }

    let citizen = Browser::open(&demo.url);
    assert_eq!(citizen.sign_in("citizen"), "/me");
    let list = citizen.json("/v1/me/accesses");
    let items = list["items"].as_array().expect("a list");
    let positions: Vec<u64> = items.iter().filter_map(|i| i["position"].as_u64()).collect();
    assert_eq!(positions, [own], "their own and no other");
    assert_eq!(items[0]["recipient"]["party"], "maif");
    assert_eq!(items[0]["then"]["verdict"], "NOT-COVERED");
    assert!(items[0]["changed_by"].as_array().is_some_and(|c| !c.is_empty()), "{list}");
    assert!(!list.to_string().contains(CITIZEN), "no reference to anybody");

    // What is not theirs answers as what does not exist.
    let answers: Vec<Page> = [other, 999_999]
        .iter()
        .map(|position| citizen.get(&format!("/me/accesses/{position}")))
        .collect();
    let without = |page: &Page, position: u64| {
        let (_, body) = page.text.split_once("<body>").expect("a page");
        body.replace(&format!("/{position}"), "/N")
    };
    assert_eq!((answers[0].status, answers[1].status), (404, 404));
    assert_eq!(without(&answers[0], other), without(&answers[1], 999_999));
    for path in ["letter", "letter.txt", "receipt.json"] {
        assert_eq!(citizen.get(&format!("/me/accesses/{other}/{path}")).status, 404, "{path}");
    }
    let csrf = citizen.get("/me").field("csrf");
    let form = [("csrf", csrf.as_str()), ("reason", "no-basis")];
    assert_eq!(citizen.post(&format!("/me/accesses/{other}/contest"), &form).status, 404);
}

#[test]
fn figures_about_a_workplace_are_told_without_figures_and_only_to_whoever_names_it() {
    let demo = Demo::start();
    let of_group = access(&demo, "site=grenoble");
    let citizen = Browser::open(&demo.url);
    citizen.sign_in("citizen");
    let list = citizen.json("/v1/me/accesses?site=grenoble");
    let items = list["items"].as_array().expect("a list");
    assert!(!items.is_empty());
    for item in items {
        assert_eq!(item["recipient"]["site"]["id"], "grenoble");
        assert_eq!(item["about"], "workplace");
        assert!(item.get("cohort").is_none() && item.get("subjects").is_none(), "{item}");
    }
    let late = citizen.json("/v1/me/accesses?site=grenoble&from=2030-01-01");
    assert_eq!(late["items"].as_array().map(Vec::len), Some(0), "outside the period");
    for path in ["/v1/me/accesses", "/me"] {
        let turned = citizen.get(&format!("{path}?site=grenoble&from=2018-12-31&to=2017-01-01"));
        assert_eq!(turned.status, 400, "{}", turned.text);
        assert!(turned.text.contains("from") && turned.text.contains("to"), "{}", turned.text);
    }
    let page = citizen.get("/me?site=grenoble&from=2017-01-01&to=2018-12-31");
    assert!(page.text.contains(&format!("/me/accesses/{of_group}?site=grenoble")), "{}", page.text);
    let nowhere = citizen.get("/me?site=nowhere");
    assert!(nowhere.text.contains("nowhere") && nowhere.status == 200);

    assert_eq!(citizen.get(&format!("/me/accesses/{of_group}?site=grenoble")).status, 200);
    assert_eq!(citizen.get(&format!("/me/accesses/{of_group}?site=marseille")).status, 404);
    assert_eq!(citizen.get(&format!("/me/accesses/{of_group}")).status, 404);
    // Nobody contests in a workplace's name.
    let csrf = citizen.get("/me").field("csrf");
    let form = [("csrf", csrf.as_str()), ("reason", "no-basis")];
    let path = format!("/me/accesses/{of_group}/contest?site=grenoble");
    assert_eq!(citizen.post(&path, &form).status, 404);
}

#[test]
fn a_contestation_lands_once_concealed_and_the_page_says_so() {
    let demo = Demo::start();
    let own = access(&demo, &format!("subject={CITIZEN}"));
    let path = format!("/me/accesses/{own}");
    let citizen = Browser::open(&demo.url);
    citizen.sign_in("citizen");
    let size = || demo.authority().get("/v1/head").expect("an answer").body["size"].as_u64();
    let before = size();

    let page = citizen.get(&path);
    let csrf = page.field("csrf");
    let contest = format!("{path}/contest");
    let said = "Je ne l’ai appris qu’au jugement.";
    for form in
        [vec![("reason", "not-informed")], vec![("csrf", "another"), ("reason", "not-informed")]]
    {
        assert_eq!(citizen.post(&contest, &form).status, 403, "without the form's own token");
    }
    for form in [
        vec![("csrf", csrf.as_str())],
        vec![("csrf", csrf.as_str()), ("reason", "because"), ("words", " ")],
    ] {
        assert_eq!(citizen.post(&contest, &form).status, 400, "without a ground");
    }
    assert_eq!(size(), before, "nothing was filed");

    let form = [("csrf", csrf.as_str()), ("reason", "not-informed"), ("words", said)];
    std::thread::scope(|scope| {
        let sent: Vec<_> = (0..4)
            .map(|_| {
                let (url, cookie) = (&demo.url, citizen.cookie());
                let (contest, form) = (&contest, &form);
                scope.spawn(move || {
                    let browser = Browser::open(url);
                    for pair in cookie.split("; ") {
                        let (name, value) = pair.split_once('=').expect("a pair");
                        browser.cookies.borrow_mut().push((name.to_owned(), value.to_owned()));
                    }
                    let page = browser.post(contest, form);
                    (page.status, page.location)
                })
            })
            .collect();
        for sent in sent {
            let answer = sent.join().expect("an answer");
            assert_eq!(answer, (303, format!("{path}#contest")));
        }
    });
    assert_eq!(size(), before.map(|n| n + 1), "one filing, however often it was sent");

    let page = citizen.get(&path);
    assert!(page.text.contains("Contesté le") && page.text.contains(said), "{}", page.text);
    assert!(!page.text.contains("<textarea"), "it is not offered again");
    assert!(citizen.get("/me").text.contains("contesté le"));
    let contested = citizen.json("/v1/me/accesses")["items"][0]["contested"].as_u64();
    assert_eq!(contested, before, "at the position that was next");

    let receipt = citizen.json(&format!("{path}/receipt.json"));
    assert_eq!(receipt["position"].as_u64(), before);
    let leaf = &receipt["leaf"];
    assert_eq!(leaf["event"]["type"], "AccessContested");
    assert_eq!(leaf["event"]["data"]["iss"], "guichet-demo");
    let text = leaf.to_string();
    assert!(!text.contains(CITIZEN) && !text.contains("jugement"), "concealed: {text}");

    let export = demo.data.with_file_name("whole.ndjson");
    let exported = greffe(&[
        "export",
        "--data",
        demo.data.to_str().expect("UTF-8"),
        "--out",
        export.to_str().expect("UTF-8"),
    ]);
    assert_eq!(exported.status.code(), Some(0), "{}", String::from_utf8_lossy(&exported.stderr));
    let (code, out) = verify(&export, &demo.data);
    assert_eq!(code, Some(0), "{out}");
}

#[test]
fn whoever_asks_who_saw_their_data_is_told_to_ask_again_rather_than_given_a_late_list() {
    let demo = Demo::start();
    let own = access(&demo, &format!("subject={CITIZEN}"));
    let path = format!("/me/accesses/{own}");
    let citizen = Browser::open(&demo.url);
    citizen.sign_in("citizen");
    let csrf = citizen.get(&path).field("csrf");
    // Somebody holds the file of the lists: what is recorded does not get into them.
    let lists = rusqlite::Connection::open(demo.data.join("projections.db")).expect("the lists");
    lists.execute_batch("BEGIN IMMEDIATE").expect("a lock");
    let form = [("csrf", csrf.as_str()), ("reason", "not-informed")];
    assert_eq!(citizen.post(&format!("{path}/contest"), &form).status, 303);
    for asked in ["/me", path.as_str(), "/v1/me/accesses"] {
        let late = citizen.get(asked);
        assert_eq!(late.status, 503, "{asked}: {}", late.text);
        assert!(!late.text.contains("Aucun accès"), "{asked}: {}", late.text);
    }
    lists.execute_batch("ROLLBACK").expect("the lock is given up");
    drop(lists);
    // It answers as soon as it can: each question waits for the lists a while.
    let whole = std::iter::repeat_with(|| citizen.get("/me")).find(|page| page.status == 200);
    assert!(whole.expect("it goes on").text.contains("contesté le"));
}

#[test]
fn an_extract_is_accepted_by_the_verifier_and_holds_nothing_of_anybody_else() {
    let demo = Demo::start();
    let own = access(&demo, &format!("subject={CITIZEN}"));
    let citizen = Browser::open(&demo.url);
    citizen.sign_in("citizen");
    let page = citizen.get("/me/extract.ndjson");
    assert_eq!(page.status, 200);
    let file = demo.data.with_file_name("extract.ndjson");
    std::fs::write(&file, &page.text).expect("written");
    let (code, out) = verify(&file, &demo.data);
    assert_eq!(code, Some(0), "{out}");

    let lines: Vec<Value> =
        page.text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let leaves: Vec<&Value> = lines.iter().filter(|l| l.get("leaf").is_some()).collect();
    let accesses: Vec<u64> = leaves
        .iter()
        .filter(|l| l["leaf"]["stream"]["type"] == "access")
        .filter_map(|l| l["leaf"]["position"].as_u64())
        .collect();
    assert_eq!(accesses, [own], "other accesses are hidden");
    let hidden = lines.iter().filter(|l| l.get("link").is_some() && l.get("leaf").is_none());
    assert!(hidden.count() > 0, "and keep their place");
    for line in lines.iter().filter(|l| l.get("disclosure").is_some()) {
        let encoded = line["disclosure"].as_str().expect("text");
        let decoded = base64url_decode(encoded).expect("base64url");
        let decoded = String::from_utf8(decoded).expect("UTF-8");
        assert!(decoded.contains(CITIZEN), "{decoded}");
    }
}

#[test]
fn every_page_of_the_citizen_is_whole_in_both_languages() {
    let demo = Demo::start();
    let own = access(&demo, &format!("subject={CITIZEN}"));
    let citizen = Browser::open(&demo.url);
    citizen.sign_in("citizen");
    for lang in ["fr", "en"] {
        for path in [
            format!("/me?lang={lang}"),
            format!("/me?site=grenoble&lang={lang}"),
            format!("/me/accesses/{own}?lang={lang}"),
            format!("/me/accesses/{own}/letter?lang={lang}"),
        ] {
            let page = citizen.get(&path);
            assert_eq!(page.status, 200, "{path}");
            assert!(page.text.len() < 100_000, "{path}: {} bytes", page.text.len());
            assert!(page.text.contains(&format!("<html lang=\"{lang}\"")), "{path}");
            let body = page.text.split("<body>").nth(1).expect("a body");
            assert!(!body.contains("<script"), "{path} works without scripts");
            assert!(!body.contains(CITIZEN), "{path} shows no reference");
            let text: String = body.split('<').filter_map(|t| t.split_once('>')).fold(
                String::new(),
                |mut text, (_, after)| {
                    text.push_str(after);
                    text.push('\n');
                    text
                },
            );
            // Codes have labels, and keys of words are never shown.
            for raw in ["PUR-", "R-EMPLOYER", "CALL-METRICS", "UNSTATED", "me-", "event-"] {
                let shown = text.lines().find(|line| line.trim_start().starts_with(raw));
                assert_eq!(shown, None, "{path}");
            }
        }
    }
    let letter = citizen.get(&format!("/me/accesses/{own}/letter.txt"));
    for stated in ["article 15", "C-579/21", "MAIF", &format!("n°\u{a0}{own}"), "mai 2022"] {
        assert!(letter.text.contains(stated), "no {stated} in {}", letter.text);
    }
}
