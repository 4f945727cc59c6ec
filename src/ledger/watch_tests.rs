//! Tests of the watch: when a store counts as lost, and when as back.

use jiff::Timestamp;

use super::*;
use crate::ledger::{LedgerError, Manifest};
use crate::message::CampaignId;

#[tokio::test]
async fn a_store_that_is_away_is_lost_until_it_takes_a_write_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (here, away) = (folder.path().join("here"), folder.path().join("away"));
    std::fs::create_dir(&here).expect("made");
    let file = Ledger::open(&here.join("ledger.db")).expect("a new ledger");
    let ledger = file;
    let campaign = CampaignId::parse("spring").expect("an id");
    let manifest = Manifest::of_file("a.csv");
    let unknown = ledger.begin_import(&campaign, &manifest, None, Timestamp::UNIX_EPOCH);
    let unknown = unknown.await.expect_err("it was never applied");
    assert!(matches!(unknown, LedgerError::NoCampaign(_)), "{unknown:?}");
    ledger.back().await;
    assert!(!ledger.is_lost() && ledger.why_not_ready().await.is_none());

    std::fs::rename(&here, &away).expect("moved");
    let (mut lost, mut again) = (Box::pin(ledger.lost()), Box::pin(ledger.lost()));
    assert!(futures::poll!(&mut lost).is_pending());
    let refused = ledger.campaigns().await.expect_err("nothing to look into");
    assert!(refused.is_stores(), "{refused:?}");
    lost.await;
    assert_eq!(
        ledger.loss().map(|loss| loss.why),
        Some(refused.to_string().into())
    );
    assert!(ledger.why_not_ready().await.is_some());
    assert!(
        !ledger.try_again().await,
        "it is written and cannot be read"
    );

    std::fs::rename(&away, &here).expect("moved back");
    assert!(ledger.is_lost(), "nobody has asked yet");
    let mut back = Box::pin(ledger.back());
    assert!(futures::poll!(&mut back).is_pending());
    assert!(ledger.try_again().await);
    back.await;
    assert_eq!(ledger.loss(), None);
    // A task that waits for a loss and is not polled during it misses the loss.
    assert!(futures::poll!(&mut again).is_pending());
}
