//! `flexcast work`: runs a consumer, and serves probes and metrics.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Args;
use tokio_util::task::AbortOnDropHandle;

use crate::clock::Clock;
use crate::http;
use crate::marks::{MarkError, ProcessMarks};
use crate::message::CampaignId;
use crate::operate::ReadModels;
use crate::queue::Queue;
use crate::service::{ConnectedTo, Service};
use crate::shutdown::Stopper;
use crate::twilio::{Twilio, is_login_refused};
use crate::worker::{RunEnd, Until};

use super::draining::drained;
use super::exit::{self, halted};
use super::question::Destination;
use super::voice::Voice;
use super::{ExitCode, GlobalArgs, Problem, signals};

/// Run a consumer: carry out the messages of all running campaigns.
#[derive(Debug, Args)]
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
        tell_connections(&service)?;
        let hold = service.hold()?;
        let twilio = service.twilio()?;
        service.bind(&twilio).await?;
        let queue = service.queue().await?;
        let stop = signals::stopper(Voice::Log)?;
        let pages = PagesServer::start(&service, &queue, self.http, &stop).await?;
        let marks = service.marks(&twilio, self.take_over);
        let starting = begin(&service, &twilio, &marks);
        let Some(begun) = stop.run_until_stopped(starting).await else {
            Voice::Log.say("Stopping: nothing had begun.");
            pages.end().await;
            queue.close().await;
            return Ok(ExitCode::Success);
        };
        begun?;
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
        tell_campaigns(&read, &self.campaigns).await?;
        let minutes = worker.log_minutes(self.campaigns.clone());
        let minutes = AbortOnDropHandle::new(tokio::spawn(minutes));
        let only = &self.campaigns;
        let end = drained(&service, &worker, only, until, &stop, Voice::Log).await?;
        drop(minutes);
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
                    Voice::Log.warn(&run.notice);
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

/// Checks the credentials, and the marks of this process at the Twilio account.
async fn begin(service: &Service, twilio: &Twilio, marks: &ProcessMarks) -> Result<(), Problem> {
    check_login(&service.patient(twilio)).await?;
    match marks.beat().await {
        Err(error @ (MarkError::NotOurs(_) | MarkError::NoChatService)) => Err(error.into()),
        Err(error) => {
            // The consumer tries again by itself.
            tracing::warn!(
                %error,
                "the marks at the Twilio account, which say which ledger runs a campaign, cannot be read or written yet"
            );
            Ok(())
        }
        Ok(_) => Ok(()),
    }
}

/// Logs what this consumer is connected to: its ledger, its queue and its account, without a secret.
fn tell_connections(service: &Service) -> Result<(), Problem> {
    let ConnectedTo { ledger, queue } = service.connected_to()?;
    let Destination { account, place } = Destination::of(&service.config)?;
    tracing::info!(
        ledger,
        queue,
        account,
        twilio = place,
        "this consumer is connected to"
    );
    Ok(())
}

/// The maximum number of campaigns that a line names.
const CAMPAIGNS_NAMED: usize = 20;

/// Logs the campaigns whose messages this consumer carries out.
async fn tell_campaigns(read: &ReadModels, only: &[CampaignId]) -> Result<(), Problem> {
    let campaigns = read.consumer_campaigns(only).await?;
    let paused = names(&campaigns.paused);
    match names(&campaigns.carried_out) {
        Some(campaigns) => {
            tracing::info!(
                campaigns,
                paused,
                "this consumer carries out these campaigns"
            );
        }
        None => tracing::info!(
            paused,
            "no campaign is running: this consumer waits until one is applied, resumed or imported into"
        ),
    }
    Ok(())
}

/// The first campaigns by name, and how many more there are. `None` without any.
fn names(campaigns: &[CampaignId]) -> Option<String> {
    let named = campaigns.iter().take(CAMPAIGNS_NAMED);
    let mut text = named.map(CampaignId::as_str).collect::<Vec<_>>().join(", ");
    if campaigns.len() > CAMPAIGNS_NAMED {
        let more = campaigns.len() - CAMPAIGNS_NAMED;
        text.push_str(&format!(" and {more} more"));
    }
    (!campaigns.is_empty()).then_some(text)
}

/// Checks the credentials at Twilio before the first message: a start with wrong credentials must not pause a
/// campaign.
pub(super) async fn check_login(twilio: &Twilio) -> Result<(), Problem> {
    match twilio.fetch_configuration().await {
        Err(error) if is_login_refused(&error) => Err(error.into()),
        _ => Ok(()),
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
