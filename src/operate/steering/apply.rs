//! Applies a campaign file, and checks that it can change while messages are open.

use std::time::Duration;

use crate::campaign::{Campaign, Difference, KeyChange, conversions, key_changes};
use crate::ledger::{
    Actor, CampaignRecord, CampaignState, ConsumerRow, OpenOfSender, OperationName, StateChange,
    Transition,
};
use crate::message::{Address, CampaignId};
use crate::operate::campaigns::find;
use crate::operate::{OperateError, Operations};

/// How many messages get another sender in one transaction.
const BATCH: usize = 500;

/// How long to wait for messages that consumers return, and how often to check for them.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The result of applying a campaign file.
#[derive(Clone, Debug)]
pub struct AppliedCampaign {
    pub record: CampaignRecord,
    /// The number of messages that got another sender.
    pub moved: u64,
    /// The number of open messages that keep a sender which the file no longer has, because they have begun.
    pub kept: u64,
}

/// How messages change whose senders the file no longer has.
#[derive(Clone, Debug, Default)]
pub struct Replacing {
    /// The new sender of those that have not begun. `None`: the file is refused if there are any.
    pub move_to: Option<Address>,
}

/// A new edition of a campaign that the ledger has.
struct Edition<'a> {
    campaign: &'a Campaign,
    changes: &'a [KeyChange],
    /// The changes that are possible only while no message is open.
    conversions: Vec<Difference>,
}

impl Operations {
    /// Records a campaign that was checked and filled in from the account. A finished campaign runs again, and so
    /// does a campaign that flexcast itself paused, because an operator has acted. A pause by an operator stays.
    ///
    /// With `replacing.move_to`, messages that have not begun and whose sender the file no longer has get this
    /// sender; the campaign is paused during the change. `waiting` is called with the consumers that are waited for.
    ///
    /// # Errors
    ///
    /// [`OperateError::Converts`] and [`OperateError::TakesSenders`] when open messages do not allow it,
    /// [`OperateError::WrongState`] when the campaign is cancelled.
    pub async fn apply(
        &self,
        mut campaign: Campaign,
        replacing: &Replacing,
        waiting: &(dyn Fn(&[ConsumerRow]) + Send + Sync),
    ) -> Result<AppliedCampaign, OperateError> {
        let id = campaign.id.clone();
        let Some(before) = self.ledger.campaign(&id).await? else {
            self.save(&campaign, &[], false).await?;
            return self.applied(&id, 0, 0).await;
        };
        if before.state == CampaignState::Cancelled {
            return Err(OperateError::WrongState {
                id,
                state: before.state,
                wanted: "applied again; give the file another id",
            });
        }
        let old: Campaign = serde_json::from_value(before.definition.clone())
            .map_err(|error| irreplaceable(&id, &error))?;
        campaign.keep_flows_of(&old);
        let changes = key_changes(&old, &campaign);
        let edition = Edition {
            campaign: &campaign,
            changes: &changes,
            conversions: conversions(&old, &campaign),
        };
        let taken = self.taken_away(&old, &campaign).await?;
        if !taken.is_empty() && replacing.move_to.is_none() {
            let open = |one: OpenOfSender| (one.sender, one.unbegun + one.begun);
            let taken = taken.into_iter().map(open).collect();
            return Err(OperateError::TakesSenders { id, taken });
        }
        if let Some(sender) = &replacing.move_to
            && !campaign.senders().contains(sender)
        {
            let has: Vec<_> = campaign.senders().iter().map(Address::to_string).collect();
            let (sender, has) = (sender.clone(), has.join(", "));
            return Err(OperateError::NoSuchSender { sender, has });
        }
        let (moved, kept) = match &replacing.move_to {
            Some(to) if !taken.is_empty() => {
                // The campaign is paused, so that no consumer starts a message with the old sender.
                let is_running = before.state == CampaignState::Running;
                if is_running {
                    let reason =
                        Some("apply --move-to gives messages to another sender".to_owned());
                    self.pause(&id, reason, waiting).await?;
                }
                let moved = match self.save_unless_converting(edition).await {
                    Ok(()) => self.move_senders(&id, &taken, to).await,
                    Err(error) => Err(error),
                };
                if is_running {
                    self.resume(&id).await?;
                }
                moved?
            }
            _ => {
                self.save_unless_converting(edition).await?;
                (0, 0)
            }
        };
        self.go_on(&before).await?;
        self.applied(&id, moved, kept).await
    }

