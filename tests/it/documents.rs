//! The documents keep to the program: tables, limits, metrics, variables, commands, examples.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

use flexcast::campaign::{self, Template};
use flexcast::intake::Warning;
use flexcast::message::{
    Address, Api, CampaignId, Channel, Customer, FailureClass, RejectReason, Strategy,
};
use flexcast::metrics::{BookState, Metrics};
use flexcast::pacing::limits::{CountedBy, PUBLISHED};
use flexcast::pacing::senders;
use flexcast::twilio::codes::{
    CODES, Conflict, ErrorCode, LIMIT_RULES, Limit, RETRY_RULES, RestSpan, TryAgain, retry,
};
use flexcast::twilio::{Answer, Operation};

use super::support::program::{flexcast, repository, succeed};

fn read(path: &str) -> String {
    let path = repository(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Fails with the whole table, to be pasted, when a document does not have it.
#[track_caller]
fn has_table(document: &str, table: &str) {
    let text = read(document);
    assert!(text.contains(table), "{document} should have:\n\n{table}");
}

#[test]
fn the_readme_has_the_table_of_all_sixteen_combinations() {
    let mut table =
        String::from("| channel | strategy | `proxy` | `conversations` |\n|---|---|---|---|\n");
    for channel in Channel::ALL {
        for strategy in Strategy::ALL {
            let [proxy, conversations] = [Api::Proxy, Api::Conversations]
                .map(|api| campaign::matrix(*channel, *strategy, api));
            let row = format!("| {channel} | `{strategy}` | {proxy} | {conversations} |");
            writeln!(table, "{row}").expect("a String takes everything");
        }
    }
    has_table("README.md", &table);
}

#[test]
fn the_limits_are_the_ones_in_force() {
    let head = "| operation | limit | counted by | where it comes from |\n|---|---|---|---|\n";
    let mut table = String::from(head);
    for row in PUBLISHED {
        let quota = row.quota.unwrap_or("none");
        let by = match row.by {
            CountedBy::Account => "account",
            CountedBy::Service => "service",
        };
        writeln!(
            table,
            "| `{}` | {quota} | {by} | {} |",
            row.operation, row.source
        )
        .expect("a String takes everything");
    }
    has_table("docs/limits.md", &table);
    let mut table = String::from("| sender | rate | where it comes from |\n|---|---|---|\n");
    for row in senders::PUBLISHED {
        let quota = row.quota.unwrap_or("none");
        writeln!(table, "| `{}` | {quota} | {} |", row.rate, row.source)
            .expect("a String takes everything");
    }
    has_table("docs/limits.md", &table);
}

/// A time, as the documents write it.
fn span(time: Duration) -> String {
    match (time.as_millis(), time.as_secs()) {
        (millis, 0) => format!("{millis} ms"),
        (_, seconds) if seconds % 60 == 0 => format!("{} min", seconds / 60),
        (_, seconds) => format!("{seconds} s"),
    }
}

fn resting(rest: RestSpan) -> String {
    let (first, longest) = (span(rest.first), span(rest.longest));
    format!(
        "as `Retry-After` says, {first} to {longest}; without it {first}, doubled each time in a row"
    )
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

#[test]
fn what_a_refusal_does_to_limits_is_in_the_document() {
    let head = "| reply | codes | what rests | for how long | costs an attempt | age counts | Twilio's words |\n|---|---|---|---|---|---|---|\n";
    let mut table = String::from(head);
    for rule in LIMIT_RULES {
        let of_limit = CODES.iter().filter(|row| row.limit == Some(rule.limit));
        let codes: Vec<String> = of_limit.map(|row| row.code.to_string()).collect();
        let codes = codes.join(", ");
        let retry = retry(FailureClass::Throttled, None, 0).expect("it is tried again");
        let rest = match (rule.rest, rule.otherwise) {
            (Some(rest), _) => resting(rest),
            (None, Some(_)) => {
                "[see below](#calls-at-once); where the reply is not believed, as any other 429"
                    .to_owned()
            }
            (None, None) => String::new(),
        };
        let (attempt, age) = (yes(retry.uses_attempt), yes(retry.ages));
        writeln!(
            table,
            "| {} | {codes} | {} | {rest} | {attempt} | {age} | {} |",
            rule.replies, rule.rests, rule.source
        )
        .expect("a String takes everything");
    }
    has_table("docs/limits.md", &table);
}

#[test]
fn what_another_try_costs_is_in_the_document() {
    let head = "| failure | costs an attempt | age counts | Twilio's words |\n|---|---|---|---|\n";
    let mut table = String::from(head);
    for rule in RETRY_RULES {
        let (attempt, age) = (yes(rule.uses_attempt), yes(rule.ages));
        let row = format!(
            "| {} | {attempt} | {age} | {} |",
            rule.failures, rule.source
        );
        writeln!(table, "{row}").expect("a String takes everything");
    }
    has_table("docs/errors.md", &table);
}

/// What follows a code for its message, in words.
fn follows(row: &ErrorCode) -> String {
    let again = match row.again {
        TryAgain::ByClass if row.class == FailureClass::Throttled => "tried again within seconds",
        TryAgain::ByClass => "tried again",
        TryAgain::Hourly => "tried again after an hour",
        TryAgain::HourlyWhenRepeated => "tried again, from the second time on after an hour",
        TryAgain::MidnightPacific => "tried again after the next midnight Pacific time",
    };
    let end = match row.class {
        FailureClass::Transient | FailureClass::Away => again.to_owned(),
        FailureClass::Throttled => format!("{again}, no attempt used"),
        FailureClass::Permanent(reason) => format!("dead letter: `{reason}`"),
        FailureClass::Skip(reason) => format!("skipped: `{reason}`"),
        FailureClass::Halt => {
            let cause = row.pauses.expect("a cause");
            format!("the campaign is paused: `{cause}`")
        }
    };
    let rests = match row.limit {
        None => "",
        Some(Limit::CallsAtOnce) => "; fewer calls are made at once",
        Some(Limit::Endpoint) => "; the operation rests",
        Some(Limit::SenderQueue) => "; the sender rests",
    };
    match row.conflict {
        None => format!("{end}{rests}"),
        Some(Conflict::NameTaken | Conflict::AlreadyThere) => {
            format!("what is there is adopted where it is ours; else {end}")
        }
        Some(Conflict::CustomerBusy) => {
            "adopted where it is ours; else the customer is busy (`when_open`)".to_owned()
        }
        Some(Conflict::Gone) => "the saga begins again under another name".to_owned(),
        Some(Conflict::Closed | Conflict::WrongState) => {
            format!("where a container of the message is closed, the saga begins again; else {end}")
        }
        Some(Conflict::Missing) => {
            format!(
                "an answer to a look-up; where a container of the message is gone, the saga begins again; else {end}"
            )
        }
    }
}

#[test]
fn the_error_codes_are_those_of_the_table() {
    let mut table = String::from(
        "| code | HTTP | what it means | what follows | what you do | where it comes from |\n|---|---|---|---|---|---|\n",
    );
    for row in CODES {
        let status = row.status.map(|status| status.to_string());
        let status = status.unwrap_or_default();
        let page = format!("docs/api/errors/{}", row.code);
        writeln!(
            table,
            "| {} | {status} | {} | {} | {} | {} |",
            row.code,
            row.meaning,
            follows(row),
            row.action(),
            row.source.unwrap_or(&page)
        )
        .expect("a String takes everything");
    }
    let begin = "<!-- begin: written by tests/it/documents.rs from src/twilio/codes/table.rs -->";
    has_table(
        "docs/errors.md",
        &format!("{begin}\n\n{table}\n<!-- end -->"),
    );
}

#[test]
fn every_metric_is_documented_with_its_labels() {
    let metrics = Metrics::new();
    // Those whose labels are not known in advance.
    let campaign = CampaignId::parse("spring").expect("an id");
    metrics.campaigns([(&campaign, |_: BookState| 1)]);
    metrics.broker_connections([("mq:5672", 1)]);
    metrics.twilio_request(Operation::FetchTask, Answer::Success, Duration::ZERO);
    let text = metrics.render();
    let mut table = String::from("| metric | type | labels | what it says |\n|---|---|---|---|\n");
    let ours = |line: &&str| line.starts_with("# HELP flexcast_");
    for line in text.lines().filter(ours) {
        let (name, help) = line["# HELP ".len()..]
            .split_once(' ')
            .expect("a help text");
        let kind = text.lines().find_map(|line| {
            let rest = line.strip_prefix("# TYPE ")?.strip_prefix(name)?;
            rest.strip_prefix(' ')
        });
        let labels = labels_of(&text, name);
        let kind = kind.expect("a type");
        writeln!(table, "| `{name}` | {kind} | {labels} | {help} |")
            .expect("a String takes everything");
    }
    has_table("docs/metrics.md", &table);
}

/// The labels of a metric's first series, as the document writes them.
fn labels_of(text: &str, name: &str) -> String {
    let series = text.lines().find(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) || rest.starts_with("_bucket{"))
    });
    let labels = series.and_then(|line| line.split_once('{')?.1.split_once('}'));
    let Some((labels, _)) = labels else {
        return String::new();
    };
    let names = labels.split(',').filter_map(|pair| pair.split_once('='));
    let names = names.map(|(label, _)| label).filter(|label| *label != "le");
    let names: Vec<_> = names.map(|label| format!("`{label}`")).collect();
    names.join(", ")
}

