//! Renews this consumer's right to start changing calls, and carries out the stops that the ledger reports.
//!
//! In: the ledger's answer to each renewal. Out: the renewed right, and the switches of stopped campaigns. Always: a
//! stop is carried out before the right takes effect that was renewed with it, and is confirmed at once. An operator's
//! command returns when all consumers have confirmed it, or when their rights have expired.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use crate::engine::{CampaignSwitch, Position};
use crate::ledger::{CampaignState, PauseScope, RIGHT_FOR, Renewal};
use crate::message::CampaignId;

use crate::worker::WorkerState;

/// How often the right is renewed. It lasts for three of these intervals ([`RIGHT_FOR`]).
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Renews the right for as long as the future is polled.
pub(in crate::worker) async fn keep(shared: &WorkerState) -> Infallible {
    let parts = &shared.parts;
    let mut renewal = Renewal {
        holder: parts.holder.clone(),
        host: parts.host.clone(),
        pid: std::process::id(),
        confirmed: None,
    };
    loop {
        let asked = parts.clock.instant();
        match parts.ledger.renew_right(&renewal, parts.clock.now()).await {
            Ok(renewed) => {
                let is_all_paused = renewed.paused.contains(&PauseScope::All);
                shared.switches.stop(renewed.stopped, is_all_paused);
                let has_ended = parts.engine.pauses().replace(&renewed.paused);
                // Never longer than this process's marks at the account are known to be valid.
                let mut ends = Some(asked + RIGHT_FOR);
                if let Some(marks) = &parts.marks {
                    ends = marks.good_until().map(|good| good.min(asked + RIGHT_FOR));
                }
                if let Some(ends) = ends {
                    parts.engine.right().renew(ends);
                }
                // The first renewal too: a pause may have ended while no consumer worked.
                if (has_ended || renewal.confirmed.is_none())
                    && let Err(error) = parts.ledger.wake_paused(parts.clock.now()).await
                {
                    tracing::debug!(%error, "messages of an ended pause wait until they are due");
                }
                if renewal.confirmed.replace(renewed.change) != Some(renewed.change) {
                    continue;
                }
            }
            Err(error) => tracing::debug!(%error, "the right to start calls was not renewed"),
        }
        parts.clock.sleep(RENEW_EVERY).await;
        parts.ledger.back().await;
    }
}

/// Ends the right, also in the ledger: operators' commands no longer wait for this consumer.
pub(in crate::worker) async fn end(shared: &WorkerState) {
    let parts = &shared.parts;
    parts.engine.right().end();
    if let Err(error) = parts.ledger.end_right(&parts.holder).await {
        tracing::debug!(%error, "the right to start calls runs out by itself");
    }
}

/// The switches of all campaigns that this consumer works on.
#[derive(Debug, Default)]
pub(crate) struct Switches(Mutex<SwitchTable>);

#[derive(Debug, Default)]
struct SwitchTable {
    /// The campaigns that were paused or cancelled at the last renewal.
    stopped: BTreeMap<CampaignId, CampaignState>,
    /// Whether everything was paused at the last renewal.
    is_all_paused: bool,
    live: Vec<(CampaignId, Weak<CampaignSwitch>)>,
}

impl SwitchTable {
    fn is_stopped(&self, id: &CampaignId) -> bool {
        self.is_all_paused || self.stopped.contains_key(id)
    }
}

impl Switches {
    /// A new switch for a campaign. It is stopped from the start if the last renewal reported the stop: the campaign's
    /// record may have been read before that.
    pub(in crate::worker) fn of(&self, id: &CampaignId) -> Arc<CampaignSwitch> {
        let switch = Arc::new(CampaignSwitch::default());
        let mut known = self.lock();
        if known.is_stopped(id) {
            switch.stop(Position::Stopped);
        }
        known.live.retain(|(_, switch)| switch.strong_count() > 0);
        known.live.push((id.clone(), Arc::downgrade(&switch)));
        switch
    }

    /// Whether an operator has paused everything, as of the last renewal.
    pub(in crate::worker) fn is_all_paused(&self) -> bool {
        self.lock().is_all_paused
    }

    /// Stops the messages in flight of these campaigns, or of all, and of no others.
    fn stop(&self, campaigns: Vec<(CampaignId, CampaignState)>, is_all_paused: bool) {
        let mut known = self.lock();
        known.stopped = campaigns.into_iter().collect();
        known.is_all_paused = is_all_paused;
        for (id, switch) in &known.live {
            if known.is_stopped(id)
                && let Some(switch) = switch.upgrade()
            {
                switch.stop(Position::Stopped);
            }
        }
    }

    /// Stops all changing calls of this campaign, those of undos included.
    pub(in crate::worker) fn halt(&self, campaign: &CampaignId) {
        for (id, switch) in &self.lock().live {
            if id == campaign
                && let Some(switch) = switch.upgrade()
            {
                switch.stop(Position::Halted);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, SwitchTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_switch_that_is_made_after_a_stop_is_stopped() {
        let id = |text| CampaignId::parse(text).expect("an id");
        let switches = Switches::default();
        let (spring, autumn) = (switches.of(&id("spring")), switches.of(&id("autumn")));
        switches.stop(vec![(id("spring"), CampaignState::Paused)], false);
        assert_eq!(spring.position(), Position::Stopped);
        assert_eq!(autumn.position(), Position::Running);
        assert_eq!(switches.of(&id("spring")).position(), Position::Stopped);
        // It runs again: the earlier switch stays stopped, and a new one runs.
        switches.stop(Vec::new(), false);
        assert_eq!(spring.position(), Position::Stopped);
        assert_eq!(switches.of(&id("spring")).position(), Position::Running);
        // Everything is paused.
        switches.stop(Vec::new(), true);
        assert_eq!(autumn.position(), Position::Stopped);
        assert_eq!(switches.of(&id("spring")).position(), Position::Stopped);
    }
}
