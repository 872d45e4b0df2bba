//! A double of an EventStoreDB or KurrentDB node: the gRPC calls that the store uses, over a
//! real socket, with the errors of the published protocol, some of them on demand.
//!
//! What it keeps is in memory and outlives the connections to it. Between its socket and its
//! service stands a relay that carries bytes, so that a connection can break at any moment.
//! It shows what our side makes of the protocol as published; only a real server shows
//! whether the protocol is as published.

// What a gRPC method answers is the library's `Status`, which is large.
#![expect(clippy::result_large_err)]

mod messages;

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::codec::ProstCodec;
use tonic::codegen::{BoxStream, Service, http};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::server::{
    ClientStreamingService, Grpc, NamedService, ServerStreamingService, UnaryService,
};
use tonic::{Code, Request, Response, Status, Streaming};

use messages as m;

/// Most bytes of an append, as a server has it that was told nothing else.
const MAX_APPEND_BYTES: usize = 1024 * 1024;

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// This node is a follower, which names the leader.
    NotLeader(SocketAddr),
    AccessDenied,
    /// Nothing is written.
    NotReady,
    /// The server gave up waiting; the event may be written later: here it is not.
    TimedOut,
    DeadlineExceeded {
        applied: bool,
    },
    /// The connection breaks.
    Cut {
        applied: bool,
    },
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    pub id: u128,
    pub metadata: HashMap<String, String>,
    pub custom_metadata: Vec<u8>,
    pub data: Vec<u8>,
}

#[derive(Default)]
struct Streams {
    events: HashMap<Vec<u8>, Vec<Kept>>,
    /// Nothing may ever be appended to these again.
    tombstoned: Vec<Vec<u8>>,
    /// Events below are not shown.
    truncated: HashMap<Vec<u8>, u64>,
    /// `None`: as it should.
    appends: VecDeque<Option<Trouble>>,
    reads: VecDeque<Trouble>,
    /// Calls to append that arrived.
    calls: u64,
    /// Deny whoever does not send these.
    credentials: Option<String>,
}

/// What several nodes of a cluster have in common.
#[derive(Clone, Default)]
pub struct Data(Arc<Mutex<Streams>>);

impl Data {
    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A node, until it is dropped.
pub struct Node {
    address: SocketAddr,
    shared: Shared,
    tasks: JoinSet<()>,
}

#[derive(Clone)]
struct Shared {
    data: Data,
    lines: Arc<Mutex<Lines>>,
    /// The leader, on a follower.
    leader: Option<SocketAddr>,
    address: SocketAddr,
}

#[derive(Default)]
struct Lines {
    open: Vec<AbortHandle>,
    refused: bool,
}

impl Shared {
    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cut(&self) {
        for line in self.lines().open.drain(..) {
            line.abort();
        }
    }
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(Data::default(), None).await
    }

