//! A pace that is changed in the middle of a campaign whose sender binds.

use super::*;

#[tokio::test(start_paused = true)]
async fn ten_changes_of_the_pace_never_leave_the_sender_idle_for_two_of_its_periods() {
    let stage = stage("pace = { campaign = '5/s' }").await;
    stage.accept(600).await;
    working(&stage, async {
        tokio::time::sleep(MINUTE).await;
        for change in 0..10 {
            let paces = ["4/s", "6/s", "none", "3/s"];
            redefine(&stage, "spring", at_pace(paces[change % 4])).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        tokio::time::sleep(2 * MINUTE).await;
    })
    .await;
    let gap = longest_gap(&texts(&stage), stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
}

#[tokio::test(start_paused = true)]
async fn a_pace_that_was_slow_for_a_while_leaves_nothing_behind() {
    let stage = stage("pace = { campaign = '5/s' }").await;
    stage.accept(400).await;
    let raised = working(&stage, async {
        tokio::time::sleep(MINUTE).await;
        redefine(&stage, "spring", at_pace("2/min")).await;
        tokio::time::sleep(3 * MINUTE).await;
        redefine(&stage, "spring", at_pace("5/s")).await;
        let raised = stage.clock.now();
        tokio::time::sleep(2 * MINUTE).await;
        raised
    })
    .await;
    let mut texts = texts(&stage);
    texts.retain(|text| text.time > raised);
    let gap = longest_gap(&texts, stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
    let first = Duration::try_from(texts[0].time.duration_since(raised)).expect("later");
    assert!(first < 2 * PERIOD, "the first after {first:?}");
}

#[tokio::test(start_paused = true)]
async fn another_weight_takes_effect_at_once_and_the_sender_goes_on() {
    let mut stage = stage("").await;
    stage.accept(400).await;
    stage
        .apply(
            "autumn",
            &format!("sender = '{}'", crate::saga::stage::SENDER),
        )
        .await;
    stage
        .accept_all(messages(&stage, 5_000..5_400, "alice"))
        .await;
    let changed = working(&stage, async {
        tokio::time::sleep(2 * MINUTE).await;
        redefine(&stage, "autumn", |campaign| {
            campaign.pace.weight = std::num::NonZeroU32::new(3).expect("not zero");
        })
        .await;
        let changed = stage.clock.now();
        tokio::time::sleep(3 * MINUTE).await;
        changed
    })
    .await;
    let texts = texts(&stage);
    let gap = longest_gap(&texts, stage.clock.now());
    assert!(gap < 2 * PERIOD, "{gap:?} without a text");
    let from = changed + MINUTE / 2;
    let autumn = counted(&texts, from, 2 * MINUTE, shares::is_autumns);
    assert!((85..=95).contains(&autumn), "{autumn} of 120");
}
