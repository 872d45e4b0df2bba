//! The authority's pages over the real program and the documented cases: what each holds, who
//! is let in, searches that are their address, and dossiers that check.

use greffe_domain::encoding::base64url_decode;
use greffe_domain::trust::Trust;
use greffe_tests::server::Server;
use serde_json::Value;

/// Most bytes of a page.
const PAGE_BYTES: usize = 100_000;

/// `greffe demo`, stopped when dropped.
struct Demo {
    _server: Server,
    url: String,
    directory: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let server = Server::demo(directory.path());
        Self { url: server.url().to_owned(), _server: server, directory }
    }
}

/// A browser without scripts: keeps a cookie, follows nothing.
struct Reader<'d> {
    demo: &'d Demo,
    agent: ureq::Agent,
    cookie: String,
}

struct Shown {
    status: u16,
    to: String,
    text: String,
}

impl<'d> Reader<'d> {
    fn visitor(demo: &'d Demo) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .build()
            .new_agent();
        Self { demo, agent, cookie: String::new() }
    }

    /// Signs in by the demonstration's form.
    fn signed_in(demo: &'d Demo, person: &str) -> Self {
        let mut reader = Self::visitor(demo);
        let url = format!("{}/signin", demo.url);
        let page = reader.agent.get(&url).call().expect("an answer");
        let under_way = set_cookie(&page);
        let page = page.into_body().read_to_string().expect("text");
        let form = between(&page, "name=\"form\" value=\"", "\"");
        let asked = [("form", form), ("then", "/regulator"), ("person", person)];
        let answer = reader.agent.post(&url).header("Cookie", &under_way).send_form(asked);
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), 303, "{person} signs in");
        reader.cookie = set_cookie(&answer);
        reader
    }

    fn open(&self, path: &str, lang: &str) -> Shown {
        let request = self
            .agent
            .get(format!("{}{path}", self.demo.url))
            .header("Accept", "text/html")
            .header("Accept-Language", lang)
            .header("Cookie", &self.cookie);
        let answer = request.call().unwrap_or_else(|e| panic!("{path}: {e}"));
        let to = answer.headers().get("location").map(|to| to.to_str().expect("ASCII").to_owned());
        Shown {
            status: answer.status().as_u16(),
            to: to.unwrap_or_default(),
            text: answer.into_body().read_to_string().expect("text"),
        }
    }

    /// A page that is there.
    #[track_caller]
    fn page(&self, path: &str, lang: &str) -> String {
        let shown = self.open(path, lang);
        assert_eq!(shown.status, 200, "{path}: {}", shown.text);
        shown.text
    }
}

fn set_cookie(answer: &ureq::http::Response<ureq::Body>) -> String {
    let cookie = answer.headers().get("set-cookie").expect("a cookie").to_str().expect("ASCII");
    cookie.split(';').next().unwrap_or_default().to_owned()
}

#[track_caller]
fn between<'t>(text: &'t str, before: &str, after: &str) -> &'t str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no `{before}` in\n{text}"));
    rest.split_once(after).map_or(rest, |(found, _)| found)
}

#[track_caller]
fn holds(page: &str, facts: &[&str]) {
    for fact in facts {
        assert!(page.contains(fact), "no `{fact}` in\n{page}");
    }
}

const PAGES: &[&str] = &[
    "/regulator",
    "/regulator/accesses",
    "/regulator/accesses?recipient=employer-grenoble&from=2017-11-01&known_at=2018-01-31",
    "/regulator/findings",
    "/regulator/findings?code=BASIS-ANNULLED&state=changed",
    "/regulator/audit",
    "/regulator/entries/0",
    "/regulator/parties/cnamts",
    "/regulator/parties/cnil",
    "/regulator/experiments/motifs-2017",
    "/regulator/dossier?of=accesses&now=NOT-COVERED",
    "/regulator/dossier?of=party&id=fund-invented",
    "/regulator/dossier?of=experiment&id=motifs-2017",
];