#[test]
fn the_readme_names_every_variable_key_and_exit_code() {
    let readme = read("README.md");
    let config = read("src/config.rs");
    let calls = config
        .split(['(', ' '])
        .filter_map(|word| word.strip_prefix('"'));
    let quoted = calls.filter_map(|rest| rest.split_once('"'));
    let variables = quoted.map(|(name, _)| name).filter(|name| {
        let is_ours = ["TWILIO_", "FLEXCAST_", "AMQP_", "DATABASE_"];
        is_ours.iter().any(|start| name.starts_with(start))
    });
    let mut count = 0;
    for name in variables.filter(|name| !name.contains(',') && !name.ends_with("_FILE")) {
        count += 1;
        assert!(readme.contains(&format!("`{name}`")), "README.md: {name}");
    }
    assert!(count >= 9, "variables are read in src/config/");
    let (_, work) = config
        .split_once("pub struct Work {")
        .expect("the keys of [work]");
    let (work, _) = work.split_once("\n}").expect("its end");
    for line in work
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub "))
    {
        let (key, _) = line.split_once(':').expect("a key and its type");
        assert!(
            readme.contains(&format!("`{key}`")),
            "README.md: work.{key}"
        );
    }
    let help = succeed(flexcast(&repository(".")).arg("--help"));
    let (_, codes) = help.split_once("Exit codes:\n").expect("exit codes");
    for line in codes.lines() {
        let code = line.split_whitespace().next().expect("a number");
        assert!(
            readme.contains(&format!("\n| {code} |")),
            "README.md: exit code {code}"
        );
    }
}

