//! Column names that the template language cannot parse as names.
//!
//! In: a template. Out: the same, with `customer.attributes.2nd_plan` as `customer.attributes["2nd_plan"]`. Always:
//! text outside placeholders and text in quotes stay unchanged.

use unicode_ident::is_xid_continue;

/// The text before a column's name.
const BEFORE: &str = "attributes.";

/// Rewrites names that begin with a digit.
pub(super) fn spelled_out(template: &str) -> String {
    let mut text = String::with_capacity(template.len());
    let mut rest = template;
    let mut inside = Inside::Text;
    while let Some(c) = rest.chars().next() {
        inside = inside.after(rest);
        let is_name = inside == Inside::Code && c.is_ascii_digit() && text.ends_with(BEFORE);
        let end = if is_name {
            rest.find(|c| !is_xid_continue(c)).unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let (taken, behind) = rest.split_at(end);
        if is_name {
            text.pop();
            text.push_str(&format!("[\"{taken}\"]"));
        } else {
            text.push_str(taken);
        }
        rest = behind;
    }
    text
}

/// The position in a template.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Text,
    Code,
    Quotes(char),
    /// After a backslash in quotes.
    Escaped(char),
}

impl Inside {
    /// The position of the first character of `rest`.
    fn after(self, rest: &str) -> Self {
        let first = rest.chars().next().unwrap_or_default();
        match self {
            Self::Text if rest.starts_with("{{") || rest.starts_with("{%") => Self::Code,
            Self::Code if rest.starts_with("}}") || rest.starts_with("%}") => Self::Text,
            Self::Code if matches!(first, '"' | '\'') => Self::Quotes(first),
            Self::Quotes(quote) if first == '\\' => Self::Escaped(quote),
            Self::Quotes(quote) if first == quote => Self::Code,
            Self::Escaped(quote) => Self::Quotes(quote),
            same => same,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_with_a_digit_can_be_said() {
        let table = [
            (
                "{{ customer.attributes.2nd_plan }}",
                "{{ customer.attributes[\"2nd_plan\"] }}",
            ),
            (
                "{% if customer.attributes.2nd %}x{% endif %}",
                "{% if customer.attributes[\"2nd\"] %}x{% endif %}",
            ),
            (
                "{{ customer.attributes.plan }}",
                "{{ customer.attributes.plan }}",
            ),
            ("customer.attributes.2nd", "customer.attributes.2nd"),
            ("{{ 'attributes.2nd' }}", "{{ 'attributes.2nd' }}"),
            (
                "{{ \"a\\\"attributes.2\" ~ 1.5 }}",
                "{{ \"a\\\"attributes.2\" ~ 1.5 }}",
            ),
        ];
        for (template, expected) in table {
            assert_eq!(spelled_out(template), expected);
        }
    }
}
