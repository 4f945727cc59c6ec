//! The texts of a campaign, rendered for each customer.
//!
//! In: a campaign and a customer. Out: the body and the content template's variables. Always: the texts are
//! rendered once, when the message is accepted, and stored with it; a retry sends the same text.

pub(super) mod template;
#[cfg(test)]
mod template_tests;
pub(super) mod spelling;
pub(super) mod particulars;
pub(super) mod dates;
pub(super) mod content;
pub(super) mod sizes;
pub(super) mod zones;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Campaign, Template, UnknownColumns};
use crate::message::Customer;

/// The rule for a value that is missing or empty and has no `default` in the template. In a campaign file:
/// `"reject"`, or the substitute text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum OnMissing {
    #[default]
    Reject,
    Text(String),
}

impl From<String> for OnMissing {
    fn from(text: String) -> Self {
        if text == "reject" {
            Self::Reject
        } else {
            Self::Text(text)
        }
    }
}

impl From<OnMissing> for String {
    fn from(on_missing: OnMissing) -> Self {
        match on_missing {
            OnMissing::Reject => "reject".to_owned(),
            OnMissing::Text(text) => text,
        }
    }
}

/// The parsed templates of a campaign.
#[derive(Clone, Debug)]
pub struct Texts {
    body: Option<Template>,
    content_variables: Vec<(String, Template)>,
}

/// The texts for one customer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rendered {
    pub body: Option<String>,
    pub content_variables: BTreeMap<String, String>,
}

impl Texts {
    /// Parses the campaign's templates.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and the error.
    pub fn of(campaign: &Campaign) -> Result<Self, String> {
        let parse = |key: &str, text: &str| match Template::parse(text) {
            Ok(template) => Ok(template.on_missing(&campaign.on_missing)),
            Err(error) => Err(format!("{key}: {error}")),
        };
        let body = campaign.body.as_deref().map(|body| parse("body", body));
        let variables = campaign.content_variables.iter().map(|(name, text)| {
            let template = parse(&format!("content_variables.{name}"), text)?;
            Ok((name.clone(), template))
        });
        Ok(Self {
            body: body.transpose()?,
            content_variables: variables.collect::<Result<_, String>>()?,
        })
    }

    /// The columns that the templates use, by attribute name.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        self.by_key()
            .flat_map(|(_, template)| template.columns())
            .collect()
    }

    /// The columns that the templates use and that are not among `names`, by the template's key.
    #[must_use]
    pub fn unknown_columns(&self, names: &BTreeSet<String>) -> Vec<(String, UnknownColumns)> {
        let unknown = self
            .by_key()
            .map(|(key, template)| (key, template.unknown_columns(names)));
        unknown
            .filter(|(_, unknown)| !unknown.names.is_empty())
            .collect()
    }

    fn by_key(&self) -> impl Iterator<Item = (String, &Template)> {
        let body = self.body.iter().map(|body| ("body".to_owned(), body));
        let variables = self.content_variables.iter();
        body.chain(variables.map(|(name, one)| (format!("content_variables.{name}"), one)))
    }

    /// Renders the templates for one customer; `agent` is the Worker's name from the row or the campaign.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and the missing value, without the customer's address.
    pub fn render(&self, customer: &Customer, agent: Option<&str>) -> Result<Rendered, String> {
        let mut rendered = Rendered::default();
        if let Some(body) = &self.body {
            let body = body.render(customer, agent);
            rendered.body = Some(body.map_err(|detail| format!("body: {detail}"))?);
        }
        for (name, template) in &self.content_variables {
            let value = template
                .render(customer, agent)
                .map_err(|detail| format!("content_variables.{name}: {detail}"))?;
            rendered.content_variables.insert(name.clone(), value);
        }
        Ok(rendered)
    }
}
