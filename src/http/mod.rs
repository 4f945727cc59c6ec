//! What probes and Prometheus see: `/livez`, `/readyz`, `/metrics`.

mod books;
mod depth;
mod health;
mod metrics;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::response::Html;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::clock::Clock;
use crate::ledger::Watched;
use crate::metrics::Metrics;
use crate::queue::Queue;
use crate::shutdown::Stopper;
use crate::twilio::Outages;

/// What the pages look at.
#[derive(Clone)]
pub struct Pages {
    pub ledger: Arc<Watched>,
    pub queue: Arc<dyn Queue>,
    pub metrics: Metrics,
    pub clock: Clock,
    /// Which parts of Twilio are away.
    pub outages: Arc<Outages>,
    /// Stopped once the process drains: it is alive, and not ready.
    pub draining: Stopper,
}

/// The pages, and what they remember between two requests.
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

/// Listens on `address`. Separate from [`serve`], so that a port that is taken is an error at once.
///
/// # Errors
///
/// The operating system's.
pub async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Serves the pages until stopped.
///
/// # Errors
///
/// When the listener can accept no more.
pub async fn serve(listener: TcpListener, pages: Pages, stop: Stopper) -> std::io::Result<()> {
    axum::serve(listener, router(pages))
        .with_graceful_shutdown(async move { stop.stopped().await })
        .await
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
