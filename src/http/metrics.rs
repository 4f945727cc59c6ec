//! `/metrics`: counters as they stand, gauges as the ledger and the queue say now.

use std::error::Error;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::ledger::{Books, CampaignState, Ledger, LedgerError};
use crate::metrics::{BookState, Metrics, RowResult};
use crate::queue::Queue;

use super::Pages;

/// The text exposition format, version 0.0.4.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(super) async fn metrics(State(pages): State<Pages>) -> Response {
    // What is away keeps its last values: the scrape must neither fail with it nor wait for it.
    if !pages.ledger.is_lost()
        && let Err(error) = read_ledger(&pages).await
        && !error.is_stores()
    {
        tracing::warn!(%error, "the books are not read");
    }
    read_queue(&pages).await;
    pages.metrics.ledger_usable(!pages.ledger.is_lost());
    ([(CONTENT_TYPE, TEXT_FORMAT)], pages.metrics.render()).into_response()
}

async fn read_ledger(pages: &Pages) -> Result<(), LedgerError> {
    let books = pages.ledger.books(None).await?;
    pages.metrics.books(|state| term(&books, state));
    pages.metrics.imports(
        |result| rows(&books, result),
        |reason| books.rejected.get(&reason).copied().unwrap_or_default(),
    );
    let mut running = Vec::new();
    for record in pages.ledger.campaigns().await? {
        if record.state == CampaignState::Running {
            let books = pages.ledger.books(Some(&record.id)).await?;
            running.push((record.id, books));
        }
    }
    let series = running
        .iter()
        .map(|(id, books)| (id, |state| term(books, state)));
    pages.metrics.campaigns(series);
    Ok(())
}

async fn read_queue(pages: &Pages) {
    let is_connected = pages.queue.is_ready().await;
    pages.metrics.queue_connected(is_connected);
    pages.metrics.queue_reconnects(pages.queue.reconnects());
    if is_connected && !pages.ledger.is_lost() {
        let depth = depth(pages, &*pages.queue, &pages.metrics);
        if let Err(error) = depth.await {
            tracing::warn!(%error, "the queue's depth is not read");
        }
    }
}

async fn depth(
    pages: &Pages,
    queue: &dyn Queue,
    metrics: &Metrics,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut ready = 0;
    for record in pages.ledger.campaigns().await? {
        if matches!(record.state, CampaignState::Running | CampaignState::Paused) {
            ready += queue.depth(&record.id).await?.ready;
        }
    }
    metrics.queue_depth(ready, queue.dead_letter_count().await?);
    Ok(())
}

fn term(books: &Books, state: BookState) -> u64 {
    match state {
        BookState::Accepted => books.accepted,
        BookState::Waiting => books.waiting,
        BookState::Deferred => books.deferred_total(),
        BookState::InFlight => books.in_flight,
        BookState::Done => books.done,
        BookState::Skipped => books.skipped_total(),
        BookState::Dead => books.dead_total(),
        BookState::Unknown => books.unknown,
    }
}

fn rows(books: &Books, result: RowResult) -> u64 {
    let refused = books.rejected_total() + books.duplicate + books.suppressed;
    match result {
        RowResult::Accepted => books.rows.saturating_sub(refused),
        RowResult::Rejected => books.rejected_total(),
        RowResult::Duplicate => books.duplicate,
        RowResult::Suppressed => books.suppressed,
    }
}
