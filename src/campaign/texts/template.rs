//! Templates: the text of a message with the customer's and the agent's values.
//!
//! In: a template (Jinja's syntax) and a customer. Out: the text for the customer. Always: a value that is missing
//! or empty is replaced by the template's `default`, else by the campaign's substitute; without either, the text is
//! refused. No customer receives "Hello ,", an empty text or a placeholder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use minijinja::value::Rest;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::particulars::{
    AGENT, CUSTOMER, DATE, MissingNames, date, is_missing, made_up_customer, of_agent, of_customer,
    or_default,
};
use super::spelling::spelled_out;
use crate::campaign::OnMissing;
use crate::message::{Customer, attribute_name, masked};

/// A parsed template. Cheap to render for every message.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Environment<'static>,
    on_missing: OnMissing,
}

/// The name of the only template in an environment; minijinja's errors contain it.
const NAME: &str = "template";

/// The most steps of a template for one customer: a text of several pages takes a few hundred.
const STEPS_MAX: u64 = 100_000;

/// Columns that a template uses and a file does not have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnknownColumns {
    /// Their attribute names.
    pub names: BTreeSet<String>,
    /// Whether no row can be rendered without them.
    pub are_needed: bool,
}

impl Template {
    /// Parses a template and checks that it uses only known names: `customer.name`, `.address`, `.time_zone`,
    /// `.attributes.<column>`, and `agent.identity` (or `agent.worker`, the same).
    ///
    /// # Errors
    ///
    /// A sentence that names the wrong line or name.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = Self::parse_again(text)?;
        template.check_names()?;
        template.check_filters()?;
        Ok(template)
    }

    /// Parses a text that [`Self::parse`] has accepted before, without the check of its names.
    ///
    /// # Errors
    ///
    /// A sentence that names the wrong line.
    pub(in crate::campaign) fn parse_again(text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        // With debug, errors name the missing value.
        environment.set_debug(true);
        environment.set_fuel(Some(STEPS_MAX));
        environment.add_filter("date", date);
        environment
            .add_template_owned(NAME, spelled_out(text))
            .map_err(|error| sentence(&error))?;
        Ok(Self {
            environment,
            on_missing: OnMissing::Reject,
        })
    }

    /// The same template with the rule for values that are missing and have no `default`.
    #[must_use]
    pub fn on_missing(mut self, on_missing: &OnMissing) -> Self {
        if *on_missing != OnMissing::Reject {
            self.environment.add_filter("default", or_default);
            self.environment.add_filter("d", or_default);
            self.environment
                .add_test("defined", |value: Value| !is_missing(&value));
            self.environment
                .add_test("undefined", |value: Value| is_missing(&value));
        }
        self.on_missing = on_missing.clone();
        self
    }

    /// Renders the template for one customer. `agent` is the Worker's name from the row or the campaign.
    ///
    /// # Errors
    ///
    /// A sentence that names the missing value, without the customer's address. Also when the text is empty or
    /// still contains a placeholder.
    pub fn render(&self, customer: &Customer, agent: Option<&str>) -> Result<String, String> {
        let template = self.environment.get_template(NAME);
        let context = BTreeMap::from([
            ("customer", of_customer(customer, &self.on_missing)),
            ("agent", of_agent(agent, &self.on_missing)),
        ]);
        let text = template
            .and_then(|template| template.render(Value::from(context)))
            .map_err(|error| {
                let address = customer.address.as_str();
                sentence(&error).replace(address, &masked(address))
            })?;
        unfit(&text).map_or(Ok(text), |why| Err(why.to_owned()))
    }

    /// The columns that the template uses and that are not among `names` ([`attribute_name`]).
    #[must_use]
    pub fn unknown_columns(&self, names: &BTreeSet<String>) -> UnknownColumns {
        let asked = MissingNames::default();
        // First a lenient run finds all columns in use; then a strict run, as for a customer, finds whether they
        // are required.
        let _ = self.try_on(UndefinedBehavior::Chainable, names, &asked);
        let tried = self.try_on(UndefinedBehavior::SemiStrict, names, &asked);
        let mut unknown: BTreeSet<String> = self
            .columns()
            .into_iter()
            .filter(|name| !names.contains(name))
            .collect();
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.extend(asked.iter().map(|name| attribute_name(name)));
        let is_undefined = |error: Error| error.kind() == ErrorKind::UndefinedError;
        UnknownColumns {
            are_needed: !unknown.is_empty()
                && self.on_missing == OnMissing::Reject
                && tried.is_err_and(is_undefined),
            names: unknown,
        }
    }

    /// The columns that the template uses, by attribute name, as far as they can be found without a customer.
    #[must_use]
    pub fn columns(&self) -> BTreeSet<String> {
        let Ok(template) = self.environment.get_template(NAME) else {
            return BTreeSet::new();
        };
        let asked = MissingNames::default();
        let _ = self.try_on(UndefinedBehavior::Chainable, &BTreeSet::new(), &asked);
        let asked = asked.lock().unwrap_or_else(PoisonError::into_inner);
        let names = template.undeclared_variables(true);
        let names = names.iter().filter_map(|name| {
            let name = name.strip_prefix("customer.attributes.")?;
            name.split('.').next()
        });
        let all = names.chain(asked.iter().map(String::as_str));
        all.map(attribute_name).collect()
    }

    /// Renders the template for a sample customer with attributes of these names, none of which is a date.
    fn try_on(
        &self,
        behaviour: UndefinedBehavior,
        names: &BTreeSet<String>,
        asked: &MissingNames,
    ) -> Result<String, Error> {
        let mut environment = self.environment.clone();
        environment.set_undefined_behavior(behaviour);
        environment.add_filter("date", |value: &Value, _: Rest<Value>| value.clone());
        render_made_up(&environment, names, asked)
    }

    /// Renders the template once, ignoring missing values: filters, functions and tests are resolved only during
    /// rendering.
    fn check_filters(&self) -> Result<(), String> {
        use ErrorKind::{OutOfFuel, UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
        let mut environment = self.environment.clone();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        let rendered = render_made_up(&environment, &BTreeSet::new(), &MissingNames::default());
        let Err(error) = rendered else {
            return Ok(());
        };
        let is_of_the_template = matches!(
            error.kind(),
            OutOfFuel | UnknownFilter | UnknownFunction | UnknownMethod | UnknownTest
        );
        let is_of_a_date = error
            .detail()
            .is_some_and(|detail| detail.starts_with(DATE));
        match is_of_the_template || is_of_a_date {
            true => Err(sentence(&error)),
            false => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), String> {
        let template = self.environment.get_template(NAME);
        let names = template
            .map_err(|error| sentence(&error))?
            .undeclared_variables(true);
        let functions: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
        // Sorted, so that the first wrong name in the error is the same in every run.
        let mut names: Vec<_> = names.into_iter().collect();
        names.sort();
        for name in &names {
            let mut parts = name.split('.');
            match (parts.next(), parts.next()) {
                (Some("customer"), None) | (Some("agent"), None) => {}
                (Some("customer"), Some(part)) if CUSTOMER.contains(&part) => {}
                (Some("customer"), Some(part)) => {
                    return Err(format!(
                        "customer.{part} is not known; a column of the file is \
                         customer.attributes.{part}, and a customer has {}",
                        CUSTOMER.join(", ")
                    ));
                }
                (Some("agent"), Some(part)) if AGENT.contains(&part) => {}
                (Some("agent"), Some(part)) => {
                    let known = AGENT.join(", ");
                    return Err(format!("agent.{part} is not known; an agent has {known}"));
                }
                (Some(name), _) if functions.contains(&name) => {}
                _ => {
                    return Err(format!(
                        "{name} is not known; a template can say customer and agent"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Renders the template of an environment for a sample customer with attributes of these names.
fn render_made_up(
    environment: &Environment<'_>,
    names: &BTreeSet<String>,
    asked: &MissingNames,
) -> Result<String, Error> {
    let context = BTreeMap::from([
        ("customer", made_up_customer(names, asked)),
        ("agent", of_agent(Some("x"), &OnMissing::Reject)),
    ]);
    environment.get_template(NAME)?.render(Value::from(context))
}

/// Why this text must not be sent, if so.
#[must_use]
pub fn unfit(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        Some("the text is empty")
    } else if text.contains("{{") || text.contains("{%") {
        Some("a placeholder is left in the text: it has {{ or {%")
    } else {
        None
    }
}

fn sentence(error: &Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, detail) => {
            let name = detail.and_then(undefined_name);
            let name = name.map_or("a value".to_owned(), |name| format!("{{{{ {name} }}}}"));
            format!("{name} is empty: fill it, or add a default to the template")
        }
        (ErrorKind::OutOfFuel, _) => format!(
            "it does not come to an end: it takes more than {STEPS_MAX} steps for one customer"
        ),
        (_, Some(detail)) if detail.starts_with(DATE) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

/// The undefined name in minijinja's error: "(`customer.name` is undefined)".
fn undefined_name(detail: &str) -> Option<&str> {
    let (_, rest) = detail.split_once('`')?;
    let (name, _) = rest.split_once('`')?;
    Some(name)
}
