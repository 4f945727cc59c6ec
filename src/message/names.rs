//! The closed lists of values that a campaign chooses from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a message is processed, named after the time at which the agent's task is created.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The task is created at once, and the agent writes to the customer (strategy 1 of Twilio's page).
    TaskNow,
    /// The customer gets a message, and the task is created when the customer answers (strategy 2).
    TaskOnReply,
}

/// Which of Twilio's two generations of Flex messaging a campaign uses.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Api {
    /// Flex Conversations: Conversations and Interactions.
    #[default]
    Conversations,
    /// Flex Channels, Programmable Chat and Proxy: the design of Twilio's page on outbound messages.
    Proxy,
}

/// The channel to the customer: sms, whatsapp, facebook or custom (Twilio's page on outbound messages).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Sms,
    Whatsapp,
    Facebook,
    /// The operator's own channel: the address is a free identity in chat.
    Custom,
}

macro_rules! closed_list {
    ($name:ident { $($variant:ident => $text:literal),+ $(,)? }) => {
        impl $name {
            /// Every value, in a fixed order: for tables, metrics and tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word in configuration, metrics, logs and documents.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use closed_list;

closed_list!(Strategy { TaskNow => "task_now", TaskOnReply => "task_on_reply" });
closed_list!(Api { Conversations => "conversations", Proxy => "proxy" });
closed_list!(Channel {
    Sms => "sms",
    Whatsapp => "whatsapp",
    Facebook => "facebook",
    Custom => "custom",
});
