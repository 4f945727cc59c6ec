//! A PostgreSQL server that refuses chosen calls: a proxy in front of the real one.
//!
//! In: PostgreSQL's wire protocol (<https://www.postgresql.org/docs/current/protocol-flow.html>), and a rule that
//! sees each call. Out: the server's own answers, or an error with the SQLSTATE that the rule chose. Always: what
//! is refused does not reach the server; the error in its place is raised by the server itself (`RAISE`), so that
//! its transaction has failed, as after a real one; an error that ends sessions ends the session.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{
    AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Error, Result,
};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::link::server_of;

/// Errors after which PostgreSQL closes the session: shutdowns, a server that starts, and the time-outs of idle
/// sessions and of transactions.
const ENDS_SESSION: [&str; 6] = ["25P03", "25P04", "57P01", "57P02", "57P03", "57P05"];

/// What an `SSLRequest` asks for in place of a protocol version.
const SSL_REQUEST: [u8; 4] = 80_877_103_i32.to_be_bytes();

/// The most bytes of one message: more than any that flexcast sends or reads.
const MESSAGE_MAX: usize = 64 << 20;

/// What a client asks for in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// A session.
    Login,
    /// That a statement is prepared.
    Parse,
    /// That a prepared statement is executed with parameters.
    Execute,
    /// That statements without parameters are executed, among them BEGIN and COMMIT.
    Query,
}

/// A call, as the rule sees it.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) step: Step,
    /// Its statement; empty for a login.
    pub(crate) sql: String,
    parameters: Vec<Vec<u8>>,
}

impl Call {
    /// Whether one of its parameters is this text.
    pub(crate) fn has(&self, text: &str) -> bool {
        self.parameters.iter().any(|one| one == text.as_bytes())
    }

    /// Whether one of its parameters holds this text.
    pub(crate) fn holds(&self, text: &str) -> bool {
        let holds = |one: &Vec<u8>| one.windows(text.len()).any(|part| part == text.as_bytes());
        self.parameters.iter().any(holds)
    }
}

/// Which calls are refused: gives the SQLSTATE, or none.
type Rule = Box<dyn FnMut(&Call) -> Option<String> + Send>;

/// What was refused: how often by SQLSTATE, and how often by step.
#[derive(Clone, Debug, Default)]
pub(crate) struct Refused {
    pub(crate) by_code: BTreeMap<String, usize>,
    pub(crate) by_step: BTreeMap<Step, usize>,
}

impl Refused {
    pub(crate) fn total(&self) -> usize {
        self.by_code.values().sum()
    }
}

#[derive(Default)]
struct State {
    rule: Option<Rule>,
    refused: Refused,
}

/// The proxy. It serves until the test's process ends.
pub(crate) struct Refusing {
    address: SocketAddr,
    server: String,
    state: Arc<Mutex<State>>,
}

impl Refusing {
    /// A proxy before the server of this database URL. It refuses nothing yet.
    pub(crate) fn before(url: &str) -> Self {
        let server = server_of(url).to_owned();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        listener.set_nonblocking(true).expect("a socket of ours");
        let state = Arc::<Mutex<State>>::default();
        let (behind, known) = (server.clone(), Arc::clone(&state));
        // A runtime of its own: the tests block theirs.
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(accept(listener, behind, known));
        });
        Self {
            address,
            server,
            state,
        }
    }

    /// A database URL that goes through this proxy.
    pub(crate) fn url(&self, url: &str) -> String {
        url.replace(&self.server, &self.address.to_string())
    }

    /// Refuses from now on what this rule gives an SQLSTATE for.
    pub(crate) fn refuse(&self, rule: impl FnMut(&Call) -> Option<String> + Send + 'static) {
        lock(&self.state).rule = Some(Box::new(rule));
    }

    /// Refuses nothing from now on.
    pub(crate) fn relent(&self) {
        lock(&self.state).rule = None;
    }

    /// What was refused so far.
    pub(crate) fn refused(&self) -> Refused {
        lock(&self.state).refused.clone()
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: std::net::TcpListener, server: String, state: Arc<Mutex<State>>) {
    let listener = TcpListener::from_std(listener).expect("a listener");
    while let Ok((client, _)) = listener.accept().await {
        let (server, state) = (server.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let Ok(behind) = TcpStream::connect(&server).await else {
                return;
            };
            let mut session = Session {
                client: Peer::new(client),
                server: Peer::new(behind),
                state,
                statements: HashMap::new(),
                has_failed: false,
            };
            // An error is the end of the session: each side sees that the other is gone.
            let _ = session.serve().await;
        });
    }
}

