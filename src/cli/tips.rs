//! Tips for words that people type, and that are not commands.
//!
//! In: the error of the command line. Out: the same error, with a tip that names the right command. Always: clap's own
//! tip, which goes by the spelling of the word, stays where no meaning is known.

use clap::Error;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};

/// Words with the same meaning, and the commands for it.
const TIPS: &[(&[&str], &str)] = &[
    (
        &["pause"],
        "to pause a campaign: flexcast campaign pause CAMPAIGN",
    ),
    (
        &["stop", "halt", "suspend"],
        "to pause a campaign: flexcast campaign pause CAMPAIGN\n\
         to end it for good: flexcast campaign cancel CAMPAIGN",
    ),
    (
        &["cancel", "abort"],
        "to end a campaign for good: flexcast campaign cancel CAMPAIGN",
    ),
    (
        &["resume", "unpause", "continue"],
        "to resume a paused campaign: flexcast campaign resume CAMPAIGN",
    ),
    (
        &["start", "run", "launch"],
        "to send the messages of all campaigns: flexcast work\n\
         to import a file and send it: flexcast send FILE.toml CONTACTS.csv\n\
         to resume a paused campaign: flexcast campaign resume CAMPAIGN",
    ),
    (
        &["rm", "remove", "delete", "del"],
        "the ledger keeps every campaign, because it records who was contacted\n\
         to end a campaign for good: flexcast campaign cancel CAMPAIGN",
    ),
    (
        &["replay", "retry", "resend", "requeue"],
        "to write the dead messages to a file that another campaign can import:\n\
         flexcast campaign export CAMPAIGN --failed --as-input",
    ),
    (
        &["ls", "list", "campaigns"],
        "to list the campaigns: flexcast campaign list",
    ),
    (
        &["show", "describe", "info", "get"],
        "to show a campaign: flexcast campaign show CAMPAIGN\n\
         to show a message: flexcast dead show CAMPAIGN ID",
    ),
    (
        &["apply", "create", "new", "add"],
        "to write a campaign file: flexcast init --sender SENDER --channel sms\n\
         to apply it: flexcast campaign apply FILE.toml\n\
         to add customers: flexcast import CAMPAIGN CONTACTS.csv",
    ),
    (
        &["export"],
        "to write a campaign as CSV: flexcast campaign export CAMPAIGN",
    ),
    (
        &["finish", "close", "end"],
        "to close a campaign to new messages: flexcast campaign finish CAMPAIGN",
    ),
    (
        &["pace", "rate", "speed", "throttle", "limit"],
        "to change the pace: flexcast campaign pace CAMPAIGN --campaign 2/s",
    ),
    (
        &["check", "validate", "preview", "dry-run", "test"],
        "to check a file only: flexcast import FILE.toml CONTACTS.csv --dry-run",
    ),
    (
        &["resolve", "settle"],
        "to settle an unknown message: flexcast unknown settle CAMPAIGN ID --sent",
    ),
    (
        &["backup", "dump"],
        "to back up the ledger: flexcast ledger backup FILE",
    ),
    (
        &["stats", "stat", "state", "ps", "top", "watch", "progress"],
        "to show the states of messages: flexcast status CAMPAIGN",
    ),
    (
        &["worker", "consume", "serve", "daemon"],
        "to run a consumer: flexcast work",
    ),
];

/// The error with a tip, if it is about a word with a known meaning.
pub(super) fn with_tip(mut error: Error) -> Error {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else {
        return error;
    };
    let Some((_, tip)) = TIPS
        .iter()
        .find(|(words, _)| words.contains(&word.as_str()))
    else {
        return error;
    };
    let tips = tip.lines().map(StyledStr::from).collect();
    error.remove(ContextKind::SuggestedSubcommand);
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
    error
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use clap::error::ErrorKind;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_tip_names_a_command_that_there_is() {
        for (words, tip) in TIPS {
            let mut commands = 0;
            for line in tip.lines() {
                let Some((_, command)) = line.split_once("flexcast ") else {
                    continue;
                };
                commands += 1;
                // The placeholder of an id is no id.
                let command = command.replace("CAMPAIGN", "spring");
                let words = ["flexcast"].into_iter().chain(command.split(' '));
                let parsed = Cli::try_parse_from(words);
                assert!(parsed.is_ok(), "{line}: {:?}", parsed.err());
            }
            assert!(commands > 0, "{words:?}");
        }
    }

    #[test]
    fn no_word_of_a_tip_is_a_command() {
        for (words, _) in TIPS {
            for word in *words {
                let error = Cli::try_parse_from(["flexcast", word]);
                let kind = error.map(drop).expect_err(word).kind();
                assert_eq!(kind, ErrorKind::InvalidSubcommand, "{word}");
            }
        }
    }

    #[test]
    fn a_tip_replaces_one_that_goes_by_spelling() {
        let tip = |words: &[&str]| {
            let error = Cli::try_parse_from(words)
                .map(drop)
                .expect_err("no command");
            with_tip(error).render().to_string()
        };
        let stop = tip(&["flexcast", "campaign", "stop", "spring"]);
        assert!(
            stop.contains("tip: to pause a campaign: flexcast campaign pause"),
            "{stop}"
        );
        assert!(stop.contains("tip: to end it for good"), "{stop}");
        assert!(!stop.contains("similar"), "{stop}");
        let pause = tip(&["flexcast", "pause", "spring"]);
        assert!(!pause.contains("pace"), "{pause}");
        let unknown = tip(&["flexcast", "campaing"]);
        assert!(unknown.contains("'campaign'"), "{unknown}");
    }
}
