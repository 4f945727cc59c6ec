//! What the reasons of outcomes mean, in sentences for an operator.

use super::{DeadReason, UnknownReason};

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
        let mut all: Vec<_> = dead.chain(unknown).collect();
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