/// One side of a session.
struct Peer {
    from: BufReader<OwnedReadHalf>,
    to: OwnedWriteHalf,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        let _ = stream.set_nodelay(true);
        let (from, to) = stream.into_split();
        let from = BufReader::new(from);
        Self { from, to }
    }

    /// A message: its type, and the whole of it.
    async fn read(&mut self) -> Result<Message> {
        let mut head = [0; 5];
        self.from.read_exact(&mut head).await?;
        let mut bytes = head.to_vec();
        self.body(&mut bytes, 1).await?;
        Ok(Message(bytes))
    }

    /// The first message of a session, which has no type.
    async fn read_first(&mut self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; 4];
        self.from.read_exact(&mut bytes).await?;
        self.body(&mut bytes, 0).await?;
        Ok(bytes)
    }

    /// Reads as much as the length says that stands at `at`.
    async fn body(&mut self, bytes: &mut Vec<u8>, at: usize) -> Result<()> {
        let length = u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let whole = at + usize::try_from(length).unwrap_or(usize::MAX);
        if whole < bytes.len() || whole > MESSAGE_MAX {
            return Err(Error::other("no message of PostgreSQL's"));
        }
        let begun = bytes.len();
        bytes.resize(whole, 0);
        self.from.read_exact(&mut bytes[begun..]).await?;
        Ok(())
    }
}

/// A message of either side, with its type and its length.
struct Message(Vec<u8>);

impl Message {
    fn new(kind: u8, body: &[u8]) -> Self {
        let length = u32::try_from(body.len() + 4).expect("a short message");
        let mut bytes = vec![kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend(body);
        Self(bytes)
    }

    fn query(sql: &str) -> Self {
        Self::new(b'Q', format!("{sql}\0").as_bytes())
    }

    fn kind(&self) -> u8 {
        self.0[0]
    }

    fn body(&self) -> &[u8] {
        &self.0[5..]
    }
}

struct Session {
    client: Peer,
    server: Peer,
    state: Arc<Mutex<State>>,
    /// The texts of prepared statements, by their names.
    statements: HashMap<String, String>,
    /// Whether the server's transaction has failed: it answers all but a rollback with 25P02.
    has_failed: bool,
}

impl Session {
    async fn serve(&mut self) -> Result<()> {
        self.log_in().await?;
        loop {
            // What the server says by itself (it shuts down, a setting changes) is passed on.
            let (is_client, is_over) = tokio::select! {
                ready = self.client.from.fill_buf() => (true, ready?.is_empty()),
                ready = self.server.from.fill_buf() => (false, ready?.is_empty()),
            };
            if is_over {
                return Ok(());
            }
            if is_client {
                let group = self.group().await?;
                self.answer(&group).await?;
            } else {
                let said = self.server.read().await?;
                self.client.to.write_all(&said.0).await?;
            }
        }
    }

    async fn log_in(&mut self) -> Result<()> {
        let mut first = self.client.read_first().await?;
        while first[4..] == SSL_REQUEST {
            self.client.to.write_all(b"N").await?;
            first = self.client.read_first().await?;
        }
        let login = Call {
            step: Step::Login,
            sql: String::new(),
            parameters: Vec::new(),
        };
        if let Some(code) = self.chosen(&login) {
            self.note(&code, Step::Login);
            return self.end_with(&code).await;
        }
        self.server.to.write_all(&first).await?;
        loop {
            let said = self.server.read().await?;
            self.client.to.write_all(&said.0).await?;
            match said.kind() {
                b'Z' => return Ok(()),
                // Anything but "that is all" (0) and the last word of SASL (12) is answered.
                b'R' if !matches!(said.body().get(3), Some(0 | 12)) => {
                    let answer = self.client.read().await?;
                    self.server.to.write_all(&answer.0).await?;
                }
                _ => {}
            }
        }
    }

    /// What the client sends until it waits for an answer.
    async fn group(&mut self) -> Result<Vec<Message>> {
        let mut group = Vec::new();
        loop {
            let message = self.client.read().await?;
            let is_last = matches!(message.kind(), b'S' | b'Q' | b'X');
            group.push(message);
            if is_last {
                return Ok(group);
            }
        }
    }

    async fn answer(&mut self, group: &[Message]) -> Result<()> {
        let call = group.iter().find_map(|message| self.call(message));
        if let Some(call) = &call
            && !self.has_failed
            && !is_rollback(&call.sql)
            && let Some(code) = self.chosen(call)
        {
            return self.refuse(call, &code).await;
        }
        for message in group {
            self.server.to.write_all(&message.0).await?;
            if message.kind() == b'P' {
                let mut texts = texts(message.body());
                self.statements.insert(texts.remove(0), texts.remove(0));
            }
            if message.kind() == b'X' {
                return Err(Error::other("the client has ended the session"));
            }
        }
        loop {
            let said = self.server.read().await?;
            self.client.to.write_all(&said.0).await?;
            if said.kind() == b'Z' {
                self.has_failed = said.body() == b"E";
                return Ok(());
            }
        }
    }

