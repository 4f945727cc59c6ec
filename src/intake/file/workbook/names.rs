//! Names of months and days in the languages of number formats.
//!
//! In: a number format's code, such as `[$-407]dddd, d. mmmm yyyy`. Out: the names in its language, here German.
//! Always: English if it names no language; none for an unsupported language.

use ssfmt::Locale;

/// The months and days of a language, long and short; the week begins on Sunday.
type Names = (
    [&'static str; 12],
    [&'static str; 12],
    [&'static str; 7],
    [&'static str; 7],
);

/// The names for a code; `None` for an unsupported language.
pub(super) fn locale(code: &str) -> Option<Locale> {
    let names = match language(code) {
        // The system formats for date and time (0xF800, 0xF400) have no language.
        None | Some(0x00 | 0x09) => return Some(Locale::en_us()),
        Some(0x07) => GERMAN,
        Some(0x0A) => SPANISH,
        Some(0x0C) => FRENCH,
        Some(0x10) => ITALIAN,
        Some(0x13) => DUTCH,
        Some(0x16) => PORTUGUESE,
        Some(_) => return None,
    };
    let (month_names_full, month_names_short, day_names_full, day_names_short) = names;
    Some(Locale {
        month_names_full,
        month_names_short,
        day_names_full,
        day_names_short,
        ..Locale::en_us()
    })
}

/// The primary language of `[$...-407]`: the lower byte of the locale's number (MS-LCID).
fn language(code: &str) -> Option<u32> {
    let mut rest = code;
    while let Some((_, tag)) = rest.split_once("[$") {
        let (tag, after) = tag.split_once(']')?;
        let number = tag
            .rsplit_once('-')
            .and_then(|(_, number)| u32::from_str_radix(number, 16).ok());
        if let Some(number) = number {
            return Some(number & 0xFF);
        }
        rest = after;
    }
    None
}

const GERMAN: Names = (
    [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    [
        "Jan", "Feb", "Mär", "Apr", "Mai", "Jun", "Jul", "Aug", "Sep", "Okt", "Nov", "Dez",
    ],
    [
        "Sonntag",
        "Montag",
        "Dienstag",
        "Mittwoch",
        "Donnerstag",
        "Freitag",
        "Samstag",
    ],
    ["So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"],
);

const SPANISH: Names = (
    [
        "enero",
        "febrero",
        "marzo",
        "abril",
        "mayo",
        "junio",
        "julio",
        "agosto",
        "septiembre",
        "octubre",
        "noviembre",
        "diciembre",
    ],
    [
        "ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sep", "oct", "nov", "dic",
    ],
    [
        "domingo",
        "lunes",
        "martes",
        "miércoles",
        "jueves",
        "viernes",
        "sábado",
    ],
    ["dom", "lun", "mar", "mié", "jue", "vie", "sáb"],
);

const FRENCH: Names = (
    [
        "janvier",
        "février",
        "mars",
        "avril",
        "mai",
        "juin",
        "juillet",
        "août",
        "septembre",
        "octobre",
        "novembre",
        "décembre",
    ],
    [
        "janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.",
        "déc.",
    ],
    [
        "dimanche", "lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi",
    ],
    ["dim.", "lun.", "mar.", "mer.", "jeu.", "ven.", "sam."],
);

const ITALIAN: Names = (
    [
        "gennaio",
        "febbraio",
        "marzo",
        "aprile",
        "maggio",
        "giugno",
        "luglio",
        "agosto",
        "settembre",
        "ottobre",
        "novembre",
        "dicembre",
    ],
    [
        "gen", "feb", "mar", "apr", "mag", "giu", "lug", "ago", "set", "ott", "nov", "dic",
    ],
    [
        "domenica",
        "lunedì",
        "martedì",
        "mercoledì",
        "giovedì",
        "venerdì",
        "sabato",
    ],
    ["dom", "lun", "mar", "mer", "gio", "ven", "sab"],
);

const DUTCH: Names = (
    [
        "januari",
        "februari",
        "maart",
        "april",
        "mei",
        "juni",
        "juli",
        "augustus",
        "september",
        "oktober",
        "november",
        "december",
    ],
    [
        "jan", "feb", "mrt", "apr", "mei", "jun", "jul", "aug", "sep", "okt", "nov", "dec",
    ],
    [
        "zondag",
        "maandag",
        "dinsdag",
        "woensdag",
        "donderdag",
        "vrijdag",
        "zaterdag",
    ],
    ["zo", "ma", "di", "wo", "do", "vr", "za"],
);

const PORTUGUESE: Names = (
    [
        "janeiro",
        "fevereiro",
        "março",
        "abril",
        "maio",
        "junho",
        "julho",
        "agosto",
        "setembro",
        "outubro",
        "novembro",
        "dezembro",
    ],
    [
        "jan", "fev", "mar", "abr", "mai", "jun", "jul", "ago", "set", "out", "nov", "dez",
    ],
    [
        "domingo",
        "segunda-feira",
        "terça-feira",
        "quarta-feira",
        "quinta-feira",
        "sexta-feira",
        "sábado",
    ],
    ["dom", "seg", "ter", "qua", "qui", "sex", "sáb"],
);
