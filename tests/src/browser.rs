//! A browser without scripts: cookies kept, redirections told and not followed; and the signing
//! module of the pages, run by Node.js.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use greffe_domain::kind::Kind;
use serde_json::{Value, json};

use crate::vectors::path;

/// What a page answered.
#[derive(Debug, Clone)]
pub struct Page {
    pub status: u16,
    pub text: String,
    /// Of a redirection.
    pub location: String,
    pub content_type: String,
    pub etag: String,
}

/// Somebody before a browser.
pub struct Browser {
    agent: ureq::Agent,
    base: String,
    cookies: Vec<(String, String)>,
    language: &'static str,
}

impl Browser {
    pub fn new(url: &str) -> Self {
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            // A form refused before it is read ends its connection, of which a client that
            // keeps it learns when it sends the next one. Browsers then send that anew.
            .max_idle_connections(0)
            .build()
            .new_agent();
        let base = url.trim_end_matches('/').to_owned();
        Self { agent, base, cookies: Vec::new(), language: "en" }
    }

    /// Signed in as somebody of the demonstration: `citizen`, `controller`, `regulator`.
    pub fn signed_in(url: &str, person: &str) -> Self {
        let mut browser = Self::new(url);
        let page = browser.get("/signin");
        let form = value_of(&page.text, "form").expect("a form to sign in");
        let answer = browser.post("/signin", &[("form", &form), ("then", "/"), ("person", person)]);
        assert_eq!(answer.status, 303, "{}", answer.text);
        browser
    }

    pub fn get(&mut self, path: &str) -> Page {
        self.get_with(path, &[])
    }

    pub fn get_with(&mut self, path: &str, headers: &[(&str, &str)]) -> Page {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in self.headers().iter().chain(&owned(headers)) {
            request = request.header(name, value);
        }
        let answer = request.call().expect("an answer");
        self.read(answer)
    }

    /// How long the answer's first byte took, and the page.
    pub fn first_byte(&mut self, path: &str) -> (Duration, Page) {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        let asked = Instant::now();
        let answer = request.call().expect("an answer");
        (asked.elapsed(), self.read(answer))
    }

    /// Sends a form.
    pub fn post(&mut self, path: &str, pairs: &[(&str, &str)]) -> Page {
        let body: Vec<String> =
            pairs.iter().map(|(n, v)| format!("{}={}", encoded(n), encoded(v))).collect();
        self.send(path, "application/x-www-form-urlencoded", body.join("&").as_bytes())
    }

    /// Sends a form that holds files: name, file name if it is one, bytes.
    pub fn post_files(&mut self, path: &str, parts: &[(&str, Option<&str>, &[u8])]) -> Page {
        const BOUNDARY: &str = "between-the-parts-of-a-test";
        let mut body = Vec::new();
        for (name, file, bytes) in parts {
            let file = file.map(|f| format!("; filename=\"{f}\"")).unwrap_or_default();
            let head = format!(
                "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
            );
            body.extend(head.bytes().chain(bytes.iter().copied()).chain(*b"\r\n"));
        }
        body.extend(format!("--{BOUNDARY}--\r\n").bytes());
        self.send(path, &format!("multipart/form-data; boundary={BOUNDARY}"), &body)
    }

    fn send(&mut self, path: &str, content_type: &str, body: &[u8]) -> Page {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        for (name, value) in self.headers() {
            request = request.header(name, value);
        }
        let answer = request.header("Content-Type", content_type).send(body).expect("an answer");
        self.read(answer)
    }

    fn headers(&self) -> Vec<(String, String)> {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        owned(&[
            ("Accept", "text/html"),
            ("Accept-Language", self.language),
            ("Cookie", &cookies.join("; ")),
        ])
    }

    fn read(&mut self, answer: ureq::http::Response<ureq::Body>) -> Page {
        for cookie in answer.headers().get_all("set-cookie") {
            let text = cookie.to_str().expect("a cookie of ASCII");
            let pair = text.split(';').next().and_then(|pair| pair.split_once('='));
            let (name, value) = pair.expect("name=value");
            self.cookies.retain(|(n, _)| n != name);
            self.cookies.push((name.to_owned(), value.to_owned()));
        }
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|v| v.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let mut page = Page {
            status: answer.status().as_u16(),
            text: String::new(),
            location: header("location"),
            content_type: header("content-type"),
            etag: header("etag"),
        };
        let mut bytes = Vec::new();
        answer.into_body().into_reader().read_to_end(&mut bytes).expect("a body");
        page.text = String::from_utf8(bytes).expect("UTF-8");
        page
    }
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    headers.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect()
}

/// A text as a form sends it.
fn encoded(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => {
                char::from(b).to_string()
            }
            _ => format!("%{b:02X}"),
        })
        .collect()
}

/// Text between two texts of a page, entities resolved.
pub fn between(page: &str, from: &str, to: &str) -> Option<String> {
    let (_, rest) = page.split_once(from)?;
    rest.split_once(to).map(|(inside, _)| plain(inside))
}

/// What a page's text says, its entities resolved.
pub fn plain(text: &str) -> String {
    [("&#60;", "<"), ("&#62;", ">"), ("&#34;", "\""), ("&#39;", "'"), ("&#38;", "&")]
        .iter()
        .fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

/// Value of the first hidden input of that name.
pub fn value_of(page: &str, name: &str) -> Option<String> {
    between(page, &format!("name=\"{name}\" value=\""), "\"")
}

/// Signs a draft with the module that the pages serve. `request`: `{pem, draft, aud, iat}`,
/// and `jti` and `salts` where the bytes are to be foreseen.
pub fn sign_in_browser(kind: Kind, mut request: Value) -> String {
    let module = path("../api/assets/js/sign.js");
    request["module"] = module.to_str().expect("UTF-8").into();
    request["concealed"] = json!(kind.concealed_paths());
    let mut node = Command::new("node")
        .arg(path("vectors/browser-sign.mjs"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Node.js 20 or later is installed");
    let mut input = node.stdin.take().expect("piped");
    input.write_all(request.to_string().as_bytes()).expect("it reads");
    drop(input);
    let output = node.wait_with_output().expect("it ends");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the signing module: {errors}");
    String::from_utf8(output.stdout).expect("a compact JWT")
}