    /// A node on the same data; with a `leader`, it follows that one.
    pub async fn start_with(data: Data, leader: Option<SocketAddr>) -> Self {
        let relay = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let service = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = relay.local_addr().expect("it is bound");
        let behind = service.local_addr().expect("it is bound");
        let shared = Shared { data, lines: Arc::default(), leader, address };
        let mut tasks = JoinSet::new();
        let serving = tonic::transport::Server::builder()
            .add_service(Calls::<STREAMS>(shared.clone()))
            .add_service(Calls::<FEATURES>(shared.clone()))
            .add_service(Calls::<GOSSIP>(shared.clone()))
            .serve_with_incoming(TcpListenerStream::new(service));
        tasks.spawn(async move { drop(serving.await) });
        let relayed = shared.clone();
        tasks.spawn(async move {
            while let Ok((client, _)) = relay.accept().await {
                if relayed.lines().refused {
                    continue;
                }
                let line = tokio::spawn(carry(client, behind));
                relayed.lines().open.push(line.abort_handle());
            }
        });
        Self { address, shared, tasks }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn data(&self) -> Data {
        self.shared.data.clone()
    }

    /// The URL of a client, with more parameters (`&name=value`).
    pub fn url(&self, parameters: &str) -> String {
        format!("esdb://{}?tls=false{parameters}", self.address)
    }

    /// The appends to come meet these, those after them none.
    pub fn trouble_appends<T: Into<Option<Trouble>>>(&self, troubles: impl IntoIterator<Item = T>) {
        self.shared.data.lock().appends.extend(troubles.into_iter().map(Into::into));
    }

    pub fn trouble_reads(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.shared.data.lock().reads.extend(troubles);
    }

    /// Breaks all connections and takes no others, or takes them again.
    pub fn refuse_connections(&self, refuse: bool) {
        self.shared.lines().refused = refuse;
        if refuse {
            self.shared.cut();
        }
    }

    pub fn require_credentials(&self, user: &str, password: &str) {
        let both = data_encoding::BASE64.encode(format!("{user}:{password}").as_bytes());
        self.shared.data.lock().credentials = Some(format!("Basic {both}"));
    }

    pub fn events(&self, stream: &str) -> Vec<Kept> {
        self.shared.data.lock().events.get(stream.as_bytes()).cloned().unwrap_or_default()
    }

    pub fn append_calls(&self) -> u64 {
        self.shared.data.lock().calls
    }

    /// As somebody with the rights to might: changes the events of a stream.
    pub fn tamper(&self, stream: &str, change: impl FnOnce(&mut Vec<Kept>)) {
        change(self.shared.data.lock().events.entry(stream.as_bytes().to_vec()).or_default());
    }

    pub fn tombstone(&self, stream: &str) {
        self.shared.data.lock().tombstoned.push(stream.as_bytes().to_vec());
    }

    /// Deletes a stream as its owner can: nothing of it is shown, and what is appended next
    /// counts on from where it was.
    pub fn delete(&self, stream: &str) {
        self.truncate_before(stream, u64::MAX);
    }

    pub fn truncate_before(&self, stream: &str, revision: u64) {
        self.shared.data.lock().truncated.insert(stream.as_bytes().to_vec(), revision);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shared.cut();
        self.tasks.abort_all();
    }
}

async fn carry(mut client: TcpStream, behind: SocketAddr) {
    if let Ok(mut service) = TcpStream::connect(behind).await {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
    }
}

// The services.

const STREAMS: usize = 0;
const FEATURES: usize = 1;
const GOSSIP: usize = 2;
const NAMES: [&str; 3] = [
    "event_store.client.streams.Streams",
    "event_store.client.server_features.ServerFeatures",
    "event_store.client.gossip.Gossip",
];

#[derive(Clone)]
struct Calls<const SERVICE: usize>(Shared);

impl<const SERVICE: usize> NamedService for Calls<SERVICE> {
    const NAME: &'static str = NAMES[SERVICE];
}

type Answering<T> = Pin<Box<dyn Future<Output = Result<Response<T>, Status>> + Send>>;

impl<const SERVICE: usize> Service<http::Request<Body>> for Calls<SERVICE> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let method = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
            Ok(match (SERVICE, method.as_str()) {
                (STREAMS, "Append") => {
                    let codec = ProstCodec::<m::AppendResp, m::AppendReq>::default();
                    // Larger than a server takes: what bounds an append is its own limit.
                    let mut grpc = Grpc::new(codec).max_decoding_message_size(64 << 20);
                    grpc.client_streaming(Append(shared), request).await
                }
                (STREAMS, "Read") => {
                    let mut grpc = Grpc::new(ProstCodec::<m::ReadResp, m::ReadReq>::default());
                    grpc.server_streaming(Read(shared), request).await
                }
                (FEATURES, "GetSupportedMethods") => {
                    let mut grpc =
                        Grpc::new(ProstCodec::<m::SupportedMethods, m::Empty>::default());
                    grpc.unary(Features, request).await
                }
                (GOSSIP, "Read") => {
                    let mut grpc = Grpc::new(ProstCodec::<m::ClusterInfo, m::Empty>::default());
                    grpc.unary(Gossip(shared), request).await
                }
                _ => Status::unimplemented(method).into_http(),
            })
        })
    }
}

struct Features;

impl UnaryService<m::Empty> for Features {
    type Response = m::SupportedMethods;
    type Future = Answering<m::SupportedMethods>;

