//! What keeps this consumer from starting messages: its latest errors, until the same thing succeeds.
//!
//! In: errors that are tried again, and successes. Out: a sentence for each error that still stands. A run that ends
//! because nothing moves names them.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::message::CampaignId;

/// What is tried again and again until it succeeds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hindered {
    /// The marks of this process at the Twilio account are read and written.
    Marks,
    /// A campaign is claimed at the Twilio account, and its queue is consumed.
    Campaign(CampaignId),
}

/// The errors that still stand.
#[derive(Debug, Default)]
pub(crate) struct Hindrances(Mutex<BTreeMap<Hindered, String>>);

impl Hindrances {
    /// Records that something failed and is tried again.
    pub(crate) fn failed(&self, what: Hindered, error: &impl Display) {
        self.lock().insert(what, error.to_string());
    }

    /// Records that something succeeded.
    pub(crate) fn succeeded(&self, what: &Hindered) {
        self.lock().remove(what);
    }

    /// A sentence for each error that still stands, without a full stop.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let known = self.lock();
        let sentence = |(what, error): (&Hindered, &String)| match what {
            Hindered::Marks => format!(
                "no message may start before this ledger is marked at the Twilio account (docs/ownership.md): {error}"
            ),
            Hindered::Campaign(id) => format!("campaign {id} cannot be consumed: {error}"),
        };
        known.iter().map(sentence).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Hindered, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
