//! Lists fit 80 columns whatever they list, say what they leave out, and name the next command.
//!
//! The ledger is filled with long names and long sentences, without a consumer.

use std::fs;

use flexcast::clock::Clock;
use flexcast::ledger::{
    CampaignRecord, Ending, Import, Ledger, Manifest, RejectedRow, Settlement, Stray, Taken,
};
use flexcast::message::{
    CampaignId, DeadReason, Failure, FailureClass, Message, RejectReason, StepName, UnknownReason,
};
use flexcast::shown_lanes::{ShownLane, ShownLanes};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::flexcast::{Place, Ran};

const CAMPAIGNS: usize = 25;
const DEAD: u32 = 30;
const REFUSED: u32 = 3;
const UNKNOWN: u32 = 22;
const IMPORTS: usize = 7;
const LANES: usize = 40;

/// The longest sentence that a list shows, with the longest word.
const SENTENCE: &str = "the sentence is long, and in it is a_word_that_is_longer_than_one_line_because_somebody_has_written_\
                        it_without_a_blank, and it goes on";

/// A campaign's id, as long as ids may be.
fn campaign(n: usize) -> CampaignId {
    let id = format!("{n:02}-renewals-{}", "x".repeat(108));
    CampaignId::parse(&id).expect("an id")
}

/// A message's id, as long as ids may be.
fn id(what: &str, n: u32) -> String {
    format!("{what}-{n:02}-{}", "y".repeat(120 - what.len() - 4))
}

fn message(id: &str, n: u32) -> Message {
    let json = json!({
        "campaign": campaign(0), "id": id,
        "customer": {"address": format!("+1202{n:07}")},
    });
    serde_json::from_value(json).expect("a message")
}

fn dead(n: u32) -> Ending {
    // Two reasons: two of three have the first one.
    let (reason, code) = match n % 3 {
        0 => (DeadReason::Exhausted, 30_008),
        _ => (DeadReason::InvalidAddress, 21_211),
    };
    let failure = Failure::new(FailureClass::Permanent(reason), SENTENCE);
    Ending::Dead {
        reason,
        failure: Box::new(Failure {
            code: Some(code),
            status: Some(400),
            ..failure.at(StepName::ConversationParticipant)
        }),
    }
}

fn unknown() -> Ending {
    Ending::Unknown {
        reason: UnknownReason::NotVisible,
        evidence: SENTENCE.to_owned(),
    }
}

/// Ends a message as a consumer does.
async fn end(ledger: &Ledger, message: &Message, ending: Ending, now: Timestamp) {
    let lease_for = std::time::Duration::from_secs(60);
    let taken = ledger.take(message, "consumer", now, lease_for).await;
    let Ok(Taken::Leased(taken)) = taken else {
        panic!("{taken:?}");
    };
    let settlement = Settlement::Ended {
        ending,
        effects: Box::default(),
    };
    let settling = ledger.settle(&taken.lease, &[], &settlement, now);
    settling.await.expect("the lease is good");
}

fn lane(n: usize) -> ShownLane {
    let lane = json!({
        "limit": format!("agent {} in {}", "z".repeat(40), campaign(n)),
        "quota": "100/min", "used_last_minute": n, "waiting": 123_456,
        "resting_ms": 3_600_000, "unserved_ms": 3_600_000, "places": [100, 100],
    });
    serde_json::from_value(lane).expect("a lane")
}

