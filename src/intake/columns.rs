//! Which column holds what.
//!
//! In: the header, and what `--map` says. Out: the column of each [`Field`]; all others become the
//! customer's attributes. Always: `--map` wins over aliases, and a choice among several is noted.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::field::{folded, normalised};
use super::{Field, IntakeError};
use crate::message::{Channel, masked};

/// How many headers an error lists.
const LISTED_MAX: usize = 50;

/// What each column of a file holds.
#[derive(Clone, Debug)]
pub struct Columns {
    headers: Vec<String>,
    /// The column of each field, in the order of `Field::ALL`.
    fields: [Option<usize>; Field::ALL.len()],
    /// The columns of first and last name, when no column holds the whole name.
    name_parts: Vec<usize>,
    attributes: Vec<(usize, String)>,
    notes: Vec<String>,
}

impl Columns {
    /// Finds the columns in a header.
    ///
    /// # Errors
    ///
    /// [`IntakeError::NoAddressColumn`] and [`IntakeError::NoSuchColumn`], both with the headers.
    pub fn find(
        headers: Vec<String>,
        channel: Channel,
        map: &[(Field, String)],
    ) -> Result<Self, IntakeError> {
        let mut notes = Vec::new();
        let names = unique_names(&headers, &mut notes);
        let mut found = Self {
            headers,
            fields: [None; Field::ALL.len()],
            name_parts: Vec::new(),
            attributes: Vec::new(),
            notes,
        };
        for field in Field::ALL {
            // The last word counts, as with any repeated option.
            let mapped = map.iter().rev().find(|(of, _)| of == field);
            found.fields[*field as usize] = match mapped {
                Some((_, header)) if header.is_empty() => None,
                Some((_, header)) => Some(found.mapped(*field, header, &names)?),
                None => found.by_alias(*field, channel, &names),
            };
        }
        if found.at(Field::Address).is_none() {
            return Err(found.no_address(channel));
        }
        if found.at(Field::Name).is_none() {
            let at = |aliases: [&str; 2]| names.iter().position(|n| aliases.contains(&n.as_str()));
            let parts = [["first_name", "firstname"], ["last_name", "lastname"]];
            found.name_parts = parts.into_iter().filter_map(at).collect();
        }
        found.attributes = found.rest(&names);
        Ok(found)
    }

    /// The column that holds `field`, counted from 0.
    #[must_use]
    pub fn at(&self, field: Field) -> Option<usize> {
        self.fields[field as usize]
    }

    /// The header of the column that holds `field`, as the file has it.
    #[must_use]
    pub fn header(&self, field: Field) -> Option<&str> {
        self.at(field).map(|at| self.headers[at].as_str())
    }

    /// How many columns a row needs so that every field can be told: up to the last one of them.
    pub(super) fn fields_end(&self) -> usize {
        let fields = self.fields.iter().flatten();
        fields
            .chain(&self.name_parts)
            .map(|at| at + 1)
            .max()
            .unwrap_or_default()
    }

    /// Whether it is a file of rejected rows that we wrote.
    pub(super) fn are_of_rejects(&self) -> bool {
        let has = |name: &str| self.headers.iter().any(|header| header == name);
        has("_line") && has("_reason")
    }

    /// Every header, as the file has it.
    #[must_use]
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The columns that become attributes, with the attribute's name: the header in lower case with
    /// `_` between words, so that a template can say `customer.attributes.deal_stage`.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &str)> {
        let attributes = self.attributes.iter();
        attributes.map(|(at, name)| (*at, name.as_str()))
    }

    /// The columns whose values, joined, are the name: when no column holds the whole of it.
    pub(super) fn name_parts(&self) -> &[usize] {
        &self.name_parts
    }

    /// What an operator should know about the choice: several columns that could hold a field,
    /// headers that occur twice.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn mapped(&self, field: Field, header: &str, names: &[String]) -> Result<usize, IntakeError> {
        let exact = self.headers.iter().position(|h| h.trim() == header);
        let near = || names.iter().position(|name| *name == normalised(header));
        exact
            .or_else(near)
            .ok_or_else(|| IntakeError::NoSuchColumn {
                field,
                header: header.to_owned(),
                headers: self.listed(),
            })
    }

    fn by_alias(&mut self, field: Field, channel: Channel, names: &[String]) -> Option<usize> {
        let places = |alias: &&str| names.iter().position(|name| folded(name) == *alias);
        let mut places = field.aliases(channel).iter().filter_map(places);
        let first = places.next()?;
        let others: Vec<_> = places.map(|at| format!("{:?}", self.headers[at])).collect();
        if !others.is_empty() {
            let taken = &self.headers[first];
            let others = others.join(", ");
            self.notes.push(format!(
                "{field} is taken from {taken:?}; {others} would do too: --map {field}=... chooses"
            ));
        }
        Some(first)
    }

    /// What no field takes. A country stays an attribute, for the agent's screen; a column without a
    /// header and one that begins with `_` (our own, in a file of rejects) is left out.
    fn rest(&self, names: &[String]) -> Vec<(usize, String)> {
        let country = self.at(Field::Country);
        let is_free = |at: &usize| !self.fields.contains(&Some(*at)) || country == Some(*at);
        let all = names.iter().cloned().enumerate();
        all.filter(|(at, name)| is_free(at) && !name.is_empty() && !name.starts_with('_'))
            .collect()
    }

    fn no_address(&self, channel: Channel) -> IntakeError {
        let what = match channel {
            Channel::Sms | Channel::Whatsapp => "phone numbers",
            Channel::Facebook | Channel::Custom => "addresses",
        };
        let only = (self.headers.len() == 1).then(|| self.headers[0].as_str());
        let hint = if only.is_some_and(|line| line.contains([';', '\t', '|'])) {
            ". The columns seem to be separated by something else than a comma"
        } else if self.headers.iter().any(|header| is_like_a_number(header)) {
            ". The first row seems to be a customer: the file needs a header row"
        } else {
            ""
        };
        IntakeError::NoAddressColumn {
            what,
            headers: self.listed(),
            hint,
        }
    }

    /// The headers for an error. Without a header row they are a customer's data.
    fn listed(&self) -> String {
        let more = self.headers.len().saturating_sub(LISTED_MAX);
        let shown = self.headers.iter().take(LISTED_MAX).map(|header| {
            if is_like_a_number(header) {
                format!("{:?}", masked(header.trim()))
            } else {
                format!("{:?}", header.trim())
            }
        });
        let listed = shown.collect::<Vec<_>>().join(", ");
        match more {
            0 => listed,
            more => format!("{listed} and {more} more"),
        }
    }
}

