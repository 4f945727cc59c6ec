//! Dead letters: dead messages and refused deliveries, listed and counted; ids that are similar to a wrong one.

use flexcast::ledger::{Ending, Ledger, MessageKey};
use flexcast::message::{CampaignId, DeadReason, Failure, FailureClass, MessageId, StepName};

use super::fixture::{apply_spring, at, dead, ended, key, lease, message, refuse, settle, spring};

/// The ending of a message that Twilio refused at this step, with this code.
fn failed(reason: DeadReason, step: StepName, code: u32, detail: &str) -> Ending {
    let failure = Failure::new(FailureClass::Permanent(reason), detail).at(step);
    let code = Some(code);
    Ending::Dead {
        reason,
        failure: Box::new(Failure { code, ..failure }),
    }
}

pub(super) async fn letters_are_listed_latest_first_with_the_refused_ones(ledger: &Ledger) {
    apply_spring(ledger).await;
    for (n, seconds) in [(1, 30), (2, 10)] {
        let lease = lease(ledger, &message(n), at(0)).await;
        let settlement = ended(dead(DeadReason::Rejected));
        settle(ledger, &lease, &settlement, at(seconds)).await;
    }
    let autumn = CampaignId::parse("autumn").expect("an id");
    refuse(ledger, &autumn, DeadReason::Malformed, 20).await;
    refuse(ledger, &spring(), DeadReason::Oversized, 15).await;

    let rows = ledger.dead(None, 9).await.expect("it answers");
    let times: Vec<_> = rows.iter().map(|row| row.at).collect();
    assert_eq!(times, [30, 20, 15, 10].map(at));
    assert_eq!(rows[3].id, Some(key(2).id));
    assert_eq!(rows[3].customer.as_deref(), Some("+1******0002"));
    assert_eq!(
        (rows[3].attempts, rows[3].reason),
        (1, DeadReason::Rejected)
    );
    assert_eq!((&rows[1].campaign, &rows[1].id), (&autumn, &None));
    let malformed = FailureClass::Permanent(DeadReason::Malformed);
    assert_eq!(rows[1].failure.class, malformed);
    assert_eq!(rows[1].failure.detail, "EOF while parsing");

    let spring_alone = ledger.dead(Some(&spring()), 9).await.expect("it answers");
    let expected = [rows[0].clone(), rows[2].clone(), rows[3].clone()];
    assert_eq!(spring_alone, expected);
    assert_eq!(ledger.dead(None, 2).await.expect("it answers"), rows[..2]);
}

pub(super) async fn letters_are_counted_by_reason_step_and_code(ledger: &Ledger) {
    use DeadReason::{InvalidAddress, Malformed, Rejected};
    apply_spring(ledger).await;
    let counts = ledger.dead_counts(None).await.expect("it answers");
    assert_eq!(counts, []);
    let (first, second) = (StepName::ConversationMessage, StepName::Conversation);
    let endings = [
        failed(InvalidAddress, first, 21_211, "no such number"),
        failed(InvalidAddress, first, 21_614, "a landline"),
        failed(InvalidAddress, first, 21_211, "no such number"),
        failed(Rejected, second, 20_001, "wrong"),
        Ending::Dead {
            reason: Rejected,
            failure: Box::new(Failure::new(FailureClass::Permanent(Rejected), "no reply")),
        },
        failed(InvalidAddress, first, 21_211, "no such number"),
    ];
    for (n, ending) in (1..).zip(endings) {
        let lease = lease(ledger, &message(n), at(0)).await;
        settle(ledger, &lease, &ended(ending), at(i64::from(n))).await;
    }
    for seconds in [7, 8] {
        refuse(ledger, &spring(), Malformed, seconds).await;
    }
    let autumn = CampaignId::parse("autumn").expect("an id");
    refuse(ledger, &autumn, Malformed, 9).await;
    let counts = ledger.dead_counts(Some(&spring())).await;
    let counts = counts.expect("it answers");
    let found: Vec<_> = counts
        .iter()
        .map(|it| (it.letters, it.reason, it.step, it.code, it.refused))
        .collect();
    let expected = [
        (3, InvalidAddress, Some(first), Some(21_211), false),
        (2, Malformed, None, None, true),
        // Of equal numbers, the latest first.
        (1, Rejected, None, None, false),
        (1, Rejected, Some(second), Some(20_001), false),
        (1, InvalidAddress, Some(first), Some(21_614), false),
    ];
    assert_eq!(found, expected);
    assert_eq!(counts[0].example.id, Some(key(6).id));
    assert_eq!(
        (&counts[1].example.id, counts[1].example.at),
        (&None, at(8))
    );
    let all = ledger.dead_counts(None).await.expect("it answers");
    let letters: u64 = all.iter().map(|count| count.letters).sum();
    assert_eq!((letters, all[1].letters), (9, 3));
}

/// PostgreSQL refuses U+0000 in a text, also when it reads another field of the same JSON.
pub(super) async fn a_detail_that_a_database_cannot_read_is_counted(ledger: &Ledger) {
    apply_spring(ledger).await;
    let step = StepName::Conversation;
    for (n, detail) in (1..).zip([
        "a \0 in it",
        r"a \u0000 as it is written",
        "quotes \" and \\",
    ]) {
        let lease = lease(ledger, &message(n), at(0)).await;
        let ending = failed(DeadReason::Rejected, step, 20_001, detail);
        settle(ledger, &lease, &ended(ending), at(1)).await;
    }
    let counts = ledger.dead_counts(None).await.expect("it answers");
    let found: Vec<_> = counts.iter().map(|it| (it.letters, it.code)).collect();
    assert_eq!(found, [(3, Some(20_001))]);
}

pub(super) async fn ids_beside_one_are_found(ledger: &Ledger) {
    apply_spring(ledger).await;
    for n in [1, 2, 3, 5, 6] {
        lease(ledger, &message(n), at(0)).await;
    }
    let wanted = |id: &str| MessageKey {
        campaign: spring(),
        id: MessageId::parse(id).expect("an id"),
    };
    let beside = async |id: &str, limit| {
        let found = ledger.ids_beside(&wanted(id), limit).await;
        let mut found: Vec<_> = found.expect("it answers");
        found.sort_unstable();
        found
    };
    let ids = |of: &[u32]| of.iter().map(|n| key(*n).id).collect::<Vec<_>>();
    assert_eq!(beside("crm-4", 1).await, ids(&[3, 5]));
    assert_eq!(beside("crm-4", 9).await, ids(&[1, 2, 3, 5, 6]));
    assert_eq!(beside("crm-1", 9).await, ids(&[2, 3, 5, 6]));
    let mut elsewhere = wanted("crm-4");
    elsewhere.campaign = CampaignId::parse("autumn").expect("an id");
    let found = ledger.ids_beside(&elsewhere, 9).await;
    assert_eq!(found.expect("it answers"), []);
}
