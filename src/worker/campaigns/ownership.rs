//! Keeps this process's marks at the Twilio account, and leaves campaigns alone that another ledger runs.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::marks::{BEAT, MarkError, NotOurs};
use crate::message::CampaignId;
use crate::queue::Backoff;
use crate::shutdown::Stopper;

use crate::worker::hindrances::Hindered;
use crate::worker::{Active, WorkerState};

/// The shortest and the longest pause after a failed read or write of the marks. A consumer starts nothing until it
/// succeeds, and most failures concern one connection: the pause begins short and doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The campaigns that another ledger runs, and why they were left alone.
#[derive(Default)]
pub(in crate::worker) struct Disowned(Mutex<BTreeMap<CampaignId, String>>);

impl Disowned {
    pub(in crate::worker) fn has(&self, id: &CampaignId) -> bool {
        self.lock().contains_key(id)
    }

    pub(in crate::worker) fn reasons(&self) -> Vec<String> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CampaignId, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Raises the beat for as long as the future is polled. A ledger that is not the one that ran last is lost for good.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    let parts = &shared.parts;
    let Some(marks) = &parts.marks else {
        return std::future::pending().await;
    };
    let mut is_said = false;
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    if marks.good_until().is_some() {
        parts.clock.sleep(BEAT).await;
    }
    loop {
        parts.ledger.back().await;
        match marks.beat().await {
            Ok(lost) => {
                shared.hindrances.succeeded(&Hindered::Marks);
                if std::mem::replace(&mut is_said, false) {
                    tracing::info!("the marks at the Twilio account can be read and written again");
                }
                backoff.reset();
                for not_ours in lost {
                    disown(shared, &not_ours);
                }
                parts.clock.sleep(BEAT).await;
            }
            Err(MarkError::NotOurs(not_ours)) => {
                tracing::error!(why = %not_ours, "stopping for good");
                parts.ledger.disown(&not_ours.to_string());
                return std::future::pending().await;
            }
            Err(error) => {
                shared.hindrances.failed(Hindered::Marks, &error);
                if !std::mem::replace(&mut is_said, true) {
                    tracing::warn!(
                        %error,
                        "no message starts until the marks at the Twilio account, which say which ledger runs a campaign, \
                         can be read and written (docs/ownership.md)"
                    );
                }
                parts.clock.sleep(backoff.pause()).await;
            }
        }
    }
}

/// Records at the account that this process has ended.
pub(in crate::worker) async fn end(shared: &WorkerState) {
    let Some(marks) = &shared.parts.marks else {
        return;
    };
    if let Err(error) = marks.end().await {
        tracing::debug!(%error, "the mark still says that this process works");
    }
}

/// Waits until the campaign is known to belong to this ledger. False if it belongs to another one, or on a stop.
pub(in crate::worker) async fn claim(
    shared: &WorkerState,
    active: &Active,
    stop: &Stopper,
) -> bool {
    let Some(marks) = &shared.parts.marks else {
        return true;
    };
    let hindered = Hindered::Campaign(active.campaign.id.clone());
    let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
    loop {
        match stop
            .run_until_stopped(marks.claim(&active.campaign.id))
            .await
        {
            None => return false,
            Some(Ok(())) => {
                shared.hindrances.succeeded(&hindered);
                return true;
            }
            Some(Err(MarkError::NotOurs(not_ours))) => {
                disown(shared, &not_ours);
                return false;
            }
            Some(Err(error)) => {
                shared.hindrances.failed(hindered.clone(), &error);
                tracing::warn!(campaign.id = %active.campaign.id, %error, "the campaign cannot be consumed yet");
            }
        }
        let wait = shared.parts.clock.sleep(backoff.pause());
        if stop.run_until_stopped(wait).await.is_none() {
            return false;
        }
    }
}

fn disown(shared: &WorkerState, not_ours: &NotOurs) {
    let NotOurs::Campaign { campaign, .. } = not_ours else {
        return shared.parts.ledger.disown(&not_ours.to_string());
    };
    tracing::error!(campaign.id = %campaign, why = %not_ours, "the campaign is left alone");
    shared
        .disowned
        .lock()
        .insert(campaign.clone(), not_ours.to_string());
    shared.switches.halt(campaign);
}