    async fn applied(
        &self,
        id: &CampaignId,
        moved: u64,
        kept: u64,
    ) -> Result<AppliedCampaign, OperateError> {
        Ok(AppliedCampaign {
            record: find(&self.ledger, id).await?,
            moved,
            kept,
        })
    }

    /// Returns false when the campaign was not recorded because a message is open.
    async fn save(
        &self,
        campaign: &Campaign,
        changes: &[KeyChange],
        only_idle: bool,
    ) -> Result<bool, OperateError> {
        let definition =
            serde_json::to_value(campaign).map_err(|error| irreplaceable(&campaign.id, &error))?;
        let now = self.clock.now();
        let record = CampaignRecord::running(campaign.id.clone(), definition, now);
        let changed = changes.iter().map(|change| {
            serde_json::json!({"key": change.key, "before": change.before, "after": change.after})
        });
        let arguments = serde_json::json!({"changes": changed.collect::<Vec<_>>()});
        let operation = self.on(OperationName::Apply, &campaign.id, arguments);
        let saving = self
            .ledger
            .save_campaign(&record, only_idle, Some(&operation));
        Ok(saving.await?)
    }

    async fn save_unless_converting(&self, edition: Edition<'_>) -> Result<(), OperateError> {
        let Edition {
            campaign,
            changes,
            conversions: differences,
        } = edition;
        if self
            .save(campaign, changes, !differences.is_empty())
            .await?
        {
            return Ok(());
        }
        let id = campaign.id.clone();
        let open = self.ledger.books(Some(&id)).await?.open();
        Err(OperateError::Converts {
            id,
            open,
            differences,
        })
    }

    /// The senders of open messages that the new file does not have.
    async fn taken_away(
        &self,
        old: &Campaign,
        new: &Campaign,
    ) -> Result<Vec<OpenOfSender>, OperateError> {
        let is_kept = |sender: &Address| new.senders().contains(sender);
        if old.senders().iter().all(is_kept) {
            return Ok(Vec::new());
        }
        let mut open = self.ledger.open_by_sender(&new.id).await?;
        open.retain(|one| old.senders().contains(&one.sender) && !is_kept(&one.sender));
        Ok(open)
    }

    /// Moves messages that have not begun, with those that consumers return during the wait. Returns the number of
    /// moved messages, and the number that keep their senders.
    async fn move_senders(
        &self,
        id: &CampaignId,
        taken: &[OpenOfSender],
        to: &Address,
    ) -> Result<(u64, u64), OperateError> {
        let until = self.clock.instant() + GIVEN_BACK_WITHIN;
        let mut moved = 0;
        loop {
            for OpenOfSender { sender, .. } in taken {
                loop {
                    let now = self.clock.now();
                    match self.ledger.move_sender(id, sender, to, now, BATCH).await? {
                        0 => break,
                        some => moved += some,
                    }
                }
            }
            let mut open = self.ledger.open_by_sender(id).await?;
            open.retain(|one| taken.iter().any(|other| other.sender == one.sender));
            let in_flight = self.ledger.books(Some(id)).await?.in_flight;
            let is_over = open.is_empty()
                || (in_flight == 0 && open.iter().all(|one| one.unbegun == 0))
                || self.clock.instant() >= until;
            if is_over {
                let kept = open.iter().map(|one| one.unbegun + one.begun).sum();
                return Ok((moved, kept));
            }
            self.clock.sleep(LOOK_EVERY).await;
        }
    }

    /// Runs a campaign again that was finished, or that flexcast itself paused.
    async fn go_on(&self, before: &CampaignRecord) -> Result<Option<Transition>, OperateError> {
        let change = match before.program_pause() {
            Some(cause) => StateChange::Resume {
                by: Actor::Program { cause },
            },
            None if before.state == CampaignState::Finished => StateChange::Reopen { reason: None },
            None => return Ok(None),
        };
        let now = self.clock.now();
        Ok(Some(
            self.ledger.change_state(&before.id, &change, now).await?,
        ))
    }
}

fn irreplaceable(id: &CampaignId, error: &serde_json::Error) -> OperateError {
    OperateError::Irreplaceable {
        id: id.clone(),
        detail: error.to_string(),
    }
}
