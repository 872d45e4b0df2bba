//! Every page as everybody: who gets in, whose data are shown, which headers and tokens go
//! with it.
//!
//! The pages are those of the router's own source: a page that is not in the table fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use greffe_domain::kind::Kind;
use greffe_tests::server::Server;
use greffe_tests::vectors::path;
use serde_json::Value;

/// The four who open pages, in the order of the table's columns.
const ROLES: [&str; 4] = ["visitor", "citizen", "controller", "regulator"];

/// A route, an address of it in the demonstration, and the status for each of `ROLES`.
type Row = (&'static str, &'static str, [u16; 4]);

const OPEN: [u16; 4] = [200; 4];

/// For one role only: a visitor is sent to sign in, the others are told that it is not theirs.
const CITIZEN: [u16; 4] = [303, 200, 403, 403];
const CONTROLLER: [u16; 4] = [303, 403, 200, 403];
const REGULATOR: [u16; 4] = [303, 403, 403, 200];

const PAGES: &[Row] = &[
    ("/", "/", OPEN),
    ("/favicon.ico", "/favicon.ico", OPEN),
    ("/search", "/search?q=anaiss", OPEN),
    ("/register", "/register", OPEN),
    ("/register/processings", "/register/processings", OPEN),
    ("/register/processings/{*id}", "/register/processings/anaiss", OPEN),
    ("/register/decisions", "/register/decisions", OPEN),
    ("/register/decisions/{*id}", "/register/decisions/anaiss-2005-038", OPEN),
    ("/register/experiments", "/register/experiments", OPEN),
    ("/register/experiments/{*id}", "/register/experiments/motifs-2017", OPEN),
    ("/register/parties", "/register/parties", OPEN),
    ("/register/parties/{*id}", "/register/parties/cnil", OPEN),
    ("/signin", "/signin", OPEN),
    // Without a sign-in under way, whoever comes back is nobody's.
    ("/signin/callback", "/signin/callback?state=x&code=y", [403; 4]),
    ("/problems", "/problems", OPEN),
    ("/problems/{code}", "/problems/not-found", OPEN),
    ("/assets/{name}", "/assets/sign.js", OPEN),
    ("/me", "/me", CITIZEN),
    ("/me/extract.ndjson", "/me/extract.ndjson", CITIZEN),
    ("/me/accesses/{position}", "/me/accesses/OWN", CITIZEN),
    ("/me/accesses/{position}/receipt.json", "/me/accesses/OWN/receipt.json", [303, 404, 403, 403]),
    ("/me/accesses/{position}/letter", "/me/accesses/OWN/letter", CITIZEN),
    ("/me/accesses/{position}/letter.txt", "/me/accesses/OWN/letter.txt", CITIZEN),
    ("/controller", "/controller", CONTROLLER),
    ("/controller/filings", "/controller/filings", CONTROLLER),
    ("/controller/accesses", "/controller/accesses", CONTROLLER),
    ("/controller/accesses/{position}", "/controller/accesses/OWN", [303, 403, 404, 403]),
    ("/controller/receipts/{file}", "/controller/receipts/OWN.json", [303, 403, 404, 403]),
    ("/controller/demonstration-key.pem", "/controller/demonstration-key.pem", CONTROLLER),
    ("/controller/file/{kind}", "/controller/file/access.request", CONTROLLER),
    ("/controller/batch", "/controller/batch", CONTROLLER),
    ("/controller/batch/report", "/controller/batch/report", [303, 403, 303, 403]),
    ("/controller/batch/filing.json", "/controller/batch/filing.json", [303, 403, 404, 403]),
    ("/controller/templates/{file}", "/controller/templates/access.request.csv", CONTROLLER),
    ("/regulator", "/regulator", REGULATOR),
    ("/regulator/accesses", "/regulator/accesses", REGULATOR),
    ("/regulator/accesses/{position}", "/regulator/accesses/OWN", REGULATOR),
    ("/regulator/findings", "/regulator/findings", REGULATOR),
    ("/regulator/audit", "/regulator/audit", REGULATOR),
    ("/regulator/entries/{position}", "/regulator/entries/OWN", REGULATOR),
    ("/regulator/parties/{*id}", "/regulator/parties/cnil", REGULATOR),
    ("/regulator/experiments/{*id}", "/regulator/experiments/motifs-2017", REGULATOR),
    ("/regulator/dossier", "/regulator/dossier?of=accesses", REGULATOR),
    ("/regulator/dossier.ndjson", "/regulator/dossier.ndjson?of=accesses", REGULATOR),
    ("/regulator/saved.js", "/regulator/saved.js", OPEN),
];