async fn fill(ledger: &Ledger) {
    let now = Clock::system().now();
    for n in 0..CAMPAIGNS {
        let record = CampaignRecord::running(campaign(n), json!({}), now);
        ledger
            .save_campaign(&record, false, None)
            .await
            .expect("saved");
    }
    for n in 0..DEAD {
        end(ledger, &message(&id("dead", n), n), dead(n), now).await;
    }
    for n in 0..UNKNOWN {
        let message = message(&id("unknown", n), 1_000 + n);
        end(ledger, &message, unknown(), now).await;
    }
    for _ in 0..REFUSED {
        let stray = Stray {
            campaign: campaign(0),
            reason: DeadReason::Malformed,
            detail: SENTENCE.to_owned(),
            body: "{".to_owned(),
        };
        ledger.record_stray(&stray, now).await.expect("recorded");
    }
    for n in 0..IMPORTS {
        let manifest = Manifest::of_file(&format!("{}/customers-{n}.csv", "folder/".repeat(20)));
        let begun = ledger
            .begin_import(&campaign(0), &manifest, None, now)
            .await;
        let import = Import {
            number: begun.expect("begun"),
            rows: 1,
            rejected: vec![RejectedRow {
                line: 2,
                id: None,
                column: None,
                reason: RejectReason::AddressInvalid,
                detail: "no".to_owned(),
            }],
            ..Import::default()
        };
        let first = campaign(0);
        let accepting = ledger.accept(&first, &[], Some(&import), now, now);
        accepting.await.expect("it is taken");
    }
    let shown = ShownLanes {
        lanes: (0..LANES).map(lane).collect(),
        ..ShownLanes::default()
    };
    // It is shown for as long as this test takes.
    let later = now + std::time::Duration::from_secs(3_600);
    let shown = serde_json::to_value(shown).expect("JSON");
    let showing = ledger.show_lanes("consumer", Some(&shown), later);
    showing.await.expect("shown");
}

async fn filled() -> Place {
    let place = Place::new();
    let folder = place.path(".flexcast");
    fs::create_dir(&folder).expect("a folder");
    let ledger = Ledger::open(&folder.join("ledger.db")).expect("a ledger");
    fill(&ledger).await;
    place
}

/// Whether every line fits; on a screen nothing is wider than its text.
#[track_caller]
fn fits(ran: &Ran) {
    for line in ran.out.lines() {
        let columns = line.chars().count();
        // A command is to be copied, and is one line.
        let fits = columns <= 80 || line.starts_with("  flexcast ");
        assert!(fits, "{columns} columns: {line}\n{}", ran.out);
        assert_eq!(line.trim_end(), line, "blanks at the end of a line");
    }
}

