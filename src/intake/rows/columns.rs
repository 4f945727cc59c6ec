//! The mapping of a file's columns to fields.
//!
//! In: the header and the `--map` options. Out: the column of each [`Field`]; all other columns become the
//! customer's attributes. Always: `--map` has precedence over aliases, and a choice among several columns is noted.

use std::fmt;

use super::field::{OWNERS, folded, is_named_for};
use super::origin::Origin;
use super::person::{NameColumns, is_plain};
use super::phones::phones;
use super::unique_names::unique_names;
use crate::intake::{Field, IntakeError};
use crate::message::{Channel, attribute_name, masked};
use crate::numbers::unmarked;

/// The columns that flexcast adds to a file of rejects.
pub(in crate::intake) const ADDED: [&str; 3] = ["_line", "_reason", "_detail"];

/// The most headers that an error lists.
const LISTED_MAX: usize = 50;

/// The use of each column of a file.
#[derive(Clone, Debug)]
pub struct Columns {
    headers: Vec<String>,
    /// The columns of each field, in the order of `Field::ALL`: the first non-empty cell counts.
    fields: [Vec<usize>; Field::ALL.len()],
    /// The columns of first and last name, if no column has the whole name.
    name_parts: Vec<usize>,
    /// The column of the whole name, if templates can also use it by its own header.
    own_name: Option<usize>,
    attributes: Vec<(usize, String)>,
    notes: Vec<String>,
    /// Columns that may contain the agents, if none was found.
    owners: Vec<usize>,
    /// The origin of a file that flexcast wrote.
    origin: Option<Origin>,
    /// The `--map` options of this file, or of the file whose rejects it contains.
    told: Vec<(Field, String)>,
}

impl Columns {
    /// Finds the columns in a header. In a file of flexcast's, the recorded mapping applies unless `map` overrides
    /// it.
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
            // The last value counts, as with any repeated option.
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

    /// The column of `field`, counted from 0; the first of several.
    #[must_use]
    pub fn at(&self, field: Field) -> Option<usize> {
        self.all_of(field).first().copied()
    }

    /// The columns of `field`: in each row the first non-empty cell counts.
    pub(super) fn all_of(&self, field: Field) -> &[usize] {
        &self.fields[field as usize]
    }

    /// The header of the column of `field`, as in the file.
    #[must_use]
    pub fn header(&self, field: Field) -> Option<&str> {
        self.at(field).map(|at| self.headers[at].as_str())
    }

    /// The headers of columns that may contain the agents, if no column has a name for agents.
    pub fn owners(&self) -> impl Iterator<Item = &str> {
        self.owners.iter().map(|at| self.headers[*at].as_str())
    }

    /// The number of columns that a row needs to have all fields.
    pub(super) fn fields_end(&self) -> usize {
        let fields = self.fields.iter().flatten();
        fields
            .chain(&self.name_parts)
            .map(|at| at + 1)
            .max()
            .unwrap_or_default()
    }

    /// Whether the file is a file of rejects.
    pub(super) fn are_of_rejects(&self) -> bool {
        let has = |name: &str| self.headers.iter().any(|header| header == name);
        has("_line") && has("_reason")
    }

    /// The origin of a file that flexcast wrote.
    pub(in crate::intake) fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    /// The `--map` options, the last one for each field.
    pub(in crate::intake) fn told(&self) -> &[(Field, String)] {
        &self.told
    }

    /// For a file of rejects: the SHA-256 of the original, and the column of the original's lines.
    pub(in crate::intake) fn superseded(&self) -> Option<(&str, usize)> {
        let of = self.origin.as_ref()?.of.as_deref()?;
        let at = self.headers.iter().position(|header| header == ADDED[0])?;
        Some((of, at))
    }

    /// All headers, as in the file.
    #[must_use]
    pub fn headers(&self) -> &[String] {
        &self.headers
    }

    /// The columns that become attributes, with their attribute names ([`attribute_name`]), for templates with
    /// `customer.attributes.deal_stage`.
    pub fn attributes(&self) -> impl Iterator<Item = (usize, &str)> {
        let attributes = self.attributes.iter();
        attributes.map(|(at, name)| (*at, name.as_str()))
    }

    /// All columns with a header, in the file's order, with their names in templates; `None` for a column that
    /// templates cannot use.
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

    /// The columns whose joined values are the name, if no column has the whole name.
    pub(super) fn name_parts(&self) -> &[usize] {
        &self.name_parts
    }

    /// Whether the name is in several columns.
    #[must_use]
    pub fn has_name_parts(&self) -> bool {
        !self.name_parts.is_empty()
    }

    /// Notes for the operator about the mapping: several candidates for a field, duplicate headers.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The columns of a `--map` option: one header, or several separated by commas.
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

    /// The column whose name is an alias of a field; `names` are folded.
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
                "{field} is taken from {taken:?}; {others} would be possible too: --map {field}=... chooses"
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
                "no column is named for the agents; {header:?} may hold them: --map agent={header:?} uses it, \
                 --map agent= ignores it"
            ));
        }
    }

    /// The columns without a field. Country, id and times are also attributes, for templates and the agent's
    /// screen; columns without a header and flexcast's own columns are left out.
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

    /// The headers for an error, with masked numbers: without a header row they are a customer's data.
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

/// Whether flexcast adds this column to a file of rejects.
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
        match self.attributes.len() {
            1 => f.write_str("1 attribute"),
            attributes => write!(f, "{attributes} attributes"),
        }
    }
}