/// Forms, each posted without its token. Nobody is signed out who is not signed in.
const FORMS: &[Row] = &[
    ("/signin", "/signin", [403; 4]),
    ("/signout", "/signout", [303, 403, 403, 403]),
    ("/me/accesses/{position}/contest", "/me/accesses/OWN/contest", [303, 403, 403, 403]),
    ("/controller/file/{kind}", "/controller/file/access.request", [303, 403, 403, 403]),
    ("/controller/judge", "/controller/judge", [303, 403, 403, 403]),
    ("/controller/draft.json", "/controller/draft.json", [303, 403, 403, 403]),
    // These take files: another form than theirs is told so before its token is looked for.
    ("/controller/upload", "/controller/upload", [303, 403, 400, 403]),
    ("/controller/batch", "/controller/batch", [303, 403, 400, 403]),
];

/// What the router routes outside the programs' interface: path, and methods.
fn routes() -> BTreeMap<String, BTreeSet<&'static str>> {
    fn below(directory: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(directory).expect("our own source") {
            let entry = entry.expect("our own source").path();
            if entry.is_dir() {
                below(&entry, out);
            } else {
                out.push(std::fs::read_to_string(entry).expect("our own source"));
            }
        }
    }
    let mut sources = Vec::new();
    below(&path("../api/src/http"), &mut sources);
    let mut routes: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        for piece in source.split(".route(").skip(1) {
            let Some(route) =
                piece.trim_start().strip_prefix('"').and_then(|p| p.split('"').next())
            else {
                continue;
            };
            let is_program = route.starts_with("/v1/")
                || ["/openapi.json", "/healthz", "/readyz", "/metrics"].contains(&route);
            if is_program {
                continue;
            }
            let handlers = piece.split("\n        .").next().unwrap_or(piece);
            let of_route = routes.entry(route.to_owned()).or_default();
            of_route.extend(["get", "post"].iter().filter(|m| handlers.contains(&format!("{m}("))));
        }
    }
    routes
}

/// The values that the documented cases conceal, and no page may hold.
fn concealed() -> BTreeSet<String> {
    fn strings(value: &Value, path: &[&str], out: &mut BTreeSet<String>) {
        match (value, path) {
            (Value::String(text), []) => drop(out.insert(text.clone())),
            (Value::Array(items), ["*", rest @ ..]) => {
                items.iter().for_each(|item| strings(item, rest, out));
            }
            (Value::Object(members), [name, rest @ ..]) => {
                members.get(*name).into_iter().for_each(|member| strings(member, rest, out));
            }
            _ => {}
        }
    }
    let mut values = BTreeSet::new();
    for file in std::fs::read_dir(path("cases")).expect("the cases") {
        let file = file.expect("the cases").path();
        if file.extension().is_none_or(|e| e != "ndjson") {
            continue;
        }
        for line in std::fs::read_to_string(&file).expect("a case").lines() {
            let line: Value = serde_json::from_str(line).expect("a line of a case is JSON");
            let Some(kind) = line["kind"].as_str().and_then(Kind::parse) else { continue };
            for path in kind.concealed_paths() {
                let path: Vec<&str> = path.split('/').skip(1).collect();
                strings(&line["body"], &path, &mut values);
            }
        }
    }
    values
}

struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map_or("", |(_, value)| value)
    }

    fn cookies(&self) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(|(n, _)| n == "set-cookie").map(|(_, value)| value.as_str())
    }
}

