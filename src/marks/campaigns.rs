//! The marks of campaigns: each names the ledger that runs the campaign.

use jiff::Timestamp;
use tokio::time::Instant;

use super::record::{CampaignMark, from_attributes, of_campaign, of_ledger, to_attributes};
use super::{KnownMarks, MarkError, NotOurs, ProcessMarks, is_taken};
use crate::ledger::Incarnation;
use crate::message::CampaignId;

impl ProcessMarks {
    /// Checks a campaign's mark, or creates it. If the campaign is taken over, returns the time until which its former
    /// process may still call Twilio.
    pub(super) async fn look_at(
        &self,
        known: &mut KnownMarks,
        campaign: &CampaignId,
    ) -> Result<Option<Instant>, MarkError> {
        let service = self.service(known).await?;
        let identity = of_campaign(campaign);
        let own = self.ledger.id().await?;
        let mut quiet = None;
        let mark = loop {
            let user = self.twilio.fetch_user(&service, &identity).await?;
            let Some(user) = user else {
                let mark = self.campaign_mark(known, campaign, &own);
                let attributes = to_attributes(&mark);
                let creating =
                    self.twilio
                        .create_user(&service, &identity, "flexcast campaign", &attributes);
                match creating.await {
                    Ok(_) => break mark,
                    // Another ledger was faster, and has the campaign.
                    Err(error) if is_taken(&error) => continue,
                    Err(error) => return Err(error.into()),
                }
            };
            match from_attributes::<CampaignMark>(user.attributes) {
                Some(mark) if mark.ledger == own => {
                    self.check_campaign(known, &mark).await?;
                    break mark;
                }
                // Another program has overwritten the attributes.
                None => {}
                Some(mark) => quiet = self.take_over_campaign(known, mark).await?,
            }
            let mark = self.campaign_mark(known, campaign, &own);
            let attributes = to_attributes(&mark);
            self.twilio
                .update_user(&service, &identity, &attributes)
                .await?;
            break mark;
        };
        known.campaigns.insert(campaign.clone(), mark);
        Ok(quiet)
    }

    /// Checks a campaign that this ledger has begun: the ledger may have gone back to before that.
    async fn check_campaign(
        &self,
        known: &KnownMarks,
        mark: &CampaignMark,
    ) -> Result<(), MarkError> {
        let is_known = known.campaigns.get(&mark.campaign) == Some(mark);
        if is_known || self.ledger.has_been(&mark.incarnation).await? {
            return Ok(());
        }
        tracing::warn!(
            campaign.id = %mark.campaign,
            "the ledger went back to before it first ran this campaign: each message is looked up at Twilio first"
        );
        self.distrust(&mark.campaign, mark.at).await
    }

    /// Takes over another ledger's campaign, if the operator asked for it.
    async fn take_over_campaign(
        &self,
        known: &mut KnownMarks,
        mark: CampaignMark,
    ) -> Result<Option<Instant>, MarkError> {
        let other = of_ledger(&mark.ledger);
        let (campaign, began) = (mark.campaign.clone(), mark.at);
        let why = NotOurs::Campaign {
            campaign: mark.campaign,
            ledger: mark.ledger,
            location: mark.location,
            at: mark.at,
        };
        // A process that lost a campaign to a take-over does not take it back.
        let had = known.campaigns.contains_key(&campaign) || known.lost.contains(&campaign);
        if !self.take_over || had {
            return Err(MarkError::NotOurs(why));
        }
        tracing::warn!(campaign.id = %campaign, %why, "taken over");
        self.distrust(&campaign, began).await?;
        self.quiet_until(known, &other).await
    }

    fn campaign_mark(
        &self,
        known: &KnownMarks,
        campaign: &CampaignId,
        ledger: &str,
    ) -> CampaignMark {
        let unknown = Incarnation {
            token: String::new(),
            beat: 0,
        };
        CampaignMark {
            campaign: campaign.clone(),
            ledger: ledger.to_owned(),
            incarnation: known.own.clone().unwrap_or(unknown),
            location: self.location.clone(),
            at: self.clock.now(),
        }
    }

    async fn distrust(&self, campaign: &CampaignId, since: Timestamp) -> Result<(), MarkError> {
        self.ledger.distrust(Some(campaign), since).await?;
        Ok(())
    }
}
