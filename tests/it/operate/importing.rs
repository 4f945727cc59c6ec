//! A file's way into a campaign: previewed with a forecast, refused by its rules, imported.

use std::io::Write as _;
use std::time::Duration;

use flexcast::campaign::Campaign;
use flexcast::intake::{ContactsOptions, Input};
use flexcast::message::Channel;
use flexcast::operate::{
    AgentLookup, AgentQuery, AgentsAtTwilio, CheckCode, CheckState, FileRules, ImportRequest,
    OperateError, PreviewAssumptions, PreviewLedger, PreviewRequest, Rates, RejectsMax, TrialError,
    TrialRequest, check_file, definition, preview, trial_id, trial_message,
};
use flexcast::pacing::{Margin, Senders};
use jiff::tz::TimeZone;

use super::{Desk, spring, spring_file};

/// An account in which every second agent works.
pub(super) struct Account;

#[async_trait::async_trait]
impl AgentLookup for Account {
    async fn look_up(&self, _campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        let every_second = |from| {
            query
                .names
                .iter()
                .skip(from)
                .step_by(2)
                .map(|&name| name.to_owned())
        };
        AgentsAtTwilio {
            found: every_second(0).collect(),
            unknown: every_second(1).collect(),
            ..AgentsAtTwilio::default()
        }
    }
}

pub(super) fn contacts(rows: &str) -> (tempfile::NamedTempFile, Input) {
    let mut file = tempfile::Builder::new();
    let mut file = file.suffix(".csv").tempfile().expect("a file");
    write!(file, "phone,name,agent\n{rows}").expect("written");
    let input = Input::open(file.path(), &ContactsOptions::new(Channel::Sms));
    (file, input.expect("a file of contacts"))
}

pub(super) fn request<'a>(
    campaign: &'a Campaign,
    input: &Input,
    rejects: RejectsMax,
) -> PreviewRequest<'a> {
    PreviewRequest {
        campaign,
        input: input.again().expect("it is there"),
        rules: FileRules {
            rejects,
            repeated_ids: false,
        },
        recorded: PreviewLedger::Missing,
        rates: Rates {
            senders: Senders::default(),
            margin: Margin::NONE,
        },
        agents_read_every: Duration::from_secs(10),
        assumptions: PreviewAssumptions::default(),
        now: "2026-11-28T23:23:00Z".parse().expect("a time"),
        zone: TimeZone::UTC,
    }
}

const ROWS: &str =
    "+12025550101,Clark,alice\n+12025550102,Lois,bob\n+12025550103,Jimmy,alice\nnobody,Perry,bob\n";

#[tokio::test]
async fn a_preview_has_the_counts_the_agents_and_a_forecast() {
    let mut campaign = spring_file();
    campaign.pace.campaign = "1/min".parse().ok();
    let (_file, input) = contacts(ROWS);
    let shown = preview(request(&campaign, &input, RejectsMax::Any), &Account).await;
    let shown = shown.expect("a preview");
    assert!(shown.preview.has_usable_rows());
    assert_eq!((shown.preview.acceptable, shown.preview.rows), (3, 4));
    assert_eq!(shown.agents_at_twilio.unknown, ["bob"]);
    assert_eq!(shown.senders_used, ["+12025550100"]);
    let takes = shown.forecast.binding().map(|bound| bound.takes);
    // The first message goes at once.
    assert_eq!(takes, Some(Duration::from_secs(120)));
    let json = serde_json::to_value(&shown).expect("JSON");
    assert_eq!(json["acceptable"], 3);
    assert_eq!(json["agents_at_twilio"]["found"][0], "alice");
    assert_eq!(json["forecast"]["ends_at"], "2026-11-28T23:25:00Z");
    assert_eq!(json["forecast"]["limits"][0]["kind"], "campaign_pace");
    assert_eq!(json["verdict"], "warn");
}

#[tokio::test]
async fn a_file_is_refused_by_its_rules_before_anybody_is_asked() {
    let campaign = spring_file();
    let (_file, input) = contacts(ROWS);
    let table = [
        (RejectsMax::Any, true),
        (RejectsMax::Rows(1), true),
        (RejectsMax::Percent(25.0), true),
        (RejectsMax::Percent(24.0), false),
        (RejectsMax::Rows(0), false),
    ];
    for (rejects, is_taken) in table {
        let request = request(&campaign, &input, rejects);
        let rules = request.rules;
        let checked = check_file(&rules, &campaign, &input);
        assert_eq!(checked.is_ok(), is_taken, "{rejects:?}: {checked:?}");
        // The check-list shows such a file all the same.
        let shown = preview(request, &Account).await.expect("a preview");
        let stops: Vec<_> = shown.stops().map(|item| item.code).collect();
        let expected: &[_] = if is_taken {
            &[]
        } else {
            &[CheckCode::Rejected]
        };
        assert_eq!(stops, expected, "{rejects:?}");
        assert_eq!(shown.verdict == CheckState::Stop, !is_taken);
        // Nobody needs the agents of a file that is refused.
        assert_eq!(shown.agents_at_twilio.found.is_empty(), !is_taken);
        if let Err(error) = rules.check(&shown.preview) {
            let expected =
                "1 of 4 rows would be rejected (address_invalid 1); nothing was imported";
            assert!(error.to_string().ends_with(expected), "{error}");
        }
    }
}

#[tokio::test]
async fn an_import_counts_its_rows_and_is_refused_by_a_cancelled_campaign() {
    let desk = Desk::with_spring().await;
    let (read, operations) = (desk.read(), desk.operations());
    let import = async || {
        let record = read.campaign(&spring()).await.expect("it is applied");
        let campaign = definition(&record).expect("its definition");
        let (_file, input) = contacts(ROWS);
        let request = ImportRequest {
            record: &record,
            campaign: &campaign,
            input,
            rejects: None,
            again: false,
        };
        operations.import(request, &*desk.queue, &|_| {}).await
    };
    let imported = import().await.expect("it is imported");
    assert!(imported.has_usable_rows());
    assert_eq!((imported.accepted, imported.rejected), (3, 1));
    assert_eq!(read.open_messages(&spring()).await.ok(), Some(3));
    let stopping = operations.cancel(&spring(), None, &|_| {}).await;
    stopping.expect("it runs");
    let refused = import().await.expect_err("it is cancelled");
    assert!(
        matches!(refused, OperateError::TakesNothing(_)),
        "{refused:?}"
    );
}

#[test]
fn a_trial_writes_one_message_in_a_campaign_of_its_own() {
    let campaign = spring_file();
    let request = TrialRequest {
        to: "+12025550173".to_owned(),
        name: Some("Clark".to_owned()),
        ..TrialRequest::default()
    };
    let message = trial_message(&campaign, request.clone()).expect("a message");
    assert_eq!(message.body.as_deref(), Some("Hello Clark"));
    assert!(message.id.is_some());
    let nameless = TrialRequest {
        name: None,
        ..request.clone()
    };
    let missing = trial_message(&campaign, nameless);
    assert!(
        matches!(missing, Err(TrialError::Missing(_))),
        "{missing:?}"
    );
    let nowhere = TrialRequest {
        to: "Clark".to_owned(),
        ..request
    };
    let wrong = trial_message(&campaign, nowhere);
    assert!(matches!(wrong, Err(TrialError::Address(_))), "{wrong:?}");
    let id = trial_id(&spring(), "2026-11-29T10").expect("an id");
    assert_eq!(id.as_str(), "spring-try-2026-11-29t10");
}