/// A browser without scripts: cookies, and no redirect followed.
struct Reader {
    agent: ureq::Agent,
    base: String,
    cookies: BTreeMap<String, String>,
}

impl Reader {
    fn new(server: &Server) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A form refused before it is read ends its connection.
            .max_idle_connections(0)
            .build()
            .new_agent();
        Self { agent, base: server.url().to_owned(), cookies: BTreeMap::new() }
    }

    /// Signed in by the demonstration's page; a visitor signs in as nobody.
    fn of(server: &Server, role: &str) -> Self {
        let mut reader = Self::new(server);
        if role != "visitor" {
            let page = reader.get("/signin");
            let token = page.body.split("name=\"form\" value=\"").nth(1).expect("a form");
            let token = token.split('"').next().expect("a value");
            let signed = reader.post("/signin", &format!("form={token}&person={role}&then=%2F"));
            assert_eq!(signed.status, 303, "{role} signs in");
        }
        reader
    }

    fn get(&mut self, path: &str) -> Answer {
        let request = self.agent.get(format!("{}{path}", self.base));
        let response = request
            .header("Accept", "text/html")
            .header("Cookie", self.sent())
            .call()
            .unwrap_or_else(|e| panic!("GET {path}: {e}"));
        self.read(response)
    }

    fn post(&mut self, path: &str, form: &str) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.base));
        let response = request
            .header("Accept", "text/html")
            .header("Cookie", self.sent())
            .header("Content-Type", "application/x-www-form-urlencoded")
            .send(form)
            .unwrap_or_else(|e| panic!("POST {path}: {e}"));
        self.read(response)
    }

    fn sent(&self) -> String {
        let pairs: Vec<String> = self.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
        pairs.join("; ")
    }

    fn read(&mut self, response: ureq::http::Response<ureq::Body>) -> Answer {
        let (parts, mut body) = response.into_parts();
        let headers: Vec<(String, String)> = parts
            .headers
            .iter()
            .map(|(n, v)| (n.to_string(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
            .collect();
        let body = String::from_utf8_lossy(&body.read_to_vec().expect("a body")).into_owned();
        let answer = Answer { status: parts.status.as_u16(), headers, body };
        for cookie in answer.cookies() {
            let pair = cookie.split(';').next().unwrap_or_default();
            if let Some((name, value)) = pair.split_once('=') {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        answer
    }
}

/// What goes with every answer, whoever asks; empty when all of it does.
fn unsafe_in(answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    let policy = answer.header("content-security-policy");
    for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action"] {
        if !policy.contains(part) {
            wrong.push(format!("its policy says nothing of {part}"));
        }
    }
    for danger in ["unsafe-inline", "unsafe-eval", "*", "http:", "https:", "data:"] {
        if policy.contains(danger) {
            wrong.push(format!("its policy allows {danger}"));
        }
    }
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        if answer.header(name) != value {
            wrong.push(format!("{name} is {:?}", answer.header(name)));
        }
    }
    for cookie in answer.cookies() {
        if !cookie.contains("; HttpOnly") || !cookie.contains("; SameSite=Lax") {
            wrong.push(format!("its cookie is {cookie}"));
        }
    }
    wrong
}

/// Forms of a page that would be posted without a token.
fn forms_without_token(page: &str) -> Vec<String> {
    let forms = page.split("<form").skip(1).filter_map(|f| f.split("</form>").next());
    let posted = forms.filter(|form| {
        let tag = form.split('>').next().unwrap_or_default().to_ascii_lowercase();
        tag.contains("method=\"post\"")
    });
    let token = |form: &&str| {
        ["csrf", "form"].iter().any(|name| {
            form.split(&format!("name=\"{name}\" value=\""))
                .nth(1)
                .is_some_and(|v| !v.starts_with('"'))
        })
    };
    posted.filter(|form| !token(form)).map(str::to_owned).collect()
}

#[test]
fn every_page_answers_each_role_as_the_table_says_and_shows_nobody_else() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    let concealed = concealed();
    assert!(concealed.len() >= 5, "the cases conceal {concealed:?}");
    let mut wrong = Vec::new();
    // The one access of the demonstration that is about its citizen.
    let listed = Reader::of(&server, "citizen").get("/me").body;
    let own = listed.split("/me/accesses/").nth(1).expect("an access about the citizen");
    let own: String = own.chars().take_while(char::is_ascii_digit).collect();
    let own_reference = "MHV5zDsVw4Ib6gxEK5sCqqbc8OmTdyrbxbVGDybL2ls";

    let routes = routes();
    for (method, table) in [("get", PAGES), ("post", FORMS)] {
        let routed = routes.iter().filter(|(_, methods)| methods.contains(method));
        let routed: BTreeSet<&str> = routed.map(|(route, _)| route.as_str()).collect();
        let walked: BTreeSet<&str> = table.iter().map(|(route, ..)| *route).collect();
        assert_eq!(routed, walked, "every {method} page is walked, and no other");
    }

    for (column, role) in ROLES.into_iter().enumerate() {
        let mut reader = Reader::of(&server, role);
        let mut check = |reader: &mut Reader, address: &str, form: Option<&str>, status: u16| {
            let signed_in = reader.cookies.clone();
            let answer = match form {
                None => reader.get(address),
                Some(form) => reader.post(address, form),
            };
            let what = if form.is_some() { "POST" } else { "GET" };
            let mut note = |said: String| wrong.push(format!("{role} {what} {address}: {said}"));
            if answer.status != status {
                note(format!("{}, and not {status}: {}", answer.status, answer.header("location")));
            }
            unsafe_in(&answer).into_iter().for_each(&mut note);
            let shown = concealed.iter().filter(|value| answer.body.contains(*value));
            for value in shown.filter(|value| role != "citizen" || *value != own_reference) {
                note(format!("shows {value}"));
            }
            for form in forms_without_token(&answer.body) {
                note(format!("posts without a token: {form}"));
            }
            if answer.header("content-type").starts_with("text/html")
                && answer.header("cache-control") != "no-store"
            {
                note(format!("may be kept: {}", answer.header("cache-control")));
            }
            // Whoever is told that they are signed out still is not, on the next line.
            reader.cookies = signed_in;
        };
        for (_, address, statuses) in PAGES {
            let address = address.replace("OWN", &own);
            check(&mut reader, &address, None, statuses[column]);
        }
        for (_, address, statuses) in FORMS {
            let address = &address.replace("OWN", &own);
            check(&mut reader, address, Some(""), statuses[column]);
            // And with a token that is not this session's.
            let forged = "csrf=AAAA&form=AAAA";
            check(&mut reader, address, Some(forged), statuses[column]);
        }
        for address in ["/nowhere", "/register/processings/nowhere", "/problems/nowhere"] {
            check(&mut reader, address, None, 404);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a page says: its text and the names read aloud, without code, the style, or what is
/// marked as French on a page that is not.
fn said(page: &str, lang: &str) -> String {
    const SILENT: [&str; 6] = ["code", "pre", "script", "style", "textarea", "head"];
    let mut text = String::new();
    let mut rest = page;
    while let Some(start) = rest.find('<') {
        text.push_str(&rest[..start]);
        let end = rest[start..].find('>').map_or(rest.len(), |end| start + end + 1);
        let tag = &rest[start..end];
        rest = &rest[end..];
        let name: String =
            tag[1..].chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
        let is_foreign = lang != "fr" && tag.contains("lang=\"fr\"") && name != "html";
        if SILENT.contains(&name.as_str()) || is_foreign {
            let close = format!("</{name}>");
            rest = rest.split_once(close.as_str()).map_or("", |(_, after)| after);
        } else if let Some((_, label)) = tag.split_once("aria-label=\"") {
            text.push_str(label.split('"').next().unwrap_or_default());
            text.push('\n');
        }
    }
    text.push_str(rest);
    [("&#39;", "'"), ("&#34;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&amp;", "&")]
        .into_iter()
        .fold(text, |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Texts of the documented cases that hold a mark after a plain space: they are shown as filed.
fn filed_texts() -> Vec<String> {
    fn strings(value: &Value, out: &mut Vec<String>) {
        match value {
            Value::String(text) => out.push(text.clone()),
            Value::Array(items) => items.iter().for_each(|item| strings(item, out)),
            Value::Object(members) => members.values().for_each(|member| strings(member, out)),
            _ => {}
        }
    }
    let mut texts = Vec::new();
    for file in std::fs::read_dir(path("cases")).expect("the cases") {
        let text = std::fs::read_to_string(file.expect("the cases").path()).expect("a case");
        for line in text.lines() {
            strings(&serde_json::from_str(line).unwrap_or(Value::Null), &mut texts);
        }
    }
    texts.retain(|text| [" :", " ;", " ?", " !", "« "].iter().any(|mark| text.contains(mark)));
    texts
}

#[test]
fn marks_keep_to_their_line_on_french_pages_and_to_their_word_on_english_ones() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    let filed = filed_texts();
    assert!(!filed.is_empty(), "a case holds such a text");
    let listed = Reader::of(&server, "citizen").get("/me").body;
    let own = listed.split("/me/accesses/").nth(1).expect("an access about the citizen");
    let own: String = own.chars().take_while(char::is_ascii_digit).collect();
    let mut wrong = BTreeSet::new();
    let mut read = 0;
    for role in ROLES {
        let mut reader = Reader::of(&server, role);
        for (_, address, _) in PAGES {
            let address = address.replace("OWN", &own);
            let join = if address.contains('?') { '&' } else { '?' };
            for lang in ["fr", "en"] {
                let answer = reader.get(&format!("{address}{join}lang={lang}"));
                if !answer.header("content-type").starts_with("text/html") {
                    continue;
                }
                read += 1;
                let text = filed
                    .iter()
                    .fold(said(&answer.body, lang), |text, data| text.replace(data.as_str(), ""));
                let marks: &[&str] = match lang {
                    "fr" => &[" :", " ;", " ?", " !", " »", "« "],
                    _ => &[" :", " ;", " ?", " !", "\u{a0}:", "\u{202f}", "«", "»"],
                };
                for mark in marks {
                    for (at, _) in text.match_indices(mark) {
                        let before: String = text[..at]
                            .chars()
                            .rev()
                            .take(40)
                            .collect::<Vec<_>>()
                            .iter()
                            .rev()
                            .collect();
                        wrong.insert(format!("{address} ({lang}): …{before}{mark}"));
                    }
                }
            }
        }
    }
    assert!(read > 100, "{read} pages were read");
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn whoever_signs_in_too_often_is_told_to_wait() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    let mut reader = Reader::new(&server);
    // The thirty of a minute, whether or not they succeed.
    let answers: Vec<Answer> = (0..31).map(|_| reader.post("/signin", "form=x")).collect();
    let (last, before) = answers.split_last().expect("31 answers");
    assert!(before.iter().all(|answer| answer.status == 403));
    assert_eq!(last.status, 429);
    assert!(last.header("retry-after").parse::<u32>().is_ok_and(|s| s > 0));
    assert!(last.body.contains("attendre"), "{}", last.body);
    assert!(unsafe_in(last).is_empty(), "{:?}", unsafe_in(last));
}

#[test]
fn a_session_ended_here_is_ended_whatever_the_browser_keeps() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::demo(directory.path());
    let mut reader = Reader::of(&server, "citizen");
    let page = reader.get("/").body;
    let token = page.split("name=\"csrf\" value=\"").nth(1).and_then(|t| t.split('"').next());
    let token = token.expect("the form that signs out").to_owned();
    let kept = reader.cookies.clone();
    assert_eq!(reader.post("/signout", &format!("csrf={token}")).status, 303);
    reader.cookies = kept;
    let page = reader.get("/").body;
    assert!(!page.contains("action=\"/signout\"") && page.contains("href=\"/signin\""));
}
