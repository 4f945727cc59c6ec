//! A server on a loopback socket that answers by script, cut replies and silence included.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What a server does with one request.
#[derive(Clone)]
pub(crate) enum Reply {
    /// Answers with this status, these further headers and this body.
    Whole(u16, &'static str, String),
    /// Promises more bytes than it sends, then closes.
    Cut(u16, String),
    /// Reads the request and closes.
    Reset,
    /// Reads the request and never answers.
    Silence,
}

/// A server on a free port that gives its replies in order, the last one again and again.
pub(crate) struct Server {
    pub(crate) address: String,
    /// The requests as they came, head and body.
    requests: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(replies: Vec<Reply>) -> Self {
        Self::start_with(|_| replies).await
    }

    /// As [`Server::start`], for replies that name the server's own address.
    pub(crate) async fn start_with(replies: impl FnOnce(&str) -> Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let replies = replies(&address);
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            let mut kept = Vec::new();
            for at in 0.. {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let request = read_request(&mut stream).await;
                seen.lock().expect("no panic holds it").push(request);
                let last = replies.len() - 1;
                match &replies[at.min(last)] {
                    Reply::Silence => kept.push(stream),
                    reply => write_reply(&mut stream, reply).await,
                }
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic holds it").clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn read_request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut part = [0; 4096];
    loop {
        let read = stream.read(&mut part).await.expect("a request");
        bytes.extend_from_slice(&part[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = header(head, "content-length").map_or(0, |value| {
                value.parse::<usize>().expect("a length is a number")
            });
            body.len() >= length
        });
        if whole || read == 0 {
            return text.into_owned();
        }
    }
}

pub(crate) fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    request.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

async fn write_reply(stream: &mut TcpStream, reply: &Reply) {
    let (status, headers, body, length) = match reply {
        Reply::Whole(status, headers, body) => (*status, *headers, body.as_str(), body.len()),
        Reply::Cut(status, body) => (*status, "", body.as_str(), body.len() + 100),
        Reply::Reset | Reply::Silence => return,
    };
    let text = format!(
        "HTTP/1.1 {status} X\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.expect("written");
    stream.shutdown().await.expect("closed");
}