    fn call(&mut self, _: Request<m::Empty>) -> Self::Future {
        let method = |name: &str| m::SupportedMethod {
            method_name: name.to_owned(),
            service_name: NAMES[STREAMS].to_lowercase(),
        };
        let methods = m::SupportedMethods {
            methods: vec![method("append"), method("read")],
            event_store_server_version: "24.10.0".to_owned(),
        };
        Box::pin(async { Ok(Response::new(methods)) })
    }
}

struct Gossip(Shared);

impl UnaryService<m::Empty> for Gossip {
    type Response = m::ClusterInfo;
    type Future = Answering<m::ClusterInfo>;

    fn call(&mut self, _: Request<m::Empty>) -> Self::Future {
        let Shared { leader, address, .. } = self.0;
        let member = |address: SocketAddr, state: i32| m::MemberInfo {
            instance_id: None,
            time_stamp: 0,
            state,
            is_alive: true,
            http_end_point: Some(m::EndPoint {
                address: address.ip().to_string(),
                port: address.port().into(),
            }),
        };
        let members = match leader {
            None => vec![member(address, 8)],
            Some(leader) => vec![member(address, 6), member(leader, 8)],
        };
        Box::pin(async { Ok(Response::new(m::ClusterInfo { members })) })
    }
}

// Answers that are errors, as the server's source gives them.

fn status(code: Code, message: &str, trailers: &[(&'static str, String)]) -> Status {
    let mut metadata = MetadataMap::new();
    for (name, value) in trailers {
        let value = MetadataValue::try_from(value.as_str()).expect("plain ASCII");
        metadata.insert(*name, value);
    }
    Status::with_metadata(code, message, metadata)
}

fn not_leader(leader: SocketAddr) -> Status {
    let trailers = [
        ("exception", "not-leader".to_owned()),
        ("leader-endpoint-host", leader.ip().to_string()),
        ("leader-endpoint-port", leader.port().to_string()),
    ];
    status(Code::NotFound, "Leader info available", &trailers)
}

fn access_denied() -> Status {
    status(Code::PermissionDenied, "Access Denied", &[("exception", "access-denied".to_owned())])
}

fn stream_deleted(stream: &[u8]) -> Status {
    let name = String::from_utf8_lossy(stream).into_owned();
    let message = format!("Event stream '{name}' is deleted.");
    let trailers = [("exception", "stream-deleted".to_owned()), ("stream-name", name)];
    status(Code::FailedPrecondition, &message, &trailers)
}

fn too_large() -> Status {
    let trailers = [
        ("exception", "maximum-append-size-exceeded".to_owned()),
        ("maximum-append-size", MAX_APPEND_BYTES.to_string()),
    ];
    let message = format!("Maximum Append Size of {MAX_APPEND_BYTES} Exceeded.");
    status(Code::InvalidArgument, &message, &trailers)
}

impl Shared {
    /// Refuses whoever is not known, or asks a follower for what its leader has.
    fn admit(&self, metadata: &MetadataMap) -> Result<(), Status> {
        let header = |name: &str| metadata.get(name).and_then(|v| v.to_str().ok());
        let required = self.data.lock().credentials.clone();
        if required.is_some() && header("authorization") != required.as_deref() {
            return Err(access_denied());
        }
        match self.leader {
            Some(leader) if header("requires-leader") == Some("true") => Err(not_leader(leader)),
            _ => Ok(()),
        }
    }

    /// What the trouble asked for makes of a call that is not answered otherwise.
    async fn suffer(&self, trouble: Trouble) -> Status {
        match trouble {
            Trouble::NotLeader(leader) => not_leader(leader),
            Trouble::AccessDenied => access_denied(),
            Trouble::NotReady => status(Code::Unavailable, "Server Is Not Ready", &[]),
            Trouble::TimedOut => {
                status(Code::Aborted, "Operation timed out: Prepare phase timeout", &[])
            }
            Trouble::DeadlineExceeded { .. } => {
                status(Code::DeadlineExceeded, "Deadline Exceeded", &[])
            }
            Trouble::Cut { .. } => {
                self.cut();
                std::future::pending().await
            }
        }
    }
}

struct Append(Shared);

impl ClientStreamingService<m::AppendReq> for Append {
    type Response = m::AppendResp;
    type Future = Answering<m::AppendResp>;

    fn call(&mut self, request: Request<Streaming<m::AppendReq>>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            let admitted = shared.admit(request.metadata());
            let mut messages = request.into_inner();
            let mut options = None;
            let mut proposed = Vec::new();
            while let Some(message) = messages.next().await {
                match message?.content {
                    Some(m::AppendContent::Options(o)) if options.is_none() => options = Some(o),
                    Some(m::AppendContent::ProposedMessage(p)) if options.is_some() => {
                        proposed.push(p);
                    }
                    _ => return Err(Status::invalid_argument("options come first, once")),
                }
            }
            admitted?;
            let trouble = {
                let mut data = shared.data.lock();
                data.calls += 1;
                data.appends.pop_front().flatten()
            };
            let applies = |trouble: &Trouble| {
                matches!(
                    trouble,
                    Trouble::DeadlineExceeded { applied: true } | Trouble::Cut { applied: true }
                )
            };
            let options = options.ok_or_else(|| Status::invalid_argument("no options"))?;
            match trouble {
                None => shared.data.lock().append(options, proposed).map(Response::new),
                Some(trouble) => {
                    if applies(&trouble) {
                        shared.data.lock().append(options, proposed)?;
                    }
                    Err(shared.suffer(trouble).await)
                }
            }
        })
    }
}

