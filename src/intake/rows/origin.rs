//! The origin of a file that flexcast wrote: a header of the file records how the original was read, so that this
//! file is read in the same way.
//!
//! In: the options of an import. Out: a header such as `_import?phone=Phone+1&agent=Lead+Owner`, and the reverse.
//! Always: it survives a spreadsheet program, sorting and deleted rows.

use form_urlencoded::{Serializer, parse};

use crate::intake::Field;

/// The beginning of the header.
const PREFIX: &str = "_import?";

/// The options with which the original of a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The SHA-256 of the original's bytes, in hex.
    pub of: Option<String>,
    /// The `--map` options.
    pub map: Vec<(Field, String)>,
    /// The value of `--default-region`.
    pub default_region: Option<String>,
    /// Whether the file is an export of messages: then a field's column is not also an attribute.
    pub is_export: bool,
}

impl Origin {
    /// The origin in a file's headers, if there is one.
    pub(in crate::intake) fn among(headers: &[String]) -> Option<Self> {
        headers.iter().find_map(|header| Self::parse(header))
    }

    pub(super) fn is_header(header: &str) -> bool {
        header.starts_with(PREFIX)
    }

    fn parse(header: &str) -> Option<Self> {
        let text = header.trim().strip_prefix(PREFIX)?;
        let mut origin = Self::default();
        for (key, value) in parse(text.as_bytes()) {
            let value = value.into_owned();
            match (&*key, key.parse()) {
                ("of", _) => origin.of = Some(value),
                ("export", _) => origin.is_export = true,
                ("default_region", _) => origin.default_region = Some(value),
                (_, Ok(field)) => origin.map.push((field, value)),
                // A key of a later version.
                _ => {}
            }
        }
        Some(origin)
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> String {
        let mut text = Serializer::for_suffix(PREFIX.to_owned(), PREFIX.len());
        if let Some(of) = &self.of {
            text.append_pair("of", of);
        }
        for (field, header) in &self.map {
            text.append_pair(field.as_str(), header);
        }
        if let Some(region) = &self.default_region {
            text.append_pair("default_region", region);
        }
        if self.is_export {
            text.append_pair("export", "1");
        }
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_an_import_was_told() {
        let origin = Origin {
            of: Some("ab12".to_owned()),
            map: vec![
                (Field::Address, "T\u{e9}l. 1,Handy;2".to_owned()),
                (Field::Agent, "Lead \"Owner\"".to_owned()),
                (Field::Country, String::new()),
            ],
            default_region: Some("DE".to_owned()),
            is_export: true,
        };
        let header = origin.header();
        assert!(!header.contains([',', ';', '"', '\t', '|']), "{header}");
        let headers = ["phone".to_owned(), header];
        assert_eq!(Origin::among(&headers), Some(origin));
        assert_eq!(Origin::among(&headers[..1]), None);
    }
}
