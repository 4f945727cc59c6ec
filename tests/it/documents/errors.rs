//! The documents of errors and refusals have the tables of the program.

use std::fmt::Write as _;
use std::time::Duration;

use flexcast::message::FailureClass;
use flexcast::twilio::codes::{
    CODES, Conflict, ErrorCode, LIMIT_RULES, Limit, RETRY_RULES, RestSpan, TryAgain, retry,
};

use super::has_table;

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
    let begin =
        "<!-- begin: written by tests/it/documents/errors.rs from src/twilio/codes/table.rs -->";
    has_table(
        "docs/errors.md",
        &format!("{begin}\n\n{table}\n<!-- end -->"),
    );
}
