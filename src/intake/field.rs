//! What a column can hold, and the headers it is found under.

use std::str::FromStr;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::message::{Channel, attribute_name, closed_list};

/// What a column can hold that this program understands.
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
    /// A country, by its code or its name: whose national numbers the row's number may be.
    Country,
    /// The customer's IANA time zone.
    TimeZone,
    /// RFC 3339: not to be begun before.
    NotBefore,
    /// RFC 3339: not to be begun after.
    ExpiresAt,
}

// `phone`, not `address`, is what people type in `--map`; `Field::from_str` takes both.
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
    /// The headers it is found under, the preferred first: the names that CRMs and spreadsheets use
    /// in their exports. Mobile goes before phone, for a landline takes no text message.
    pub(super) fn aliases(self, channel: Channel) -> &'static [&'static str] {
        match (self, channel) {
            (Self::Address, Channel::Sms | Channel::Whatsapp) => PHONE_ALIASES,
            (Self::Address, Channel::Facebook | Channel::Custom) => IDENTITY_ALIASES,
            (Self::Agent, _) => &["agent", "agent_name", "worker", "worker_sid"],
            (Self::Name, _) => &["name", "full_name", "customer_name", "contact_name"],
            (Self::Id, _) => &["id", "external_id", "contact_id", "customer_id"],
            (Self::Country, _) => &["country", "country_code"],
            (Self::TimeZone, _) => &["time_zone", "timezone", "tz"],
            (Self::NotBefore, _) => &["not_before", "send_at"],
            (Self::ExpiresAt, _) => &["expires_at", "expires"],
        }
    }
}

/// Headers of people who look after a customer: perhaps the agents, which only the operator can say.
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
    "propietario",
    "proprietaire",
    "responsable",
    "responsabile",
];

/// Whether a column is named for the campaign's channel: "WhatsApp Phone Number", and not "WhatsApp opt-in". `name` is
/// folded.
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

const PHONE_ALIASES: &[&str] = &[
    "mobile_phone_number",
    "mobile_phone",
    "mobilephone",
    "mobile_number",
    "mobile",
    "movil",
    "_mobilenumber",
    "cell_phone",
    "cellphone",
    "cell",
    "cell_number",
    "celular",
    "handy",
    "whatsapp",
    "whatsapp_number",
    "whatsapp_phone_number",
    "msisdn",
    "phone_number",
    "phone",
    "telephone",
    "telephone_number",
    "telefon",
    "telefono",
    "telefonnummer",
    "to",
    "recipient",
    "number",
    "address",
];
const IDENTITY_ALIASES: &[&str] = &["address", "identity", "to", "recipient", "phone"];

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
            format!("{text:?} is no field; the fields are {}", known.join(", "))
        })
    }
}

/// Reads `FIELD=HEADER` as `--map` takes it. An empty header means no column, not even by an alias. Several headers,
/// with commas between them, mean the first of them that is filled.
///
/// # Errors
///
/// A sentence that says what the option takes.
pub fn parse_mapping(text: &str) -> Result<(Field, String), String> {
    let (field, header) = text
        .split_once('=')
        .ok_or_else(|| format!("{text:?} is no mapping; it takes FIELD=HEADER"))?;
    Ok((field.parse()?, header.trim().to_owned()))
}

/// A header's name as aliases are written: without accents.
pub(super) fn folded(name: &str) -> String {
    name.nfd().filter(|c| !is_combining_mark(*c)).collect()
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
