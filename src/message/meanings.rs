//! What the reasons of outcomes mean, in sentences for an operator.

use super::{DeadReason, SkipReason, UnknownReason, WaitReason};

impl DeadReason {
    /// What happened to the message, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Malformed => {
                "It is not a valid message: a field is missing, unknown or wrong, or it names another campaign."
            }
            Self::Oversized => "It is longer than the limit for messages.",
            Self::WrongVersion => "This version of flexcast cannot read its version.",
            Self::NoCampaign => "Its routing key was not the id of a campaign.",
            Self::InvalidAddress => {
                "The customer's address is not valid, or Twilio cannot reach it."
            }
            Self::UnknownAgent => "Flex has no Worker with the agent's name, or several.",
            Self::InvalidContent => "Twilio does not accept the text, the template or a variable.",
            Self::Misconfigured => "The settings of the account or of the campaign are wrong.",
            Self::Rejected => "Twilio refused it. The dead letter has Twilio's message.",
            Self::SetupFailed => "Twilio accepted the Interaction, and could not set it up.",
            Self::Exhausted => "A temporary error lasted until all attempts were used up.",
            Self::Stuck => {
                "An undo failed, and a resource is left at Twilio. A consumer tries the undo again."
            }
            Self::StoreRefused => "The database refuses to keep this message.",
            Self::Damaged => "The ledger's records of the message contradict each other.",
        }
    }
}

impl SkipReason {
    /// Why the message was not to be sent, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::OptedOut => "The customer has opted out of messages from this sender.",
            Self::Cancelled => "The campaign was cancelled before the message began.",
            Self::Expired => "The time until which the message could be sent has passed.",
            Self::CustomerBusy => {
                "The customer was in another conversation, and flexcast never writes into one that is not its own."
            }
            Self::AgentUnavailable => {
                "The agent was not available, and the campaign skips such messages (when_unavailable)."
            }
        }
    }
}

impl WaitReason {
    /// What the message waits for, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotBefore => "The message waits for the time of its not_before.",
            Self::Pace => {
                "The message waits for its turn in the pace of the campaign or of its agent."
            }
            Self::Retry => "The message is tried again after a temporary error.",
            Self::CustomerBusy => {
                "The message waits until the customer's other conversation is closed."
            }
            Self::AgentUnavailable => {
                "The message waits until its agent is online and has a free place for a task."
            }
            Self::Paused => "An operator has paused its sender or its agent.",
        }
    }
}

impl UnknownReason {
    /// Why the outcome is unknown, in one sentence.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::NotFound => {
                "The request was sent to Twilio, the answer was lost, and Twilio's lists show no result of it."
            }
            Self::NotVisible => {
                "The request was sent to Twilio, the answer was lost, and Twilio could not show a result of it."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_explained_in_one_sentence_of_its_own() {
        let dead = DeadReason::ALL.iter().map(|reason| reason.meaning());
        let unknown = UnknownReason::ALL.iter().map(|reason| reason.meaning());
        let skipped = SkipReason::ALL.iter().map(|reason| reason.meaning());
        let waits = WaitReason::ALL.iter().map(|reason| reason.meaning());
        let over = dead.chain(unknown).chain(skipped);
        let mut all: Vec<_> = over.chain(waits).collect();
        for meaning in &all {
            assert!(meaning.ends_with('.'), "{meaning}");
            assert!(meaning.chars().count() <= 120, "{meaning}");
        }
        let number = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), number);
    }
}
