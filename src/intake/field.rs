//! What a column can hold, and the headers it is found under.

use std::str::FromStr;

use crate::message::{Channel, closed_list};

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
    /// Two letters: whose national numbers the row's number may be.
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
        let text = normalised(text);
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

/// Reads `FIELD=HEADER` as `--map` takes it. An empty header means: no column, whatever the aliases.
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

/// Lower case, `_` for every run of spaces, `_`, `-`, `.` and `/`: `E-Mail Address ` is
/// `e_mail_address`.
pub(super) fn normalised(header: &str) -> String {
    let header = header.trim_start_matches('\u{feff}').trim().to_lowercase();
    let mut name = String::with_capacity(header.len());
    for c in header.chars() {
        let is_gap = c.is_whitespace() || "_-./".contains(c);
        match (is_gap, name.ends_with('_')) {
            (true, true) => {}
            (true, false) => name.push('_'),
            (false, _) => name.push(c),
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}

/// A header's normalised name as aliases are written: without the accents of Latin letters.
pub(super) fn folded(name: &str) -> String {
    let plain = |c| match c {
        'à'..='å' => 'a',
        'ç' => 'c',
        'è'..='ë' => 'e',
        'ì'..='ï' => 'i',
        'ñ' => 'n',
        'ò'..='ö' => 'o',
        'ù'..='ü' => 'u',
        other => other,
    };
    name.chars().map(plain).collect()
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
    fn headers_are_compared_without_their_spelling() {
        let table = [
            (" Phone  Number ", "phone_number"),
            ("E-Mail / Address.", "e_mail_address"),
            ("\u{feff}_MobileNumber", "_mobilenumber"),
        ];
        for (header, expected) in table {
            assert_eq!(normalised(header), expected);
        }
    }
}
