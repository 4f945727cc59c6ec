//! The texts of a campaign, for one customer after the other.
//!
//! In: a campaign and a customer. Out: the body and the content template's variables. Always:
//! rendered once, when a message is accepted, and kept with it: nobody's text changes on a retry.

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

/// What to do about a particular that is missing or empty and has no `default` in the template. In a
/// campaign file: `"reject"`, or the text that stands in for it.
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

/// A campaign's templates, parsed.
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
    /// Parses what a campaign sends.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and what is wrong.
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

    /// The columns that they name, by their attributes' names.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        self.by_key()
            .flat_map(|(_, template)| template.columns())
            .collect()
    }

    /// Columns that they name and that are not among `names`, by the template's key.
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

    /// Renders them for one customer; `agent` is the Worker as the row or the campaign names it.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and what is missing, without the customer's address.
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
