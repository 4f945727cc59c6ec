//! `/metrics`: counters of the process, and gauges from the ledger and the queue.

use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};

use crate::ledger::{Actor, Books, CampaignRecord, CampaignState, LedgerError};
use crate::metrics::{MendedPart, PausedBy};

use super::books::{Counts, off, rows, stuck, term};
use super::{Pages, State, depth};

/// The media type of Prometheus's text format, version 0.0.4.
const TEXT_FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The maximum number of damaged messages that are counted.
const DAMAGED_MAX: usize = 10_000;

pub(super) async fn metrics(state: axum::extract::State<State>) -> Response {
    let pages = &state.pages;
    // Gauges of an unavailable part keep their last values: the scrape must neither fail nor wait for it.
    if !pages.ledger.is_lost()
        && let Err(error) = read_ledger(pages, &state.counts).await
        && !error.is_stores()
    {
        tracing::warn!(%error, "the books could not be read");
    }
    read_queue(pages).await;
    pages.metrics.ledger_usable(!pages.ledger.is_lost());
    ([(CONTENT_TYPE, TEXT_FORMAT)], pages.metrics.render()).into_response()
}

async fn read_ledger(pages: &Pages, counts: &Counts) -> Result<(), LedgerError> {
    let counted = counts.books(&pages.ledger, pages.clock).await?;
    let sum = |count: &dyn Fn(&Books) -> u64| counted.values().map(count).sum::<u64>();
    let metrics = &pages.metrics;
    metrics.books(|state| sum(&|books| term(books, state)));
    metrics.books_imbalance(|check| sum(&|books| off(books, check)));
    metrics.stuck(sum(&stuck));
    metrics.damaged(pages.ledger.damaged(DAMAGED_MAX).await?.len() as u64);
    metrics.imports(
        |result| sum(&|books| rows(books, result)),
        |reason| sum(&|books| books.rejected.get(&reason).copied().unwrap_or_default()),
    );
    let records = pages.ledger.campaigns().await?;
    let running = records
        .iter()
        .filter(|record| record.state == CampaignState::Running);
    let none = Books::default();
    let series = running.map(|record| {
        let books = counted.get(&record.id).unwrap_or(&none);
        (&record.id, |state| term(books, state))
    });
    metrics.campaigns(series);
    metrics.paused(|by| {
        let is_by = |record: &&CampaignRecord| match &record.paused_by {
            Some(Actor::Operator { .. }) => by == PausedBy::Operator,
            Some(Actor::Program { cause }) => by == PausedBy::Program(*cause),
            None => false,
        };
        records.iter().filter(is_by).count() as u64
    });
    Ok(())
}

async fn read_queue(pages: &Pages) {
    let is_connected = pages.queue.is_ready().await;
    pages.metrics.queue_connected(is_connected);
    pages.metrics.queue_reconnects(pages.queue.reconnects());
    let mended = pages.queue.mended();
    pages.metrics.queue_mended(|part| match part {
        MendedPart::Text => mended.text,
        MendedPart::Key => mended.key,
        MendedPart::Nesting => mended.nesting,
        MendedPart::Body => mended.body,
    });
    let obstacles = pages.queue.obstacles().len();
    pages.metrics.queue_obstacles(obstacles as u64);
    pages
        .metrics
        .twilio_away(&pages.outages.away(pages.clock.now()));
    let nodes = pages.queue.nodes();
    let nodes = nodes.iter().map(|it| (it.node.as_str(), it.connections));
    pages.metrics.broker_connections(nodes);
    if let Some(inspection) = pages.queue.inspection() {
        let findings = inspection.findings.iter();
        pages.metrics.broker(inspection.is_whole(), |kind| {
            let of_kind = findings.clone().filter(|it| it.kind == kind);
            of_kind.count() as u64
        });
    }
    if is_connected
        && !pages.ledger.is_lost()
        && let Err(error) = depth::read(pages).await
    {
        tracing::warn!(%error, "the depth of the queue could not be read");
    }
}