#[test]
fn every_reason_and_warning_of_a_row_is_documented() {
    let document = read("docs/contacts.md");
    let reasons = RejectReason::ALL.iter().map(|reason| reason.as_str());
    for word in reasons.chain(Warning::ALL.iter().map(|warning| warning.as_str())) {
        let is_there = document.contains(&format!("`{word}`"));
        assert!(is_there, "docs/contacts.md: {word}");
    }
}

#[test]
fn the_readme_names_every_command() {
    let readme = read("README.md");
    let help = succeed(flexcast(&repository(".")).arg("--help"));
    let (_, commands) = help.split_once("Commands:\n").expect("commands");
    for line in commands.lines().take_while(|line| !line.is_empty()) {
        let command = line.split_whitespace().next().expect("a name");
        let is_named = readme.contains(&format!("flexcast {command}"));
        assert!(
            is_named || command == "help",
            "README.md: flexcast {command}"
        );
    }
}

#[test]
fn every_key_of_a_campaign_is_in_the_readme() {
    let readme = read("README.md");
    let definition = read("src/campaign/mod.rs");
    let keys = definition
        .lines()
        .filter_map(|line| line.strip_prefix("    pub ")?.split_once(": "));
    let mut count = 0;
    for (key, _) in keys {
        count += 1;
        let is_named = readme.lines().any(|line| {
            let line = line.trim_start_matches("# ");
            [format!("{key} = "), format!("[{key}]")]
                .iter()
                .any(|start| line.starts_with(start))
        });
        assert!(is_named, "README.md: {key}");
    }
    assert!(count > 30, "{count} keys in src/campaign/mod.rs");
}

