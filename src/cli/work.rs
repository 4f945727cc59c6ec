//! `flexcast work`: runs a consumer, and serves probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use crate::clock::Clock;
use crate::http;
use crate::marks::MarkError;
use crate::message::CampaignId;
use crate::queue::Queue;
use crate::service::Service;
use crate::shutdown::Stopper;
use crate::twilio::{Twilio, is_login_refused};
use crate::worker::{RunEnd, Until, Worker};

use super::exit::{self, halted};
use super::{ExitCode, GlobalArgs, Problem, signals};

/// Run a consumer: carry out the messages of all running campaigns.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  flexcast work spring-renewals --until-idle")]
pub(super) struct WorkArgs {
    /// Carry out only messages of these campaigns
    #[arg(value_name = "CAMPAIGN")]
    campaigns: Vec<CampaignId>,
    /// The address that serves /metrics, /livez and /readyz
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9464")]
    http: SocketAddr,
    /// End when no message is open
    #[arg(long)]
    until_idle: bool,
    /// Take over campaigns from another ledger, or from a newer state of this ledger: each message is first looked
    /// for at Twilio
    #[arg(long)]
    take_over: bool,
}

impl WorkArgs {
    pub(super) async fn run(self, global: &GlobalArgs) -> Result<ExitCode, Problem> {
        let service = Service::open(global.load()?, Clock::system()).await?;
        // Logged, not printed, so that all lines of standard error have one form.
        let ledger = Service::place(&service.config);
        tracing::info!(ledger, "the ledger of this consumer");
        service.read_models().all_exist(&self.campaigns).await?;
        let hold = service.hold()?;
        let twilio = service.twilio()?;
        service.bind(&twilio).await?;
        let queue = service.queue().await?;
        let stop = signals::stopper()?;
        let pages = PagesServer::start(&service, &queue, self.http, &stop).await?;
        check_login(&service.patient(&twilio)).await?;
        let marks = service.marks(&twilio, self.take_over);
        let Some(looked) = stop.run_until_stopped(marks.beat()).await else {
            pages.end().await;
            queue.close().await;
            return Ok(ExitCode::Success);
        };
        match looked {
            Err(error @ (MarkError::NotOurs(_) | MarkError::NoChatService)) => {
                return Err(error.into());
            }
            Err(error) => tracing::warn!(%error, "tried again"),
            Ok(_) => {}
        }
        let worker = service
            .worker(Arc::clone(&queue), twilio, &hold, Some(marks))
            .await?;
        // Messages that failed in earlier runs do not change the exit code of this run.
        let read = service.read_models();
        let before = read.failed_messages().await?;
        let until = if self.until_idle {
            Until::Idle
        } else {
            Until::Stopped
        };
        let end = drained(&service, &worker, &self.campaigns, until, &stop).await?;
        pages.end().await;
        queue.close().await;
        let disowned = worker.disowned();
        if !disowned.is_empty() {
            return Err(Problem::new(ExitCode::Config, disowned.join("\n")));
        }
        match end {
            Some(RunEnd::Halted(failure)) => Err(halted(&failure)),
            Some(RunEnd::Idle) => {
                let paused = read.paused_runs(&self.campaigns).await?;
                for run in &paused {
                    tell!("{}", run.notice);
                }
                if let Some(run) = paused.first() {
                    return Ok(exit::of_pause(run.cause));
                }
                if read.failed_messages().await? > before {
                    return Ok(ExitCode::Failed);
                }
                Ok(ExitCode::Success)
            }
            // Drained after SIGTERM, or not in time: the next run finds the remaining messages.
            Some(RunEnd::Stopped) | None => Ok(ExitCode::Success),
        }
    }
}

/// Checks the credentials at Twilio before the first message: a start with wrong credentials must not pause a
/// campaign.
pub(super) async fn check_login(twilio: &Twilio) -> Result<(), Problem> {
    match twilio.fetch_configuration().await {
        Err(error) if is_login_refused(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// Runs the worker. After a stop, waits for it at most `work.drain`; `None` when it took longer.
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
            tracing::warn!(drain_s = drain.as_secs(), "not drained in time; other consumers take the messages when \
            their leases expire");
            Ok(None)
        }
    }
}

/// The HTTP server of probes and metrics.
pub(super) struct PagesServer {
    stop: Stopper,
    task: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl PagesServer {
    /// Listens at once, so that a port in use is an error before the first message.
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
        let pages = service.pages(queue, draining);
        tracing::info!(address = %listener.local_addr()?, "serving /metrics, /livez and /readyz");
        // Not a child of `draining`: the server answers until the drain is over.
        let stop = Stopper::new();
        let task = tokio::spawn(http::serve(listener, pages, stop.clone()));
        Ok(Self { stop, task })
    }

    async fn end(self) {
        self.stop.stop();
        if let Ok(Err(error)) = self.task.await {
            tracing::warn!(%error, "the server of probes and metrics failed");
        }
    }
}