impl Streams {
    fn append(
        &mut self,
        options: m::AppendOptions,
        proposed: Vec<m::ProposedMessage>,
    ) -> Result<m::AppendResp, Status> {
        let stream = options.stream_identifier.unwrap_or_default().stream_name;
        if self.tombstoned.contains(&stream) {
            return Err(stream_deleted(&stream));
        }
        let size = |p: &m::ProposedMessage| {
            let name = p.metadata.get("type").map_or(0, String::len);
            p.data.len() + p.custom_metadata.len() + 2 * name
        };
        if proposed.iter().map(size).sum::<usize>() > MAX_APPEND_BYTES {
            return Err(too_large());
        }
        let mut events = Vec::new();
        for message in proposed {
            for required in ["type", "content-type"] {
                if !message.metadata.contains_key(required) {
                    return Err(Status::invalid_argument(format!("{required} is missing")));
                }
            }
            events.push(Kept {
                id: id_of(message.id.as_ref())?,
                metadata: message.metadata,
                custom_metadata: message.custom_metadata,
                data: message.data,
            });
        }
        let expected =
            options.expected.ok_or_else(|| Status::invalid_argument("no expectation"))?;
        let (next, wrong) = match expected {
            m::Expected::Revision(revision) => (revision + 1, m::Wrong::Revision(revision)),
            m::Expected::NoStream(_) => (0, m::Wrong::NoStream(m::Empty {})),
            _ => return Err(Status::unimplemented("only exact expectations")),
        };
        let deleted = self.truncated.get(&stream) == Some(&u64::MAX);
        let kept = self.events.entry(stream).or_default();
        let length = kept.len() as u64;
        let next = if deleted && next == 0 { length } else { next };
        let after = next + events.len() as u64;
        let at = |revision: u64| usize::try_from(revision).expect("few events");
        if next == length {
            kept.extend(events);
        } else {
            // The same events again, where they are: done already. Others: too late.
            let there = (next < length && after <= length).then(|| &kept[at(next)..at(after)]);
            let same = |there: &[Kept]| there.iter().zip(&events).all(|(a, b)| a.id == b.id);
            if !there.is_some_and(same) {
                let current = match length.checked_sub(1) {
                    None => m::Current::NoStream(m::Empty {}),
                    Some(last) => m::Current::Revision(last),
                };
                let wrong =
                    m::WrongExpectedVersion { current: Some(current), expected: Some(wrong) };
                let result = Some(m::AppendResult::WrongExpectedVersion(wrong));
                return Ok(m::AppendResp { result });
            }
        }
        let last = after.saturating_sub(1);
        let position = m::AllPosition { commit_position: last, prepare_position: last };
        let success = m::Success { current_revision: Some(last), position: Some(position) };
        Ok(m::AppendResp { result: Some(m::AppendResult::Success(success)) })
    }