#[test]
fn every_example_loads_and_its_text_renders() {
    let examples = fs::read_dir(repository("examples")).expect("examples");
    let mut kinds = BTreeMap::new();
    for path in examples.map(|entry| entry.expect("an entry").path()) {
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let campaign = campaign::load(&path).unwrap_or_else(|error| panic!("{error}"));
        kinds.insert((campaign.api.as_str(), campaign.strategy.as_str()), path);
        let customer = Customer {
            address: Address::parse("+12025550173").expect("a number"),
            name: Some("Clark".to_owned()),
            time_zone: None,
            attributes: [("plan".to_owned(), "gold".into())].into(),
        };
        if let Some(body) = &campaign.body {
            let template = Template::parse(body).expect("a template");
            let text = template.render(&customer, Some("alice")).expect("a text");
            assert!(text.contains("Clark"), "{text}");
        }
    }
    assert_eq!(
        kinds.len(),
        4,
        "one of each strategy on each API: {kinds:?}"
    );
}

#[test]
fn the_campaign_file_of_the_readme_is_one() {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once("```toml\nid = \"spring-renewals\"")
        .expect("the campaign file's reference");
    let (text, _) = rest.split_once("```").expect("its end");
    let text = format!("id = \"spring-renewals\"{text}");
    campaign::parse("README.md", &text).unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn what_the_documents_point_to_is_there() {
    for document in [
        "README.md",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "docs/contacts.md",
        "docs/errors.md",
        "docs/publishers.md",
        "docs/limits.md",
        "docs/metrics.md",
        "docs/postgresql.md",
        "docs/tls.md",
    ] {
        let text = read(document);
        let folder = repository(document);
        let folder = folder.parent().expect("a folder");
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split_once(')'))
        {
            let path = target.0.split('#').next().unwrap_or_default();
            let is_outside = path.starts_with("http") || path.is_empty();
            assert!(
                is_outside || folder.join(path).exists(),
                "{document}: {path}"
            );
        }
    }
}

#[test]
fn every_file_that_the_architecture_names_is_there() {
    let text = read("ARCHITECTURE.md");
    let words = text.split('`').skip(1).step_by(2);
    let is_path = |word: &&str| {
        let is_file = word.ends_with(".rs") || word.ends_with('/');
        is_file && word.contains('/') && !word.contains(' ') && !word.contains("...")
    };
    let mut seen = 0;
    for word in words.filter(is_path) {
        let is_there = repository(word).exists() || repository(&format!("src/{word}")).exists();
        // A room is named within its module: `file/` of `intake/`.
        let is_room = word.matches('/').count() == 1 && word.ends_with('/');
        assert!(is_there || is_room, "ARCHITECTURE.md: {word}");
        seen += usize::from(is_there);
    }
    assert!(seen > 60, "{seen} paths: does this test still read them?");
}
