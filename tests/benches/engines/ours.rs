//! Our own ledger: in process with everything it does, and over HTTP as `greffe serve`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use greffe_infra::ledger::Ledger;
use greffe_tests::server::Server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::filings::Maker;
use crate::measure::{Latencies, Pass, Passes, Submitting, processor_time};
use crate::place::Place;

/// Entries that wait for their receipts at any time, in process.
const IN_FLIGHT: u64 = 2_048;

/// When a client sends.
#[derive(Clone, Copy)]
pub enum Load {
    /// As soon as an answer makes room.
    Closed,
    /// So many filings a second, whatever the answers; a wait counts from the instant at
    /// which a filing was due.
    Open(f64),
}

impl Load {
    /// When the filing of this number is due.
    fn due(self, started: Instant, number: usize) -> Instant {
        match self {
            Self::Closed => Instant::now(),
            Self::Open(rate) => started + Duration::from_secs_f64(number as f64 / rate),
        }
    }
}

fn us(spent: Duration, entries: u64) -> f64 {
    spent.as_secs_f64() * 1e6 / entries as f64
}

/// Records filings in process, many waiting at once.
pub async fn in_process(
    place: &Place,
    ledger: &Ledger,
    filings: Vec<String>,
    items: u64,
    load: Load,
) -> Pass {
    let entries = filings.len() as u64 * items;
    let room = match load {
        Load::Closed => (IN_FLIGHT / items).max(64),
        Load::Open(_) => 1 << 20,
    };
    let submitting = Submitting::new(ledger, usize::try_from(room).expect("64 bits"));
    let (started, ours, theirs) = (Instant::now(), processor_time("self"), place.database_time());
    for (number, text) in filings.into_iter().enumerate() {
        let due = load.due(started, number);
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        submitting.submit(text, matches!(load, Load::Open(_)).then_some(due)).await;
    }
    let latencies = submitting.receipts().await;
    let rate = entries as f64 / started.elapsed().as_secs_f64();
    let ours = us(processor_time("self") - ours, entries);
    Pass { rate, latencies, processor: [ours, 0.0, us(place.database_time() - theirs, entries)] }
}

/// A connection that is kept.
struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    async fn new(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, answer: Vec::with_capacity(64 * 1024) }
    }

    /// Sends a request already written; panics unless it is answered 201.
    async fn send(&mut self, request: &[u8]) {
        self.stream.write_all(request).await.expect("sent");
        self.answer.clear();
        let mut until = None;
        while until.is_none_or(|until| self.answer.len() < until) {
            let read = self.stream.read_buf(&mut self.answer).await.expect("an answer");
            assert_ne!(read, 0, "the server closed the connection");
            until = until.or_else(|| answer_length(&self.answer));
        }
        let text = || String::from_utf8_lossy(&self.answer);
        assert!(self.answer.starts_with(b"HTTP/1.1 201"), "{}", text());
    }
}

/// Length of an answer, head and body, once its head is here.
fn answer_length(answer: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let head = answer.windows(END.len()).position(|bytes| bytes == END)?;
    let lines = String::from_utf8_lossy(&answer[..head]).to_ascii_lowercase();
    let length = lines.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.and_then(|n| n.trim().parse().ok()).expect("a length");
    Some(head + END.len() + length)
}

fn request(address: &str, filing: &str) -> Vec<u8> {
    let length = filing.len();
    format!(
        "POST /v1/filings HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/sd-jwt\r\n\
         Content-Length: {length}\r\n\r\n{filing}"
    )
    .into_bytes()
}

/// Sends filings over so many connections, each waiting for its answer. One thread has them
/// all: what the client spends, the server lacks.
fn over_http(
    place: &Place,
    server: &Server,
    connections: usize,
    filings: &[String],
    items: u64,
    load: Load,
) -> Pass {
    let address = server.url().trim_start_matches("http://");
    let requests: Vec<Vec<u8>> = filings.iter().map(|text| request(address, text)).collect();
    let requests = Arc::new(requests);
    let entries = filings.len() as u64 * items;
    let pid = server.pid().to_string();
    let measured = async {
        let mut connected = Vec::new();
        for _ in 0..connections {
            connected.push(Connection::new(address).await);
        }
        let (started, theirs) = (Instant::now(), place.database_time());
        let (client, serving) = (processor_time("self"), processor_time(&pid));
        let next = Arc::new(AtomicUsize::new(0));
        let clients: JoinSet<Vec<Duration>> = connected
            .into_iter()
            .map(|c| converse(c, Arc::clone(&requests), Arc::clone(&next), load, started))
            .collect();
        let waits = clients.join_all().await;
        let rate = entries as f64 / started.elapsed().as_secs_f64();
        let processor = [
            us(processor_time(&pid) - serving, entries),
            us(processor_time("self") - client, entries),
            us(place.database_time() - theirs, entries),
        ];
        let mut latencies = Latencies(waits.into_iter().flatten().collect());
        latencies.sort();
        Pass { rate, latencies, processor }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    std::thread::scope(|scope| scope.spawn(move || runtime.block_on(measured)).join())
        .expect("clients end")
}

/// One connection's requests, as long as there are some; how long each answer took.
async fn converse(
    mut connection: Connection,
    requests: Arc<Vec<Vec<u8>>>,
    next: Arc<AtomicUsize>,
    load: Load,
    started: Instant,
) -> Vec<Duration> {
    let mut waits = Vec::new();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number) else { return waits };
        let due = load.due(started, number);
        // Slept until, an instant that has passed comes a millisecond later.
        if due > Instant::now() {
            tokio::time::sleep_until(due.into()).await;
        }
        connection.send(request).await;
        waits.push(due.elapsed());
    }
}

/// Waits until a server's projections hold what its ledger does: what one measurement left
/// behind is not another's to pay for.
pub fn follow(server: &Server) {
    loop {
        let answer = server.client().get("/readyz").expect("an answer");
        if answer.body["lag"] == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Passes over HTTP, each connection sending when it is answered.
pub fn http_passes(
    place: &Place,
    server: &Server,
    (connections, maker): (usize, &Maker),
    (passes, filings, runs): (usize, u64, &mut u32),
) -> Passes {
    let items = maker.items();
    let pass = |_| {
        *runs += 1;
        let texts = maker.many(*runs, 0, filings);
        over_http(place, server, connections, &texts, items, Load::Closed)
    };
    Passes::new((0..passes).map(pass).collect())
}

/// One pass over HTTP at a rate of filings.
pub fn http_at(
    place: &Place,
    server: &Server,
    (connections, maker): (usize, &Maker),
    (rate, filings, runs): (f64, u64, &mut u32),
) -> Pass {
    *runs += 1;
    let texts = maker.many(*runs, 0, filings);
    over_http(place, server, connections, &texts, maker.items(), Load::Open(rate))
}
