//! Fields of a row, and the headers of their columns.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::message::{Channel, attribute_name, closed_list};

/// A field that flexcast understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Field {
    /// The customer's number or identity.
    Address,
    /// The agent's Worker: SID, friendly name or identity.
    Agent,
    /// The customer's name.
    Name,
    /// The message's id.
    Id,
    /// The country, by code or name, for national numbers of the row.
    Country,
    /// The customer's IANA time zone.
    TimeZone,
    /// The earliest start of processing (RFC 3339).
    NotBefore,
    /// The latest start of processing (RFC 3339).
    ExpiresAt,
}

// Users type `phone`, not `address`, in `--map`; `Field::from_str` accepts both.
closed_list!(Field {
    Address => "phone",
    Agent => "agent",
    Name => "name",
    Id => "id",
    Country => "country",
    TimeZone => "time_zone",
    NotBefore => "not_before",
    ExpiresAt => "expires_at",
});

impl Field {
    /// The header names of the field, the preferred one first. Phones and names are found by the words of their
    /// headers instead.
    pub(super) fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::Address => &["address", "identity", "to", "recipient", "phone"],
            Self::Agent => &["agent", "agent_name", "worker", "worker_sid"],
            Self::Name => &[],
            Self::Id => &["id", "external_id", "contact_id", "customer_id"],
            Self::Country => COUNTRY_ALIASES,
            Self::TimeZone => TIME_ZONE_ALIASES,
            Self::NotBefore => &["not_before", "send_at"],
            Self::ExpiresAt => &["expires_at", "expires"],
        }
    }
}

const COUNTRY_ALIASES: &[&str] = &[
    "country",
    "country_code",
    "country_region",
    "land",
    "land_region",
    "pays",
    "pays_region",
    "pais",
    "pais_region",
    "pais_regiao",
    "paese",
    "国",
    "国名",
];
const TIME_ZONE_ALIASES: &[&str] = &[
    "time_zone",
    "timezone",
    "tz",
    "zeitzone",
    "tijdzone",
    "fuseau_horaire",
    "zona_horaria",
    "huso_horario",
    "fuso_horario",
    "fuso_orario",
    "タイムゾーン",
];

/// Headers for the person in charge of a customer: perhaps the agent, but only the operator knows.
pub(super) const OWNERS: &[&str] = &[
    "contact_owner",
    "lead_owner",
    "account_owner",
    "deal_owner",
    "opportunity_owner",
    "record_owner",
    "company_owner",
    "owner",
    "owner_name",
    "sales_owner",
    "person_owner",
    "account_manager",
    "account_executive",
    "assigned_to",
    "assignee",
    "sales_rep",
    "sales_representative",
    "salesperson",
    "kundenbetreuer",
    "betreuer",
    "ansprechpartner",
    "zustandig",
    "propietario",
    "proprietaire",
    "proprietario",
    "responsable",
    "responsavel",
    "responsabile",
    "担当者",
];

/// Whether a column's name is that of the campaign's channel: "WhatsApp Phone Number", but not "WhatsApp opt-in".
/// `name` is folded.
pub(super) fn is_named_for(channel: Channel, name: &str) -> bool {
    const PHONES: &[&str] = &[
        "phone",
        "number",
        "mobile",
        "cell",
        "no",
        "nr",
        "num",
        "nummer",
        "numero",
        "de",
        "telefon",
        "telefono",
        "telephone",
        "contact",
        "address",
        "id",
        "msisdn",
        "identity",
        "handle",
        "user",
    ];
    let channels: &[&str] = match channel {
        Channel::Sms => &["sms", "text"],
        Channel::Whatsapp => &["whatsapp"],
        Channel::Facebook => &["facebook", "messenger", "psid"],
        Channel::Custom => &[],
    };
    let mut words = name.split('_');
    name.split('_').any(|word| channels.contains(&word))
        && words.all(|word| channels.contains(&word) || PHONES.contains(&word))
}

impl FromStr for Field {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = attribute_name(text);
        if text == "address" {
            return Ok(Self::Address);
        }
        let found = Self::ALL.iter().find(|field| field.as_str() == text);
        found.copied().ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(|field| field.as_str()).collect();
            format!(
                "{text:?} is not a field; the fields are {}",
                known.join(", ")
            )
        })
    }
}

/// Parses `FIELD=HEADER`, the form of `--map`. An empty header means no column, not even one by an alias. Several
/// headers, separated by commas, mean the first non-empty cell.
///
/// # Errors
///
/// A sentence that shows the form of the option.
pub fn parse_mapping(text: &str) -> Result<(Field, String), String> {
    let (field, header) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is not a mapping; write it as FIELD=HEADER"))?;
    Ok((field.parse()?, header.trim().to_owned()))
}

/// Folds a header's name into the form of aliases: without accents.
pub(super) fn folded(name: &str) -> String {
    // The voicing marks of Japanese syllables are part of the letter.
    let is_accent = |c: &char| is_combining_mark(*c) && !matches!(c, '\u{3099}' | '\u{309a}');
    name.nfd().filter(|c| !is_accent(c)).nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_names_a_field_and_a_header() {
        let table = [
            ("phone=Phone 1", Some((Field::Address, "Phone 1"))),
            ("Address = to=from", Some((Field::Address, "to=from"))),
            ("time-zone=", Some((Field::TimeZone, ""))),
            ("phone", None),
            ("fone=Phone", None),
        ];
        for (text, expected) in table {
            let expected = expected.map(|(field, header)| (field, header.to_owned()));
            assert_eq!(parse_mapping(text).ok(), expected, "{text}");
        }
        let error = parse_mapping("fone=Phone").expect_err("no such field");
        assert!(
            error.contains("time_zone"),
            "{error} should list the fields"
        );
    }

    #[test]
    fn a_column_that_is_named_for_the_channel_is_told_from_what_people_agreed_to() {
        let table = [
            ("whatsapp_phone_number", Channel::Whatsapp, true),
            ("numero_de_whatsapp", Channel::Whatsapp, true),
            ("whatsapp", Channel::Whatsapp, true),
            ("sms_number", Channel::Sms, true),
            ("facebook_messenger_id", Channel::Facebook, true),
            ("whatsapp_opt_in", Channel::Whatsapp, false),
            ("sms_consent", Channel::Sms, false),
            ("whatsapp_phone_number", Channel::Sms, false),
            ("phone", Channel::Sms, false),
        ];
        for (name, channel, expected) in table {
            assert_eq!(is_named_for(channel, name), expected, "{name} {channel}");
        }
    }
}