#[test]
fn the_authority_reads_everything_by_pages_and_nobody_else_does() {
    let demo = Demo::start();
    let authority = Reader::signed_in(&demo, "regulator");
    let visitor = Reader::visitor(&demo);
    let others = ["citizen", "controller"].map(|person| Reader::signed_in(&demo, person));
    for path in PAGES {
        for lang in ["fr", "en"] {
            let page = authority.page(path, lang);
            holds(&page, &[&format!("<html lang=\"{lang}\">"), "</html>"]);
            assert!(page.len() < PAGE_BYTES, "{path} has {} bytes", page.len());
        }
        let shown = visitor.open(path, "fr");
        assert_eq!(shown.status, 303, "{path}");
        assert!(shown.to.starts_with("/signin?then=%2Fregulator"), "{path}: {}", shown.to);
        for other in &others {
            let shown = other.open(path, "fr");
            assert_eq!(shown.status, 403, "{path}");
            holds(&shown.text, &["<html"]);
        }
    }
    let shown = visitor.open("/regulator/dossier.ndjson?of=party&id=cnil", "fr");
    assert_eq!((shown.status, shown.text.as_str()), (303, ""));
    // What is asked for is come back to, whole.
    let shown = visitor.open("/regulator/audit?q=a%20b&type=KeyRevoked", "fr");
    assert_eq!(shown.to, "/signin?then=%2Fregulator%2Faudit%3Fq%3Da%2520b%26type%3DKeyRevoked");
    the_refusal_of_anaiss(&authority);
    the_annulled_decision(&authority);
    generalisations_stand_beside_the_findings(&authority);
    searches_are_their_address(&authority);
    dossiers_check(&demo, &authority);
}

fn the_refusal_of_anaiss(authority: &Reader<'_>) {
    let page = authority.page("/regulator/audit?type=DecisionRendered&q=2005-038", "fr");
    holds(
        &page,
        &["Décision rendue", "/register/decisions/anaiss-2005-038", "decision/anaiss-2005-038"],
    );
    let entry = between(&page, "href=\"/regulator/entries/", "\"").to_owned();
    let page = authority.page(&format!("/regulator/entries/{entry}"), "fr");
    holds(&page, &["PUR-STAFF-STEERING", "REFUSED", "Refus", &format!("Entrée {entry}")]);
    let page = authority.page("/regulator/parties/cnamts", "en");
    holds(&page, &["ANAISS", "/register/decisions/anaiss-2005-038", "live"]);
}

fn the_annulled_decision(authority: &Reader<'_>) {
    let page = authority.page("/regulator/accesses?verdict=COVERED&now=NOT-COVERED", "en");
    let position = between(&page, "<li id=\"a", "\"").to_owned();
    let page = authority.page(&format!("/regulator/accesses/{position}"), "en");
    let cause = between(&page, "<h3>The entry that changed the answer</h3>", "</ol>");
    holds(cause, &["Decision ended", "decision/deliberation-inventee"]);
    let cause = between(cause, "<li id=\"e", "\"");
    let gained = between(&page, "<li class=\"gained\">", "</li>");
    holds(gained, &["BASIS-ANNULLED", "contradicted"]);
    holds(&page, &["Annulled retroactively", "could not have known"]);
    // As known the evening before the judgment nothing had changed.
    let before = format!("/regulator/accesses/{position}?known_at=2013-11-19");
    let page = authority.page(&before, "en");
    assert!(!page.contains("class=\"gained\""), "{page}");
    let board = authority.page("/regulator/findings?code=BASIS-ANNULLED&since=2013-11-20", "en");
    holds(
        &board,
        &[&format!("/regulator/accesses/{position}"), &format!("/regulator/entries/{cause}")],
    );
    let entry = authority.page(&format!("/regulator/entries/{cause}"), "en");
    holds(&entry, &["Decision ended", "ANNULLED-EX-TUNC"]);
}

fn generalisations_stand_beside_the_findings(authority: &Reader<'_>) {
    let of = |page: &str| between(page, "<h2 id=\"generalisations\">", "</section>").to_owned();
    let board = of(&authority.page("/regulator/findings", "fr"));
    holds(
        &board,
        &[
            "/register/processings/risk-index",
            "GENERALISATION-CONDITION-UNMET",
            "/regulator/experiments/case-management-regions",
            "GENERALISATION-WITHOUT-EVALUATION",
        ],
    );
    // Nobody speaks of generalising this one.
    assert!(!board.contains("motifs-2017"), "{board}");
    let board =
        of(&authority.page("/regulator/findings?code=GENERALISATION-CONDITION-UNMET", "fr"));
    assert!(!board.contains("case-management-regions"), "{board}");
    // They have no history to be asked for.
    for history in ["state=closed", "since=2000-01-01"] {
        let page = authority.page(&format!("/regulator/findings?{history}"), "fr");
        assert!(!page.contains("id=\"generalisations\""), "{history}");
    }
}

