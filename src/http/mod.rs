//! The HTTP server for probes and Prometheus: `/livez`, `/readyz`, `/metrics`.

mod books;
mod depth;
mod health;
mod metrics;

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::FromRef;
use axum::response::Html;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::listening::{End, OpenConnection, Room, accept};
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::shutdown::Stopper;
use crate::twilio::Outages;

/// The maximum number of connected clients: far more than probes and one Prometheus server need.
const CONNECTIONS_MAX: Room = Room::Connections(64);

/// The timeout for the head of a request, and for an idle connection.
const HEAD_WITHIN: Duration = Duration::from_secs(10);

/// The maximum size of the head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The parts of the system that the pages read.
#[derive(Clone)]
pub struct Pages {
    pub ledger: Arc<Ledger>,
    pub queue: Arc<dyn Queue>,
    pub metrics: Metrics,
    pub clock: Clock,
    /// The parts of Twilio that are away.
    pub outages: Arc<Outages>,
    /// Stopped when the process starts to drain: it is alive, but not ready.
    pub draining: Stopper,
}

/// The pages, with the last count of the books.
#[derive(Clone)]
struct State {
    pages: Pages,
    counts: Arc<books::Counts>,
}

impl FromRef<State> for Pages {
    fn from_ref(state: &State) -> Self {
        state.pages.clone()
    }
}

/// Listens on `address`. Separate from [`serve`], so that a port in use is an error at once.
///
/// # Errors
///
/// The error of the operating system.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves the pages until `stop`.
///
/// # Errors
///
/// An error when the listener can accept no more connections.
pub async fn serve(listener: TcpListener, pages: Pages, stop: Stopper) -> std::io::Result<()> {
    let (clock, router) = (pages.clock, router(pages));
    let serve = move |stream, open| connection(router.clone(), stream, open);
    accept(listener, CONNECTIONS_MAX, clock, stop, serve).await
}

/// Answers the requests of one connection.
async fn connection(router: Router, stream: TcpStream, open: OpenConnection) {
    let service = service_fn(|request| {
        let answering = open.answering();
        let answer = TowerToHyperService::new(router.clone()).call(request);
        async move {
            let answer = answer.await;
            drop(answering);
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        end = open.ends() => match end {
            End::AtOnce => return,
            End::Answered => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a client of the pages closed its connection");
    }
}

fn router(pages: Pages) -> Router {
    Router::new()
        .route("/", get(landing))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::ready))
        .route(
            "/version",
            get(|| async { concat!(env!("CARGO_PKG_VERSION"), "\n") }),
        )
        .route("/metrics", get(metrics::metrics))
        .with_state(State {
            pages,
            counts: Arc::default(),
        })
}

async fn landing() -> Html<&'static str> {
    Html(concat!(
        "<!doctype html><title>flexcast</title><h1>flexcast ",
        env!("CARGO_PKG_VERSION"),
        "</h1><ul><li><a href=\"/metrics\">/metrics</a><li><a href=\"/livez\">/livez</a>",
        "<li><a href=\"/readyz\">/readyz</a></ul>"
    ))
}