    /// Answers a call with an error that the server raises.
    async fn refuse(&mut self, call: &Call, code: &str) -> Result<()> {
        if ENDS_SESSION.contains(&code) {
            self.note(code, call.step);
            return self.end_with(code).await;
        }
        let raise =
            format!("DO $$ BEGIN RAISE 'refused for a test' USING ERRCODE = '{code}'; END $$");
        let error = self.ask(&raise).await?;
        let error = error.ok_or_else(|| Error::other("the server raised nothing"))?;
        assert!(
            field(&error, b'C') == code.as_bytes(),
            "the server raises {code}: {}",
            String::from_utf8_lossy(error.body())
        );
        self.client.to.write_all(&error.0).await?;
        // A COMMIT that fails ends its transaction.
        if call.sql.starts_with("COMMIT") {
            self.ask("ROLLBACK").await?;
        }
        let status = if self.has_failed { b"E" } else { b"I" };
        let ready = Message::new(b'Z', status);
        self.client.to.write_all(&ready.0).await?;
        self.note(code, call.step);
        Ok(())
    }

    /// Has the server execute something of ours, and gives the error that it answers with.
    async fn ask(&mut self, sql: &str) -> Result<Option<Message>> {
        self.server.to.write_all(&Message::query(sql).0).await?;
        let mut error = None;
        loop {
            let said = self.server.read().await?;
            match said.kind() {
                b'E' => error = Some(said),
                b'Z' => {
                    self.has_failed = said.body() == b"E";
                    return Ok(error);
                }
                _ => {}
            }
        }
    }

    /// Sends a FATAL error and closes the session, as a server does when it shuts down or refuses a login.
    async fn end_with(&mut self, code: &str) -> Result<()> {
        let text = format!("SFATAL\0VFATAL\0C{code}\0Mrefused for a test\0\0");
        let error = Message::new(b'E', text.as_bytes());
        self.client.to.write_all(&error.0).await?;
        self.client.to.shutdown().await?;
        Err(Error::other("the session is over"))
    }

    /// What a message asks for; none for those that only go with another, or close something.
    fn call(&self, message: &Message) -> Option<Call> {
        let body = message.body();
        let (step, sql, parameters) = match message.kind() {
            b'P' => (Step::Parse, texts(body).remove(1), Vec::new()),
            b'Q' => (Step::Query, texts(body).remove(0), Vec::new()),
            b'B' => {
                let texts = texts(body);
                let (portal, name) = (&texts[0], &texts[1]);
                let sql = self.statements.get(name).cloned().unwrap_or_default();
                let rest = &body[portal.len() + name.len() + 2..];
                (Step::Execute, sql, parameters(rest))
            }
            _ => return None,
        };
        Some(Call {
            step,
            sql,
            parameters,
        })
    }

    fn chosen(&self, call: &Call) -> Option<String> {
        lock(&self.state).rule.as_mut()?(call)
    }

    fn note(&self, code: &str, step: Step) {
        let refused = &mut lock(&self.state).refused;
        *refused.by_code.entry(code.to_owned()).or_default() += 1;
        *refused.by_step.entry(step).or_default() += 1;
    }
}

/// A rollback always succeeds: no server refuses one.
fn is_rollback(sql: &str) -> bool {
    sql.starts_with("ROLLBACK")
}

/// The texts that a body begins with, each up to its zero.
fn texts(body: &[u8]) -> Vec<String> {
    let texts = body.split(|byte| *byte == 0).take(2);
    texts
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// The parameters of a Bind, from their formats on; a NULL is empty.
fn parameters(body: &[u8]) -> Vec<Vec<u8>> {
    let number = |at: usize| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    let mut at = 2 + 2 * number(0);
    let count = number(at);
    at += 2;
    let mut parameters = Vec::new();
    for _ in 0..count {
        let length = [body[at], body[at + 1], body[at + 2], body[at + 3]];
        at += 4;
        let length = usize::try_from(i32::from_be_bytes(length)).unwrap_or(0);
        parameters.push(body[at..at + length].to_vec());
        at += length;
    }
    parameters
}

/// A field of an error.
fn field(error: &Message, kind: u8) -> &[u8] {
    let mut fields = error.body().split(|byte| *byte == 0);
    let found = fields.find(|field| field.first() == Some(&kind));
    found.map_or(b"", |field| &field[1..])
}
