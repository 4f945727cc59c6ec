//! `flexcast work`: the consumer, with its probes and metrics beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use crate::http::{self, Pages};
use crate::ledger::Ledger;
use crate::message::CampaignId;
use crate::queue::Queue;
use crate::service::Service;
use crate::shutdown::Stopper;
use crate::worker::{RunEnd, Until, Worker};

use super::{ExitCode, Global, Problem, signals};

/// Consume: carry out the messages of all running campaigns.
#[derive(Debug, Args)]
pub(super) struct Work {
    /// Work on these campaigns alone
    #[arg(value_name = "CAMPAIGN")]
    campaigns: Vec<CampaignId>,
    /// Serve /metrics, /livez and /readyz here
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    http: SocketAddr,
    /// End once nothing is open
    #[arg(long)]
    until_idle: bool,
}

impl Work {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let service = global.service().await?;
        let hold = service.hold()?;
        let twilio = service.twilio()?;
        service.bind(&twilio).await?;
        let queue = service.queue().await?;
        let stop = signals::stopper()?;
        let pages = Serving::start(&service, &queue, self.http, &stop).await?;
        let worker = service.worker(Arc::clone(&queue), twilio, &hold).await?;
        // What ended badly in earlier runs is not this one's to answer for.
        let before = failed(&service).await?;
        let until = if self.until_idle {
            Until::Idle
        } else {
            Until::Stopped
        };
        let end = drained(&service, &worker, &self.campaigns, until, &stop).await?;
        pages.end().await;
        queue.close().await;
        match end {
            Some(RunEnd::Halted(failure)) => {
                let text = format!("the campaign was paused: {failure}");
                Err(Problem::new(ExitCode::Refused, text))
            }
            Some(RunEnd::Idle) => {
                if failed(&service).await? > before {
                    return Ok(ExitCode::Failed);
                }
                Ok(ExitCode::Success)
            }
            // Drained after SIGTERM, or out of time: whatever is left is found again.
            Some(RunEnd::Stopped) | None => Ok(ExitCode::Success),
        }
    }
}

/// How many messages ended dead or unknown.
async fn failed(service: &Service) -> Result<u64, Problem> {
    let books = service.ledger.books(None).await?;
    Ok(books.dead_total() + books.unknown)
}

/// Runs the worker; once a stop was asked for, no longer than the drain may take. `None` when it
/// took longer.
pub(super) async fn drained(
    service: &Service,
    worker: &Worker,
    only: &[CampaignId],
    until: Until,
    stop: &Stopper,
) -> Result<Option<RunEnd>, Problem> {
    let drain = service.config.file.work.drain;
    let watchdog = async {
        stop.stopped().await;
        service.clock.sleep(drain).await;
    };
    tokio::select! {
        biased;
        end = worker.run(only, until, stop) => Ok(Some(end?)),
        () = watchdog => {
            tracing::warn!(drain_s = drain.as_secs(), "not drained in time; leases will run out");
            Ok(None)
        }
    }
}

/// The pages beside a worker.
pub(super) struct Serving {
    stop: Stopper,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    /// Listens at once, so that a taken port is an error before any work.
    async fn start(
        service: &Service,
        queue: &Arc<dyn Queue>,
        address: SocketAddr,
        draining: &Stopper,
    ) -> Result<Self, Problem> {
        let listener = http::listen(address).await.map_err(|error| {
            let text = format!("--http {address}: {error}");
            Problem::new(ExitCode::Config, text)
        })?;
        let pages = Pages {
            ledger: Arc::clone(&service.ledger),
            queue: Arc::clone(queue),
            metrics: service.metrics.clone(),
            clock: service.clock,
            draining: draining.clone(),
        };
        tracing::info!(address = %listener.local_addr()?, "serving /metrics, /livez and /readyz");
        // Not a child of `draining`: probes and metrics are answered until the drain is over.
        let stop = Stopper::new();
        let task = tokio::spawn(http::serve(listener, pages, stop.clone()));
        Ok(Self { stop, task })
    }

    async fn end(self) {
        self.stop.stop();
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the pages ended badly");
        }
    }
}