/// Standard output without blanks and line breaks: a long name may continue on the next line.
fn joined(ran: &Ran) -> String {
    ran.out.split_whitespace().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_list_is_wider_than_80_columns_and_no_name_is_cut() {
    let place = filled().await;
    let first = campaign(0);
    let first = first.as_str();
    let commands: [&[&str]; 8] = [
        &["campaign", "list"],
        &["dead", "list"],
        &["dead", "list", first],
        &["dead", "list", "--limit", "0"],
        &["unknown", "list"],
        &["unknown", "list", first],
        &["status"],
        &["status", first],
    ];
    for command in commands {
        fits(&place.run(command).ends_with(0));
    }
    let all = place
        .run(&["campaign", "list", "--limit", "99"])
        .ends_with(0);
    fits(&all);
    for n in 0..CAMPAIGNS {
        let name = campaign(n);
        assert!(joined(&all).contains(name.as_str()), "{}", all.out);
    }
    let all = place.run(&["dead", "list", "--limit", "99"]).ends_with(0);
    for n in 0..DEAD {
        let name = format!("{first}/{}", id("dead", n));
        assert!(joined(&all).contains(&name), "{}", all.out);
    }
    let all = place
        .run(&["unknown", "list", "--limit", "99"])
        .ends_with(0);
    for n in 0..UNKNOWN {
        assert!(joined(&all).contains(&id("unknown", n)), "{}", all.out);
    }
    let shown = place.run(&["status", first]).ends_with(0);
    let last = format!("customers-{}.csv", IMPORTS - 1);
    assert!(joined(&shown).contains(&last), "{}", shown.out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_says_what_it_leaves_out_and_names_the_next_command() {
    let place = filled().await;
    let first = campaign(0);
    let letters = DEAD + REFUSED;
    let table: [(&[&str], &[&str]); 5] = [
        (
            &["campaign", "list", "--limit", "20"],
            &[
                "5 earlier campaigns are left out.",
                "flexcast campaign list --limit 25",
                "flexcast status CAMPAIGN",
            ],
        ),
        (
            &["dead", "list"],
            &[
                &format!("{letters} dead letters, by reason"),
                "13 older ones are left out.",
                "flexcast dead list --limit 33",
                "flexcast dead show",
                "flexcast campaign export CAMPAIGN --failed",
            ],
        ),
        (
            &["unknown", "list"],
            &[
                "22 messages whose outcome is unknown",
                "2 later ones are left out.",
                "flexcast unknown list --limit 22",
                "flexcast unknown settle",
            ],
        ),
        (
            &["status"],
            &[
                "5 earlier campaigns are left out.",
                "flexcast status --limit 25",
                "20 less busy limits are left out.",
            ],
        ),
        (
            &["status", first.as_str()],
            &[
                "refused 3 publishers' messages: malformed 3",
                "2 earlier imports are left out.",
                "flexcast dead list",
                "flexcast unknown list",
                "--failed",
            ],
        ),
    ];
    for (command, parts) in table {
        let ran = place.run(command).ends_with(0);
        for part in parts {
            let text = ran.words();
            assert!(
                text.contains(part),
                "{command:?} should say {part}: {}",
                ran.out
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_counted_by_reason_first_with_the_words_of_the_code() {
    let place = filled().await;
    let words = place
        .run(&["dead", "list", "--limit", "1"])
        .ends_with(0)
        .words();
    let parts = [
        "20 invalid_address at step conversation_participant, Twilio error 21211",
        "The customer's number is not valid.",
        "10 exhausted at step conversation_participant, Twilio error 30008",
        "all attempts were used up",
        "3 malformed, refused when it arrived from its publisher",
        "The latest one",
    ];
    let mut rest = words.as_str();
    for part in parts {
        let found = rest.split_once(part);
        rest = found.unwrap_or_else(|| panic!("{part} in {words}")).1;
    }
    // A list for a program is whole, or as long as it asks for.
    let all = place.run(&["dead", "list", "--json"]).ends_with(0).json();
    let count = |list: &Value| list.as_array().map(Vec::len);
    assert_eq!(count(&all), Some((DEAD + REFUSED) as usize));
    let two = ["dead", "list", "--json", "--limit", "2"];
    let two = place.run(&two).ends_with(0).json();
    assert_eq!((count(&two), &two[0]), (Some(2), &all[0]));
    let groups = ["dead", "list", "--json", "--groups"];
    let groups = place.run(&groups).ends_with(0).json();
    let letters = groups.as_array().expect("a list").iter();
    let letters: u64 = letters.filter_map(|group| group["letters"].as_u64()).sum();
    assert_eq!((count(&groups), letters), (Some(3), 33));
    let unknowns = place.run(&["unknown", "list", "--json"]).ends_with(0);
    assert_eq!(count(&unknowns.json()), Some(UNKNOWN as usize));
    let campaigns = place.run(&["campaign", "list", "--json"]).ends_with(0);
    assert_eq!(count(&campaigns.json()), Some(CAMPAIGNS));
    let first = &campaigns.json()[0];
    assert_eq!(
        (&first["dead"], &first["refused"]),
        (&json!(DEAD), &json!(REFUSED))
    );
    let limited = ["status", "--json", "--limit", "4"];
    let limited = place.run(&limited).ends_with(0).json();
    assert_eq!(limited.as_array().map(Vec::len), Some(4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_list_says_so() {
    let place = Place::new();
    let folder = place.path(".flexcast");
    fs::create_dir(&folder).expect("a folder");
    drop(Ledger::open(&folder.join("ledger.db")).expect("a ledger"));
    let table: [(&[&str], &str); 4] = [
        (&["campaign", "list"], "flexcast campaign apply FILE"),
        (&["status"], "flexcast campaign apply FILE"),
        (&["dead", "list"], "No dead letters"),
        (&["unknown", "list"], "No messages with an unknown outcome"),
    ];
    for (command, said) in table {
        let ran = place.run(command).ends_with(0);
        assert!(ran.out.contains(said), "{command:?}: {}", ran.out);
        fits(&ran);
    }
}
