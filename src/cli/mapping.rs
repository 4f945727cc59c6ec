//! The arguments that `import` and `send` share: how a file is read, and when it is refused as a whole.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::campaign::Campaign;
use crate::intake::{ContactsOptions, Field, Input, IntakeError, Rejects, parse_mapping};
use crate::operate::{FileRules, RejectsMax};

use super::{Problem, question};

/// How the columns of a file are read.
#[derive(Debug, Args)]
pub(super) struct MappingArgs {
    /// Take a field from this column, such as phone="Phone 1"
    #[arg(
        long,
        value_name = "FIELD=COLUMN",
        value_parser = parse_mapping,
        long_help = "Take a field from this column, such as phone=\"Phone 1\"; with several columns, such as \
        phone=Mobile,Phone, from the first that is not empty. Fields: phone, agent, name, \
                     id, country, time_zone, not_before, expires_at"
    )]
    map: Vec<(Field, String)>,
    /// The country of numbers without a country code, such as US
    #[arg(long, value_name = "REGION")]
    default_region: Option<String>,
    /// The file's encoding, such as windows-1252 [default: detected]
    #[arg(long, value_name = "LABEL")]
    encoding: Option<String>,
    /// The character that separates columns, or the word tab [default: detected]
    #[arg(long, value_name = "CHARACTER", value_parser = parse_delimiter)]
    delimiter: Option<u8>,
    /// The workbook's sheet [default: the first]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
    /// The file for rejected rows [default: FILE.rejects.csv or .jsonl beside the file]
    #[arg(long, value_name = "FILE")]
    rejects: Option<PathBuf>,
}

/// When a file is refused as a whole.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct StrictnessArgs {
    /// Refuse the whole file if any row would be rejected (exit code 65)
    #[arg(long, conflicts_with = "max_rejects")]
    strict: bool,
    /// Refuse the whole file if more rows than this would be rejected: a number, or a share such as 5% (exit code 65)
    #[arg(long, value_name = "N|N%", value_parser = parse_max)]
    max_rejects: Option<RejectsMax>,
    /// Accept that several customers have the same id: only one customer of each id is contacted
    #[arg(long)]
    repeated_ids: bool,
}

fn parse_delimiter(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        _ if text.eq_ignore_ascii_case("tab") => Ok(b'\t'),
        [byte] if (byte.is_ascii_punctuation() && *byte != b'"') || *byte == b'\t' => Ok(*byte),
        _ => Err("the delimiter is one character such as ; or the word tab".to_owned()),
    }
}

fn parse_max(text: &str) -> Result<RejectsMax, String> {
    let wrong = || format!("{text:?} is neither a number of rows nor a share such as 5%");
    match text.strip_suffix('%') {
        Some(percent) => match percent.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(RejectsMax::Percent(percent)),
            _ => Err(wrong()),
        },
        None => text.parse().map(RejectsMax::Rows).map_err(|_| wrong()),
    }
}

impl MappingArgs {
    /// Opens a file of contacts. With `asks`, the operator is asked on the terminal for columns that are not found.
    ///
    /// # Errors
    ///
    /// An error when the file cannot be used at all.
    pub(super) fn open(
        &self,
        campaign: &Campaign,
        path: &Path,
        asks: bool,
    ) -> Result<Input, Problem> {
        let mut options = self.options(campaign);
        let opened = Input::open(path, &options);
        if !asks {
            return Ok(opened?);
        }
        let input = match opened {
            Err(IntakeError::NoAddressColumn { what, columns, .. }) if !columns.is_empty() => {
                let question = format!("Which column holds the customers' {what}?");
                let header = question::column(&question, &columns, None)?;
                options.map.push((Field::Address, header));
                Input::open(path, &options)?
            }
            opened => opened?,
        };
        let Input::Contacts(contacts) = &input else {
            return Ok(input);
        };
        let columns = contacts.columns();
        let is_told = |field| options.map.iter().any(|(of, _)| *of == field);
        let mut map = Vec::new();
        let owner = columns.owners().next();
        let wants_agent = owner.is_some() || campaign.needs_agent();
        if wants_agent && columns.at(Field::Agent).is_none() && !is_told(Field::Agent) {
            let question = "Which column is the agent? (- for none)";
            let header = question::column(question, columns.headers(), owner.or(Some("-")))?;
            map.push((Field::Agent, header));
        }
        let has_name = columns.at(Field::Name).is_some() || columns.has_name_parts();
        if campaign.names_the_customer() && !has_name && !is_told(Field::Name) {
            let question = "Which column is the customer's name? (- for none)";
            let header = question::column(question, columns.headers(), Some("-"))?;
            map.push((Field::Name, header));
        }
        if map.is_empty() {
            return Ok(input);
        }
        options.map.extend(map);
        Ok(Input::open(path, &options)?)
    }

    fn options(&self, campaign: &Campaign) -> ContactsOptions {
        ContactsOptions {
            channel: campaign.channel,
            default_region: campaign.default_region.clone(),
            region_told: self.default_region.clone(),
            map: self.map.clone(),
            default_agent: campaign.agents.default.clone(),
            encoding: self.encoding.clone(),
            delimiter: self.delimiter,
            sheet: self.sheet.clone(),
        }
    }

    /// The file for the rejected rows of this input.
    pub(super) fn rejects(&self, input: &Input) -> Option<Rejects> {
        let told = self.rejects.clone();
        let path = told.or_else(|| Rejects::usual_path(input))?;
        Some(Rejects::to(path, input))
    }
}

impl StrictnessArgs {
    /// The rules that these flags set.
    pub(super) fn rules(self) -> FileRules {
        let max = self.max_rejects.unwrap_or_default();
        FileRules {
            rejects: match self.strict {
                true => RejectsMax::Rows(0),
                false => max,
            },
            repeated_ids: self.repeated_ids,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_or_a_number_may_be_rejected() {
        assert_eq!(parse_max("5%"), Ok(RejectsMax::Percent(5.0)));
        assert_eq!(parse_max("0.5 %"), Ok(RejectsMax::Percent(0.5)));
        assert_eq!(parse_max("20"), Ok(RejectsMax::Rows(20)));
        for text in ["", "%", "-1", "101%", "few"] {
            assert!(parse_max(text).is_err(), "{text}");
        }
    }
}