    fn read(&self, options: m::ReadOptions) -> Result<Vec<m::ReadResp>, Status> {
        let Some(m::StreamOption::Stream(from)) = options.stream else {
            return Err(Status::unimplemented("only one stream at a time"));
        };
        let Some(m::CountOption::Count(count)) = options.count else {
            return Err(Status::unimplemented("no subscriptions"));
        };
        if count == 0 {
            return Err(Status::invalid_argument("count must be positive"));
        }
        let identifier = from.stream_identifier.unwrap_or_default();
        let stream = &identifier.stream_name;
        if self.tombstoned.contains(stream) {
            return Err(stream_deleted(stream));
        }
        let response = |content| m::ReadResp { content: Some(content) };
        let kept = self.events.get(stream).map_or(&[][..], Vec::as_slice);
        let first = self.truncated.get(stream).copied().unwrap_or(0);
        let length = kept.len() as u64;
        if length == 0 || first == u64::MAX {
            let stream_identifier = Some(identifier);
            let content = m::ReadContent::StreamNotFound(m::StreamNotFound { stream_identifier });
            return Ok(vec![response(content)]);
        }
        let forwards = options.direction == 0;
        let start = match from.revision {
            Some(m::RevisionOption::Revision(revision)) => revision,
            Some(m::RevisionOption::End(_)) => length - 1,
            _ => 0,
        };
        let revisions: Vec<u64> = if forwards {
            (start.max(first)..length).take(at_most(count)).collect()
        } else {
            (first..=start.min(length - 1)).rev().take(at_most(count)).collect()
        };
        let event = |revision: u64| {
            let event = &kept[at_most(revision)];
            let mut metadata = event.metadata.clone();
            metadata.insert("created".to_owned(), "0".to_owned());
            let recorded = m::RecordedEvent {
                id: Some(m::Uuid { value: Some(m::UuidValue::Text(hyphenated(event.id))) }),
                stream_identifier: Some(identifier.clone()),
                stream_revision: revision,
                prepare_position: revision,
                commit_position: revision,
                metadata,
                custom_metadata: event.custom_metadata.clone(),
                data: event.data.clone(),
            };
            let no_position = Some(m::Empty {});
            response(m::ReadContent::Event(m::ReadEvent { event: Some(recorded), no_position }))
        };
        let mut answers: Vec<m::ReadResp> = revisions.into_iter().map(event).collect();
        answers.push(response(m::ReadContent::LastStreamPosition(length - 1)));
        Ok(answers)
    }
}

fn at_most(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn id_of(id: Option<&m::Uuid>) -> Result<u128, Status> {
    let unusable = || Status::invalid_argument("an event needs an id");
    match id.and_then(|id| id.value.as_ref()).ok_or_else(unusable)? {
        m::UuidValue::Structured(m::Bits { most, least }) => {
            Ok((u128::from(*most as u64) << 64) | u128::from(*least as u64))
        }
        m::UuidValue::Text(text) => {
            u128::from_str_radix(&text.replace('-', ""), 16).map_err(|_| unusable())
        }
    }
}

fn hyphenated(id: u128) -> String {
    let hex = format!("{id:032x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

struct Read(Shared);

impl ServerStreamingService<m::ReadReq> for Read {
    type Response = m::ReadResp;
    type ResponseStream = BoxStream<m::ReadResp>;
    type Future = Answering<Self::ResponseStream>;

    fn call(&mut self, request: Request<m::ReadReq>) -> Self::Future {
        let shared = self.0.clone();
        Box::pin(async move {
            shared.admit(request.metadata())?;
            let trouble = shared.data.lock().reads.pop_front();
            if let Some(trouble) = trouble {
                return Err(shared.suffer(trouble).await);
            }
            let options = request.into_inner().options.unwrap_or_default();
            let answers = shared.data.lock().read(options)?;
            let answers = tokio_stream::iter(answers.into_iter().map(Ok));
            Ok(Response::new(Box::pin(answers) as Self::ResponseStream))
        })
    }
}
