//! Finds the columns of phone numbers by the words of their headers.
//!
//! In: a header's name. Out: its rank. Always: a mobile phone is preferred, because a landline cannot receive text
//! messages; a header with an unknown word (fax, type, consent, assistant, company) is not a phone column.

/// The rank of a phone column, the best one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::intake) enum Phone {
    Mobile,
    /// A second mobile phone, or one for work: `mobile_2`.
    OtherMobile,
    Whatsapp,
    Any,
    /// A phone at a certain place, or a second one: `business_phone`, `phone_2`.
    Other,
    /// The header does not mention phones: `to`, `number`.
    Generic,
}

/// Words for a mobile phone.
const MOBILE: &[&str] = &[
    "mobile",
    "mobiles",
    "mobilephone",
    "mobilenumber",
    "cell",
    "cellphone",
    "cellular",
    "gsm",
    "smartphone",
    // German, Dutch
    "handy",
    "handynummer",
    "mobil",
    "mobilfunk",
    "mobilfunknummer",
    "mobilnummer",
    "mobilnr",
    "mobiltelefon",
    "mobiltelefonnummer",
    "mobiel",
    "mobielnummer",
    // French, Spanish, Portuguese, Italian
    "portable",
    "movil",
    "celular",
    "telemovel",
    "cellulare",
    // Japanese
    "携帯",
    "携帯電話",
    "携帯電話番号",
    "携帯番号",
];

/// Words for a phone.
const PHONE: &[&str] = &[
    "phone",
    "phones",
    "phonenumber",
    "businessphone",
    "homephone",
    "telephone",
    "telephones",
    "tel",
    "msisdn",
    "telefon",
    "telefonnummer",
    "telefonnr",
    "rufnummer",
    "festnetz",
    "telefoon",
    "telefoonnummer",
    "telefono",
    "telefonos",
    "telefone",
    "fone",
    "電話",
    "電話番号",
    "自宅電話番号",
    "勤務先電話番号",
];

/// Neutral words, which say neither whose phone it is nor where.
const FILLERS: &[&str] = &[
    "",
    "number",
    "numbers",
    "no",
    "nr",
    "num",
    "nummer",
    "numero",
    "n",
    "value",
    "person",
    "contact",
    "customer",
    "client",
    "primary",
    "main",
    "preferred",
    "principal",
    "personal",
    "de",
    "du",
    "do",
    "del",
    "e164",
    "international",
];

/// Words for the place of a phone, or for another phone.
const PLACES: &[&str] = &[
    "home",
    "work",
    "business",
    "office",
    "direct",
    "other",
    "private",
    "billing",
    "shipping",
    "address",
    "default",
    "landline",
    "fixed",
    "privat",
    "geschaftlich",
    "geschaeftlich",
    "dienstlich",
    "bureau",
    "domicile",
    "travail",
    "professionnel",
    "fixe",
    "fijo",
    "trabajo",
    "casa",
    "particular",
    "trabalho",
    "comercial",
    "residencial",
    "fixo",
    "ufficio",
    "fisso",
];

/// Names that do not mention phones, the preferred one first.
const GENERIC: &[&str] = &["to", "recipient", "contact_number", "number", "address"];

/// The rank of the column of this name, if it is a phone column; `name` is folded.
pub(in crate::intake) fn phone(name: &str) -> Option<Phone> {
    if GENERIC.contains(&name) {
        return Some(Phone::Generic);
    }
    let (mut is_mobile, mut is_phone, mut is_whatsapp, mut is_other) = (false, false, false, false);
    for word in name.split('_') {
        let bare = word.trim_end_matches(|c: char| c.is_ascii_digit());
        // `phone_1` is the first of several, `phone_2` is not.
        is_other |= !matches!(&word[bare.len()..], "" | "1") && word != "e164";
        if MOBILE.contains(&bare) {
            is_mobile = true;
        } else if PHONE.contains(&bare) {
            is_phone = true;
        } else if bare == "whatsapp" {
            is_whatsapp = true;
        } else if PLACES.contains(&bare) {
            is_other = true;
        } else if !FILLERS.contains(&bare) && !FILLERS.contains(&word) {
            return None;
        }
    }
    match (is_mobile, is_whatsapp, is_phone) {
        (true, _, _) if is_other => Some(Phone::OtherMobile),
        (true, _, _) => Some(Phone::Mobile),
        (_, true, _) => Some(Phone::Whatsapp),
        (_, _, true) if is_other => Some(Phone::Other),
        (_, _, true) => Some(Phone::Any),
        _ => None,
    }
}

/// The columns that may contain phone numbers, the best one first; in the file's order for equal ranks.
pub(super) fn phones(names: &[String]) -> Vec<usize> {
    let generic = |name: &str| GENERIC.iter().position(|known| *known == name);
    let found = names.iter().enumerate();
    let found = found.filter_map(|(at, name)| Some((phone(name)?, generic(name), at)));
    let mut found: Vec<_> = found.collect();
    found.sort_unstable();
    found.into_iter().map(|(_, _, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phone_is_told_by_the_words_of_its_header() {
        let table = [
            ("mobile", Some(Phone::Mobile)),
            ("mobile_phone_number", Some(Phone::Mobile)),
            ("_mobilenumber", Some(Phone::Mobile)),
            ("person_phone_mobile", Some(Phone::Mobile)),
            ("tel_mobile", Some(Phone::Mobile)),
            ("numero_de_celular", Some(Phone::Mobile)),
            ("携帯電話番号", Some(Phone::Mobile)),
            ("mobile_2", Some(Phone::OtherMobile)),
            ("work_mobile", Some(Phone::OtherMobile)),
            ("whatsapp_number", Some(Phone::Whatsapp)),
            ("phone_1_value", Some(Phone::Any)),
            ("phone1", Some(Phone::Any)),
            ("n_de_telephone", Some(Phone::Any)),
            ("phone_e164", Some(Phone::Any)),
            ("phone_2_value", Some(Phone::Other)),
            ("telefon_geschaftlich", Some(Phone::Other)),
            ("billing_phone", Some(Phone::Other)),
            ("default_address_phone", Some(Phone::Other)),
            ("address", Some(Phone::Generic)),
            // Not the customer's phone, or not a phone.
            ("fax_number", None),
            ("phone_1_label", None),
            ("phone_type", None),
            ("phone_country_code", None),
            ("phone_consent", None),
            ("mobile_app_version", None),
            ("assistants_phone", None),
            ("emergency_phone", None),
            ("company_phone", None),
            ("home_address", None),
            ("number_of_employees", None),
            ("contact", None),
            ("1", None),
        ];
        for (name, expected) in table {
            assert_eq!(phone(name), expected, "{name}");
        }
    }
}
