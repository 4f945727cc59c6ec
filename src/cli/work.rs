//! `flexcast work`: the consumer, with its probes and metrics beside it.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;

use crate::clock::Clock;
use crate::http::{self, Pages};
use crate::ledger::CampaignRecord;
use crate::marks::MarkError;
use crate::message::{CampaignId, Failure, PauseCause};
use crate::operate::paused_notice;
use crate::queue::Queue;
use crate::service::Service;
use crate::shutdown::Stopper;
use crate::twilio::{Twilio, is_login_refused, pause_cause};
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
    /// Take the place of another ledger, or of a newer state of this one: every message is looked for first
    #[arg(long)]
    take_over: bool,
}

impl Work {
    pub(super) async fn run(self, global: &Global) -> Result<ExitCode, Problem> {
        let service = Service::open(global.load()?, Clock::system()).await?;
        // In the log, whose lines have one form.
        let ledger = Service::place(&service.config);
        tracing::info!(ledger, "the ledger of this consumer");
        let hold = service.hold()?;
        let twilio = service.twilio()?;
        service.bind(&twilio).await?;
        let queue = service.queue().await?;
        let stop = signals::stopper()?;
        let pages = Serving::start(&service, &queue, self.http, &stop).await?;
        check_login(&service.patient(&twilio)).await?;
        let marks = service.marks(&twilio, self.take_over);
        let Some(looked) = stop.run_until_stopped(marks.beat()).await else {
            pages.end().await;
            queue.close().await;
            return Ok(ExitCode::Success);
        };
        match looked {
            Err(error @ (MarkError::NotOurs(_) | MarkError::NoChatService)) => {
                return Err(is_not_ours(error));
            }
            Err(error) => tracing::warn!(%error, "tried again"),
            Ok(_) => {}
        }
        let worker = service
            .worker(Arc::clone(&queue), twilio, &hold, Some(marks))
            .await?;
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
        let disowned = worker.disowned();
        if !disowned.is_empty() {
            return Err(Problem::new(ExitCode::Config, disowned.join("\n")));
        }
        match end {
            Some(RunEnd::Halted(failure)) => Err(halted(&failure)),
            Some(RunEnd::Idle) => {
                if let Some(code) = self.paused(&service).await? {
                    return Ok(code);
                }
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

impl Work {
    /// The exit code when a campaign is paused and has open messages: nothing more comes to its end.
    async fn paused(&self, service: &Service) -> Result<Option<ExitCode>, Problem> {
        let mut code = None;
        for record in service.ledger.campaigns().await? {
            let is_wanted = self.campaigns.is_empty() || self.campaigns.contains(&record.id);
            let Some(notice) = paused_notice(&record).filter(|_| is_wanted) else {
                continue;
            };
            if service.ledger.has_open(&record.id, false).await? {
                tell!("{notice}");
                code.get_or_insert(code_of_pause(&record));
            }
        }
        Ok(code)
    }
}

/// Makes sure that Twilio takes the credentials before anything is begun: a start with wrong ones pauses no
/// campaign.
pub(super) async fn check_login(twilio: &Twilio) -> Result<(), Problem> {
    match twilio.fetch_configuration().await {
        Err(error) if is_login_refused(&error) => Err(error.into()),
        _ => Ok(()),
    }
}

/// What a look at the marks that did not succeed means for a command.
pub(super) fn is_not_ours(error: MarkError) -> Problem {
    match error {
        MarkError::NotOurs(_) | MarkError::NoChatService => {
            Problem::new(ExitCode::Config, error.to_string())
        }
        MarkError::Ahead { .. } => Problem::new(ExitCode::TryAgain, error.to_string()),
        MarkError::Twilio(error) => error.into(),
        MarkError::Ledger(error) => error.into(),
    }
}

/// What a campaign that the program has just paused means for its run.
pub(super) fn halted(failure: &Failure) -> Problem {
    let text = format!("the campaign was paused: {failure}");
    Problem::new(code_of_cause(pause_cause(failure)), text)
}

/// The exit code of a run that ends since its campaign is paused.
pub(super) fn code_of_pause(record: &CampaignRecord) -> ExitCode {
    record
        .program_pause()
        .map_or(ExitCode::TryAgain, code_of_cause)
}

fn code_of_cause(cause: PauseCause) -> ExitCode {
    match cause {
        PauseCause::CredentialsRefused | PauseCause::AccountSuspended => ExitCode::Refused,
        _ => ExitCode::Config,
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
            outages: Arc::clone(&service.outages),
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
