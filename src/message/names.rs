//! The closed lists a campaign chooses from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a message is carried out, named after when the agent's task is created.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// The agent gets the task at once and writes to the customer (strategy 1 of Twilio's page).
    TaskNow,
    /// The customer gets a message; the task is created when the customer answers (strategy 2).
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

/// The way to the customer. Twilio's page: sms, whatsapp, facebook or custom.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    Sms,
    Whatsapp,
    Facebook,
    /// A channel of the operator's own: the address is a free identity in chat.
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
