//! Which column holds what.
//!
//! In: the header, and what `--map` says. Out: the column of each [`Field`]; all others become the
//! customer's attributes. Always: `--map` wins over aliases, and a choice among several is noted.

use std::fmt;

use super::field::{OWNERS, folded, is_named_for};
use super::origin::Origin;
use super::person::{NameColumns, is_plain};
use super::phones::phones;
use super::unique_names::unique_names;
use crate::intake::{Field, IntakeError};
use crate::message::{Channel, attribute_name, masked};
use crate::numbers::unmarked;

/// The columns that we add to a file of rejects.
pub(in crate::intake) const ADDED: [&str; 3] = ["_line", "_reason", "_detail"];

/// How many headers an error lists.
const LISTED_MAX: usize = 50;

/// What each column of a file holds.
#[derive(Clone, Debug)]
pub struct Columns {
    headers: Vec<String>,
    /// The columns of each field, in the order of `Field::ALL`: the first that is filled counts.
    fields: [Vec<usize>; Field::ALL.len()],
    /// The columns of first and last name, when no column holds the whole name.
    name_parts: Vec<usize>,
    /// The column of the whole name, where templates know it by its own header, too.
    own_name: Option<usize>,
    attributes: Vec<(usize, String)>,
    notes: Vec<String>,
    /// Columns that may hold the agents, when none was found.
    owners: Vec<usize>,
    /// Of a file of ours: where it is from, and how it was read.
    origin: Option<Origin>,
    /// What was said of its columns, here or for the file that it is the rejects of.
    told: Vec<(Field, String)>,
}

