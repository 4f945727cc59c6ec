//! The trap on the ledger: the world may stop around each call, and each may fail, before it
//! was done or after.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use flexcast::ledger::{Interceptor, LedgerCall, LedgerError, MadeCall, Result};
use flexcast::message::MessageId;

use super::trap::{Failing, Place, Trap};

/// At which call the store refuses a message's own content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PoisonAt {
    Taking,
    Recording,
    Settling,
}

/// The messages whose content the store refuses.
pub(crate) type Poison = Arc<BTreeMap<MessageId, PoisonAt>>;

/// What a consumer's ledger is intercepted by.
pub(crate) struct LedgerTrap {
    pub(crate) poison: Poison,
    pub(crate) trap: Arc<Trap>,
}

/// Calls that only operators make, and looks that no turn waits for.
const NO_RISK: [&str; 8] = [
    "consumers",
    "end_right",
    "imports",
    "in_place",
    "lost_at",
    "move_sender",
    "open_by_sender",
    "skip_unbegun",
];

#[async_trait]
impl Interceptor for LedgerTrap {
    async fn around(&self, call: LedgerCall<'_>, making: MadeCall<'_>) -> Result<()> {
        if NO_RISK.contains(&call.name) {
            return making.await;
        }
        self.poison(&call)?;
        let place = match call.name {
            "record" => Place::Journal,
            "renew_right" => Place::Rights,
            _ => Place::Ledger,
        };
        self.trap.risk(place, call.name, failed, making).await
    }
}

impl LedgerTrap {
    /// Whether the store refuses what is to be written of this message at this call.
    fn poison(&self, call: &LedgerCall<'_>) -> Result<()> {
        let at = match call.name {
            "take" => PoisonAt::Taking,
            "record" => PoisonAt::Recording,
            "settle" => PoisonAt::Settling,
            _ => return Ok(()),
        };
        let content = call.content_of.and_then(|id| self.poison.get(id));
        if content != Some(&at) {
            return Ok(());
        }
        self.trap.refused("poison 22P05");
        Err(LedgerError::Refused {
            code: "22P05".to_owned(),
            text: "unsupported Unicode escape sequence".to_owned(),
        })
    }
}

fn failed(failing: Failing, text: String) -> LedgerError {
    match failing {
        Failing::Away(_) => LedgerError::Unavailable(text),
        Failing::Refuses(code) => LedgerError::Refused {
            code: code.to_owned(),
            text: "refused".to_owned(),
        },
    }
}
