//! The state of a message, how it ended included, as screens and JSON show it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::message::{
    DeadReason, Effects, Failure, OpenState, SkipReason, UnknownReason, WaitReason,
};

/// How a message ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "outcome")]
pub enum Ending {
    Done {
        /// Another ledger carried it out; this ledger made no effect.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        already_sent: bool,
    },
    Skipped {
        reason: SkipReason,
        detail: Option<String>,
    },
    Dead {
        reason: DeadReason,
        failure: Box<Failure>,
    },
    Unknown {
        reason: UnknownReason,
        /// What was sent, when, and the results of the look-ups.
        evidence: String,
    },
}

/// The state of a message. As JSON it has the words of the books: `"state": "scheduled", "reason": "pace"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Queued {
        /// Whether its delivery is on the queue.
        published: bool,
    },
    /// Scheduled, retrying or held, by the reason.
    Waits {
        reason: WaitReason,
        due: Timestamp,
    },
    InFlight {
        holder: String,
        until: Timestamp,
    },
    Over {
        ending: Ending,
        effects: Box<Effects>,
        at: Timestamp,
    },
    /// It has no record of a state: the books do not balance.
    Nowhere,
}

impl Serialize for Standing {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(untagged)]
        enum Details<'a> {
            Queued {
                published: bool,
            },
            Waits {
                reason: WaitReason,
                due: Timestamp,
            },
            InFlight {
                holder: &'a str,
                until: Timestamp,
            },
            Over {
                #[serde(flatten)]
                ending: &'a Ending,
                effects: &'a Effects,
                at: Timestamp,
            },
            Nowhere {},
        }
        #[derive(Serialize)]
        struct Shown<'a> {
            state: &'static str,
            #[serde(flatten)]
            details: Details<'a>,
        }
        let (state, details) = match self {
            Self::Queued { published } => {
                let published = *published;
                (OpenState::Queued.as_str(), Details::Queued { published })
            }
            Self::Waits { reason, due } => {
                let (reason, due) = (*reason, *due);
                (reason.state().as_str(), Details::Waits { reason, due })
            }
            Self::InFlight { holder, until } => {
                let until = *until;
                (
                    OpenState::InFlight.as_str(),
                    Details::InFlight { holder, until },
                )
            }
            Self::Over {
                ending,
                effects,
                at,
            } => {
                let at = *at;
                (
                    "over",
                    Details::Over {
                        ending,
                        effects,
                        at,
                    },
                )
            }
            Self::Nowhere => ("nowhere", Details::Nowhere {}),
        };
        Shown { state, details }.serialize(serializer)
    }
}