/// The normalised headers; the second of two alike becomes `..._2`, with a note.
fn unique_names(headers: &[String], notes: &mut Vec<String>) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(headers.len());
    let mut taken = HashSet::new();
    // The next number of a name that occurs again.
    let mut counts: HashMap<String, usize> = HashMap::new();
    for header in headers {
        let name = normalised(header);
        let mut unique = name.clone();
        while !unique.is_empty() && !taken.insert(unique.clone()) {
            let count = counts.entry(name.clone()).or_insert(1);
            *count += 1;
            unique = format!("{name}_{count}");
        }
        if unique != name {
            notes.push(format!(
                "{header:?} occurs twice: this one becomes {unique}"
            ));
        }
        names.push(unique);
    }
    names
}

fn is_like_a_number(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= 7
}

impl fmt::Display for Columns {
    /// One line: `phone from "Phone 1", agent from "Lead Owner", 12 attributes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for field in Field::ALL {
            if let Some(header) = self.header(*field) {
                write!(f, "{field} from {header:?}, ")?;
            }
        }
        write!(f, "{} attributes", self.attributes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::parse_mapping;

    fn find(header: &str, map: &[&str]) -> Result<Columns, IntakeError> {
        let map: Vec<_> = map.iter().map(|m| parse_mapping(m).expect(m)).collect();
        let headers = header.split(',').map(str::to_owned).collect();
        Columns::find(headers, Channel::Sms, &map)
    }

    #[test]
    fn a_phone_column_is_found_under_many_names() {
        let table = [
            ("Phone", 0),
            ("Name,Phone Number", 1),
            ("name, MOBILE-phone ,phone", 1),
            ("phone,mobile", 1),
            ("id,address", 1),
            ("_MobileNumber", 0),
            ("\u{feff}Téléphone", 0),
            ("plan,to", 1),
            ("name,phone,phone", 1),
        ];
        for (header, expected) in table {
            let columns = find(header, &[]).expect(header);
            assert_eq!(columns.at(Field::Address), Some(expected), "{header}");
        }
        let columns = find("phone,mobile", &[]).expect("two candidates");
        assert!(
            columns.notes()[0].contains("\"phone\""),
            "the other is named"
        );
    }

    #[test]
    fn map_wins_over_aliases_and_an_empty_header_takes_none() {
        let map = ["phone=Phone 2", "agent=lead-owner", "id="];
        let columns = find("Phone,Phone 2,Lead Owner,Id", &map).expect("columns");
        assert_eq!(columns.header(Field::Address), Some("Phone 2"));
        assert_eq!(columns.header(Field::Agent), Some("Lead Owner"));
        assert_eq!(columns.at(Field::Id), None);
        let rest: Vec<_> = columns.attributes().map(|(_, name)| name).collect();
        assert_eq!(rest, ["phone", "id"]);
        let twins = find("Phone,phone", &["phone=phone_2"]).expect("columns");
        assert_eq!(twins.at(Field::Address), Some(1), "the second of two alike");
        assert!(twins.notes()[0].contains("occurs twice"));
        assert_eq!(
            columns.to_string(),
            "phone from \"Phone 2\", agent from \"Lead Owner\", 2 attributes"
        );
    }

    #[test]
    fn what_is_no_field_becomes_an_attribute_with_a_name_a_template_can_say() {
        let header = "phone,Deal Stage,deal-stage,,_reason,E.Mail,country";
        let columns = find(header, &[]).expect("columns");
        let rest: Vec<_> = columns.attributes().collect();
        let expected = [
            (1, "deal_stage"),
            (2, "deal_stage_2"),
            (5, "e_mail"),
            (6, "country"),
        ];
        assert_eq!(rest, expected);
    }

    #[test]
    fn a_header_without_phone_numbers_says_what_is_there_and_what_to_do() {
        let table = [
            ("Phone 1,Plan", "\"Phone 1\", \"Plan\""),
            ("Phone 1,Plan", "--map phone="),
            ("phone;name", "separated"),
            ("+12025550173,Clark", "header row"),
        ];
        for (header, said) in table {
            let error = find(header, &[]).expect_err(header).to_string();
            assert!(error.contains(said), "{error} should say {said}");
            assert!(!error.contains("2025550173"), "{error}");
        }
        let error = find("phone", &["agent=Owner"]).expect_err("no such column");
        assert!(
            error.to_string().contains("--map agent=\"Owner\""),
            "{error}"
        );
    }
}