impl Columns {
    /// Finds the columns in a header. What a file of ours says of its columns holds, unless `map` says otherwise.
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
        let plain: Vec<String> = names.iter().map(|name| folded(name)).collect();
        let mut found = Self {
            origin: Origin::among(&headers),
            headers,
            fields: Default::default(),
            name_parts: Vec::new(),
            own_name: None,
            attributes: Vec::new(),
            notes,
            owners: Vec::new(),
            told: Vec::new(),
        };
        let kept = found.origin.as_ref().map(|origin| origin.map.clone());
        let map = [kept.unwrap_or_default(), map.to_vec()].concat();
        for field in Field::ALL {
            // The last word counts, as with any repeated option.
            let mapped = map.iter().rev().find(|(of, _)| of == field);
            found.fields[*field as usize] = match mapped {
                Some((_, header)) if header.is_empty() => Vec::new(),
                Some((_, header)) => found.mapped(*field, header, &names)?,
                None => found.by_name(*field, channel, &plain),
            };
        }
        if found.at(Field::Address).is_none() {
            return Err(found.no_address(channel));
        }
        if found.at(Field::Name).is_none()
            && let NameColumns::Parts(parts) = NameColumns::among(&plain)
        {
            found.name_parts = parts;
        }
        if found.at(Field::Agent).is_none() && !map.iter().any(|(field, _)| *field == Field::Agent)
        {
            found.offer_owners(&plain);
        }
        found.attributes = found.rest(&names);
        let last = |field: &Field| map.iter().rev().find(|(of, _)| of == field).cloned();
        found.told = Field::ALL.iter().filter_map(last).collect();
        Ok(found)
    }

    /// The column that holds `field`, counted from 0; the first of several.
    #[must_use]
    pub fn at(&self, field: Field) -> Option<usize> {
        self.all_of(field).first().copied()
    }

    /// The columns that may hold `field`: of each row the first that is filled counts.
    pub(super) fn all_of(&self, field: Field) -> &[usize] {
        &self.fields[field as usize]
    }

    /// The header of the column that holds `field`, as the file has it.
    #[must_use]
    pub fn header(&self, field: Field) -> Option<&str> {
        self.at(field).map(|at| self.headers[at].as_str())
    }

    /// Headers of columns that may hold the agents, when no column is named so.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().map(|at| self.headers[*at].as_str())
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

    /// Where a file of ours is from.
    pub(in crate::intake) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// What was said of its columns: the last word on each field.
    pub(in crate::intake) fn told(&self) -> &[(Field, String)] {
        &self.told
    }

    /// Of a file of rejects: the SHA-256 of its original, and the column of the original's lines.
    pub(in crate::intake) fn superseded(&self) -> Option<(&str, usize)> {
        let of = self.origin.as_ref()?.of.as_deref()?;
        let at = self.headers.iter().position(|header| header == ADDED[0])?;
        Some((of, at))
    }

    /// Every header, as the file has it.
    #[must_use]
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The columns that become attributes, with the attribute's name ([`attribute_name`]), so that a template can say
    /// `customer.attributes.deal_stage`.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &str)> {
        let attributes = self.attributes.iter();
        attributes.map(|(at, name)| (*at, name.as_str()))
    }

    /// Every column with a header, in the file's order, and what a template calls it: none for what no template can say.
    #[must_use]
    pub fn in_templates(&self) -> Vec<(&str, Option<String>)> {
        let fields = [
            (Field::Address, "customer.address"),
            (Field::Name, "customer.name"),
            (Field::Agent, "agent.identity"),
            (Field::TimeZone, "customer.time_zone"),
        ];
        let named = |at: usize| {
            let attribute = self.attributes.iter().find(|(of, _)| *of == at);
            let field = || {
                fields
                    .iter()
                    .find(|(field, _)| self.all_of(*field).contains(&at))
            };
            attribute
                .map(|(_, name)| format!("customer.attributes.{name}"))
                .or_else(|| field().map(|(_, name)| (*name).to_owned()))
        };
        let all = self.headers.iter().enumerate();
        all.filter(|(_, header)| !unmarked(header).is_empty() && !is_ours(header))
            .map(|(at, header)| (header.as_str(), named(at)))
            .collect()
    }

    /// The columns whose values, joined, are the name: when no column holds the whole of it.
    pub(super) fn name_parts(&self) -> &[usize] {
        &self.name_parts
    }

    /// Whether columns hold the parts of the name.
    #[must_use]
    pub fn has_name_parts(&self) -> bool {
        !self.name_parts.is_empty()
    }

    /// What an operator should know about the choice: several columns that could hold a field,
    /// headers that occur twice.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The columns that `--map` names: one header, or several with commas between them.
    fn mapped(
        &self,
        field: Field,
        header: &str,
        names: &[String],
    ) -> Result<Vec<usize>, IntakeError> {
        let one = |header: &str| {
            let exact = self
                .headers
                .iter()
                .position(|h| unmarked(h) == unmarked(header));
            let name = attribute_name(header);
            exact.or_else(|| names.iter().position(|n| *n == name && !n.is_empty()))
        };
        if let Some(at) = one(header) {
            return Ok(vec![at]);
        }
        let several = header.split(',').map(|header| {
            one(header).ok_or_else(|| IntakeError::NoSuchColumn {
                field,
                header: header.trim().to_owned(),
                headers: self.listed(),
            })
        });
        several.collect()
    }

    /// The column that is named for a field; `names` are folded.
    fn by_name(&mut self, field: Field, channel: Channel, names: &[String]) -> Vec<usize> {
        let mut places: Vec<usize> = Vec::new();
        if field == Field::Address {
            let for_channel = |at: &usize| is_named_for(channel, &names[*at]);
            places.extend((0..names.len()).filter(for_channel));
        }
        let place = |alias: &&str| names.iter().position(|name| name == *alias);
        match (field, channel) {
            (Field::Address, Channel::Sms | Channel::Whatsapp) => places.extend(phones(names)),
            (Field::Name, _) => {
                if let NameColumns::Whole(whole) = NameColumns::among(names) {
                    let is_own = |at: &usize| !is_plain(&names[*at]);
                    self.own_name = whole.first().copied().filter(is_own);
                    places = whole;
                }
            }
            _ => places.extend(field.aliases().iter().filter_map(place)),
        }
        let Some(first) = places.first().copied() else {
            return Vec::new();
        };
        let mut others: Vec<String> = Vec::new();
        for at in places.into_iter().filter(|at| *at != first) {
            let other = format!("{:?}", self.headers[at]);
            if !others.contains(&other) {
                others.push(other);
            }
        }
        if !others.is_empty() {
            let taken = &self.headers[first];
            let others = others.join(", ");
            self.notes.push(format!(
                "{field} is taken from {taken:?}; {others} would do too: --map {field}=... chooses"
            ));
        }
        vec![first]
    }

    fn offer_owners(&mut self, names: &[String]) {
        let place = |alias: &&str| names.iter().position(|name| name == alias);
        self.owners = OWNERS.iter().filter_map(place).collect();
        if let Some(first) = self.owners.first() {
            let header = &self.headers[*first];
            self.notes.push(format!(
                "no column is named for the agents; {header:?} may hold them: --map agent={header:?} takes it, \
                 --map agent= says that it does not"
            ));
        }
    }

    /// What no field takes. A country, an id and the times stay attributes, for templates and the agent's screen; a column
    /// without a header and our own in a file of rejects are left out.
    fn rest(&self, names: &[String]) -> Vec<(usize, String)> {
        const ALSO: [Field; 4] = [
            Field::Country,
            Field::Id,
            Field::NotBefore,
            Field::ExpiresAt,
        ];
        let is_export = self.origin.as_ref().is_some_and(|origin| origin.is_export);
        let is_also = |field: &&Field| !is_export && ALSO.contains(field);
        let is_taken = |at: usize| {
            let mut others = Field::ALL.iter().filter(|field| !is_also(field));
            others.any(|field| self.all_of(*field).contains(&at)) && self.own_name != Some(at)
        };
        let all = names.iter().cloned().enumerate();
        all.filter(|(at, name)| !is_taken(*at) && !name.is_empty() && !is_ours(&self.headers[*at]))
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
        } else if self.headers.iter().any(|header| has_many_digits(header)) {
            ". The first row seems to be a customer: the file needs a header row"
        } else {
            ""
        };
        IntakeError::NoAddressColumn {
            what,
            headers: self.listed(),
            columns: match self.headers.iter().any(|header| has_many_digits(header)) {
                true => Vec::new(),
                false => self.headers.clone(),
            },
            hint,
        }
    }

    /// The headers for an error. Without a header row they are a customer's data.
    fn listed(&self) -> String {
        let more = self.headers.len().saturating_sub(LISTED_MAX);
        let shown = self.headers.iter().take(LISTED_MAX).map(|header| {
            if has_many_digits(header) {
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

/// Whether a column is one that we add to a file of rejects.
pub(in crate::intake) fn is_ours(header: &str) -> bool {
    ADDED.contains(&header) || Origin::is_header(header)
}

fn has_many_digits(text: &str) -> bool {
    text.chars().filter(char::is_ascii_digit).count() >= 7
}

impl fmt::Display for Columns {
    /// One line: `phone from "Phone 1", agent from "Lead Owner", 12 attributes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for field in Field::ALL {
            for (number, at) in self.all_of(*field).iter().enumerate() {
                let header = &self.headers[*at];
                match number {
                    0 => write!(f, "{field} from {header:?}")?,
                    _ => write!(f, " or else {header:?}")?,
                }
            }
            if !self.all_of(*field).is_empty() {
                f.write_str(", ")?;
            }
        }
        write!(f, "{} attributes", self.attributes.len())
    }
}