fn searches_are_their_address(authority: &Reader<'_>) {
    // A page whose search is wrong says so beside the field and keeps every value.
    for (path, field, kept) in [
        ("/regulator/accesses?category=NOPE&recipient=caisse%20x", "category", "caisse x"),
        ("/regulator/accesses?from=yesterday&site=grenoble", "from", "grenoble"),
        ("/regulator/accesses?now=COVERED&known_at=5", "now", "5"),
        ("/regulator/accesses?known_at=never&site=grenoble", "known_at", "never"),
        ("/regulator/findings?since=soon&party=cnamts", "since", "cnamts"),
        ("/regulator/audit?stream=nowhere/x&q=mot", "stream", "mot"),
        ("/regulator/audit?from=32&by=cnil", "from", "cnil"),
        ("/regulator/accesses?from=2020-01-02&to=2020-01-01&site=grenoble", "from", "grenoble"),
        ("/regulator/accesses?from=2020-01-02&as_of=2020-01-01&site=x", "from", "x"),
        ("/regulator/audit?from=2020-01-02&to=2020-01-01&by=cnil", "from", "cnil"),
    ] {
        for lang in ["fr", "en"] {
            let shown = authority.open(path, lang);
            assert_eq!(shown.status, 400, "{path}: {}", shown.text);
            holds(
                &shown.text,
                &[
                    &format!("aria-describedby=\"{field}-error"),
                    &format!("id=\"{field}-error\""),
                    "role=\"alert\"",
                    &format!("\"{kept}\""),
                ],
            );
        }
    }
    // Every page of a search is the same search, and together they are the whole.
    let mut path = "/regulator/audit?by=press-archive&from=1990-01-01".to_owned();
    let mut positions: Vec<u64> = Vec::new();
    loop {
        let page = authority.page(&path, "fr");
        let found = page.split("<li id=\"e").skip(1);
        positions.extend(found.filter_map(|rest| rest.split('"').next()?.parse::<u64>().ok()));
        let Some((_, next)) = page.split_once("rel=\"next\" href=\"") else { break };
        path =
            next.split('"').next().unwrap_or_default().replace("&amp;", "&").replace("&#38;", "&");
        holds(&path, &["by=press-archive", "from=1990-01-01", "cursor="]);
    }
    assert!(positions.len() > 20, "{positions:?}");
    assert!(positions.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {positions:?}");
    let link = authority.page("/regulator/accesses?processing=motifs-arrets&order=oldest", "fr");
    let dossier = between(&link, "href=\"/regulator/dossier?", "\"");
    holds(dossier, &["processing=motifs-arrets", "of=accesses", "known_at="]);
}

fn dossiers_check(demo: &Demo, authority: &Reader<'_>) {
    let trust = std::fs::read(demo.directory.path().join("demo/trust.json")).expect("trust.json");
    let key = Trust::parse(&trust).expect("a trust file").ledger_key;
    for (path, wanted) in [
        ("of=accesses&now=NOT-COVERED&known_at=10000", "DecisionEnded"),
        ("of=party&id=fund-invented", "ProcessingDeclared"),
        ("of=experiment&id=motifs-2017", "ExpansionPlanned"),
    ] {
        let text = authority.page(&format!("/regulator/dossier.ndjson?{path}"), "fr");
        holds(&text, &[wanted]);
        let lines: Vec<&str> = text.lines().collect();
        let (last, entries) = lines.split_last().expect("lines");
        let head: Value = serde_json::from_str(last).expect("JSON");
        assert!(head["head"]["size"].as_u64().is_some_and(|size| size > 0), "{last}");
        let mut before = None;
        let mut sealed = 0;
        for line in entries {
            if line.starts_with("{\"filing\":") {
                continue;
            }
            let parsed: Value = serde_json::from_str(line).expect("JSON");
            let leaf = between(line, "{\"leaf\":", ",\"link\":\"");
            let link = blake3::derive_key("greffe v1 entry link", leaf.as_bytes());
            let link: String = link.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(parsed["link"], link.as_str(), "{line}");
            let position = parsed["leaf"]["position"].as_u64().expect("a position");
            assert!(before.is_none_or(|before| before < position), "in the ledger's order");
            before = Some(position);
            let origin = parsed["leaf"]["origin"].as_str().expect("an origin");
            let signed = format!("greffe v1 entry\n{origin}\n{position}\n{link}\n");
            let signature = parsed["signature"].as_str().and_then(base64url_decode);
            let signature: [u8; 64] =
                signature.expect("base64url").try_into().expect("an Ed25519 signature");
            assert!(key.verify(signed.as_bytes(), &signature), "position {position}");
            sealed += 1;
        }
        assert!(sealed > 3, "{path}: {sealed} entries");
        assert!(!text.contains("\"disclosure\""), "no concealed value leaves in a dossier");
    }
}
