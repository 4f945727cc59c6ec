//! The text that a message sends itself: its sender's lanes and its cost on them.
//!
//! In: a campaign, a message, the number that Proxy chose. Out: lanes and a cost. Always: beginning a message and
//! calling Twilio use the same answer.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::campaign::{Campaign, CustomerProxy};
use crate::message::{Address, Api, Channel, Effects, Message, SenderKind};
use crate::pacing::{Lane, Pacer, Sender};

/// The longest time that a text waits for its sender while its message occupies a slot in flight. Beyond it the
/// message is returned, and its slot is free.
pub const SENDER_WAIT_MAX: Duration = Duration::from_secs(30);

/// A text on its way to its customer.
#[derive(Clone, Debug)]
pub struct Sending {
    channel: Channel,
    customer: Address,
    /// None while it is unknown: Proxy chooses a number of its pool.
    sender: Option<Sender>,
    segments: NonZeroU32,
}

impl Sending {
    /// The text that a message sends. None if its agent writes first. `effects`: the effects of the message's saga so
    /// far.
    #[must_use]
    pub fn of(
        pacer: &Pacer,
        campaign: &Campaign,
        message: &Message,
        effects: &Effects,
    ) -> Option<Self> {
        let mut sending = Self {
            channel: campaign.channel,
            customer: message.customer.address.clone(),
            sender: None,
            segments: campaign.cost_of(message)?,
        };
        let is_from_pool =
            campaign.api == Api::Proxy && campaign.proxy.customer_proxy == CustomerProxy::Pool;
        if let Some(number) = &effects.customer_proxy_identifier {
            sending.is_from(pacer, number);
        } else if let Some(sender) = campaign.sender_of(message).filter(|_| !is_from_pool) {
            sending.sender = Some(sending.named(pacer, sender));
        }
        Some(sending)
    }

    /// Records the number that Proxy shows to the customer, however it was chosen.
    pub(super) fn is_from(&mut self, pacer: &Pacer, number: &str) {
        if let Ok(number) = Address::parse(number) {
            self.sender = Some(self.named(pacer, &number));
        }
    }

    fn named(&self, pacer: &Pacer, sender: &Address) -> Sender {
        let kind = SenderKind::of(self.channel, sender, &self.customer);
        pacer.sender(&sender.on(self.channel), kind.as_str())
    }

    /// The lane on which the message waits to begin.
    #[must_use]
    pub fn entry(&self) -> Option<Lane> {
        self.sender.clone().map(Lane::Entry)
    }

    /// The lane on which the text is counted.
    #[must_use]
    pub fn lane(&self) -> Option<Lane> {
        self.sender.clone().map(Lane::Sender)
    }

    /// The text's cost there: its SMS segments, or 1.
    #[must_use]
    pub fn segments(&self) -> NonZeroU32 {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::pacing::PacingSettings;

    /// One segment is 160 characters.
    fn long() -> String {
        "a".repeat(161)
    }

    fn sending(more: &str, body: Option<&str>, effects: &Effects) -> Option<(Option<Lane>, u32)> {
        let pacer = Pacer::new(PacingSettings::default(), Clock::system());
        let text = format!("id='c'\nsender='+12025550100'\n{more}");
        let campaign: Campaign = toml::from_str(&text).expect("a campaign");
        let json = serde_json::json!({
            "campaign": "c", "customer": {"address": "+12125550147"}, "body": body
        });
        let message = Message::from_json(json.to_string().as_bytes()).expect("a message");
        let sending = Sending::of(&pacer, &campaign, &message, effects)?;
        Some((sending.lane(), sending.segments().get()))
    }

    fn lane(address: &str, rate: &str) -> Option<Lane> {
        Some(Lane::Sender(Sender::new(address, Some(rate))))
    }

    #[tokio::test]
    async fn each_strategy_and_channel_has_its_text_on_its_senders_lane() {
        let long = long();
        let long_code = lane("+12025550100", "long_code");
        let sms = "channel='sms'\n";
        let table = [
            (
                "strategy='task_on_reply'",
                Some(&*long),
                Some((long_code.clone(), 2)),
            ),
            (
                "strategy='task_now'",
                Some("Hi"),
                Some((long_code.clone(), 1)),
            ),
            ("strategy='task_now'", None, None),
            (
                "strategy='task_on_reply'\ncontent_sid='HX1'",
                Some(&*long),
                Some((long_code.clone(), 1)),
            ),
            ("strategy='task_now'\napi='proxy'", Some(&*long), None),
            (
                "strategy='task_on_reply'\napi='proxy'",
                Some("€"),
                Some((long_code, 1)),
            ),
            (
                "strategy='task_on_reply'\napi='proxy'\nproxy={customer_proxy='pool'}",
                Some(&*long),
                Some((None, 2)),
            ),
        ];
        for (more, body, expected) in table {
            let found = sending(&format!("{sms}{more}"), body, &Effects::default());
            assert_eq!(found, expected, "{more}");
        }
        let whatsapp = sending(
            "channel='whatsapp'\nstrategy='task_on_reply'",
            Some(&*long),
            &Effects::default(),
        );
        assert_eq!(
            whatsapp,
            Some((lane("whatsapp:+12025550100", "whatsapp"), 1))
        );
    }

    #[tokio::test]
    async fn a_number_that_proxy_chose_is_the_sender() {
        let effects = Effects {
            customer_proxy_identifier: Some("+18335550190".to_owned()),
            ..Effects::default()
        };
        let more =
            "channel='sms'\nstrategy='task_on_reply'\napi='proxy'\nproxy={customer_proxy='pool'}";
        let found = sending(more, Some("Hi"), &effects);
        assert_eq!(found, Some((lane("+18335550190", "toll_free"), 1)));
    }
}
