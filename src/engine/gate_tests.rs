//! Tests of the gate: which of a message's calls it refuses.

use std::path::Path;

use super::*;
use crate::ledger::{MessageKey, StoreRun};
use crate::message::{CampaignId, MessageId};
use crate::pacing::PacingSettings;

/// A ledger in a file of this folder.
fn ledger_in(folder: &Path) -> Arc<Ledger> {
    let file = Ledger::open(&folder.join("ledger.db")).expect("a new ledger");
    Arc::new(file)
}

/// The gate of a message whose lease was given in this run of the ledger's store, and whose consumer may call.
fn gate(ledger: &Arc<Ledger>, run: StoreRun) -> MessageGate {
    let clock = Clock::system();
    let spans = Spans {
        call: Duration::from_secs(20),
        lease: DEFAULT_LEASE,
    };
    let lease = Lease {
        key: MessageKey {
            campaign: CampaignId::parse("spring").expect("an id"),
            id: MessageId::parse("crm-1").expect("an id"),
        },
        number: 1,
        until: clock.now() + DEFAULT_LEASE,
        run,
    };
    let gate = MessageGate::new(
        Pacer::new(PacingSettings::default(), clock),
        Arc::clone(ledger),
        clock,
        lease,
        Arc::default(),
        spans,
        Metrics::new(),
    );
    gate.right.renew(clock.instant() + DEFAULT_LEASE);
    gate
}

#[tokio::test]
async fn while_the_ledger_is_lost_no_call_of_a_message_leaves() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, away) = (folder.path().join("here"), folder.path().join("away"));
    std::fs::create_dir(&here).expect("made");
    let ledger = ledger_in(&here);
    let gate = gate(&ledger, StoreRun::default());
    let passes = async || gate.pass(Operation::CreateConversation).await.is_ok();
    assert!(passes().await);
    // A read fails as on a failed disk.
    std::fs::rename(&here, &away).expect("moved");
    let looked = ledger.campaigns().await;
    assert!(looked.is_err() && !passes().await);
    std::fs::rename(&away, &here).expect("moved back");
    assert!(ledger.try_again().await && passes().await);
}

#[tokio::test]
async fn a_lease_that_another_run_of_the_store_gave_is_no_right_to_call() {
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = ledger_in(folder.path());
    for (run, may) in [(StoreRun::default(), true), (StoreRun(1), false)] {
        let gate = gate(&ledger, run);
        let pass = gate.pass(Operation::CreateConversation).await.map(drop);
        assert_eq!(pass.is_ok(), may, "{pass:?}");
        let look = gate.last_look(Operation::CreateConversation);
        assert_eq!(look.expect("it changes something")(), may);
    }
}
