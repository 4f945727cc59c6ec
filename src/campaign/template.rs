//! The text of a message, with the customer's and the agent's particulars filled in.
//!
//! In: a template (Jinja's syntax) and a customer. Out: the text as the customer will read it.
//! Always: a particular that is missing or empty is an error unless the template has a `default` for
//! it; nobody receives "Hello ,".

use std::collections::BTreeMap;

use minijinja::value::Serde;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use crate::message::{Customer, masked};

/// What a template can say of the customer and of the agent.
const CUSTOMER: &[&str] = &["name", "address", "time_zone", "attributes"];
const AGENT: &[&str] = &["identity", "worker"];

/// A template that was parsed. Cheap enough to render for every message.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Environment<'static>,
}

/// The one template in an environment; its name stands in minijinja's errors.
const NAME: &str = "template";

impl Template {
    /// Parses a template and looks whether it names only what there is: `customer.name`,
    /// `.address`, `.time_zone`, `.attributes.<column>`, and `agent.identity` (or `agent.worker`, the
    /// same).
    ///
    /// # Errors
    ///
    /// A sentence that names the line or the name that is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(|error| sentence(&error))?;
        let template = Self { environment };
        template.check_names()?;
        template.check_filters()?;
        Ok(template)
    }

    /// Fills in one customer. `agent` is the Worker as the row or the campaign names it.
    ///
    /// # Errors
    ///
    /// A sentence that names what is missing, without the customer's address.
    pub fn render(&self, customer: &Customer, agent: Option<&str>) -> Result<String, String> {
        let template = self.environment.get_template(NAME);
        let context = BTreeMap::from([
            ("customer", of_customer(customer)),
            ("agent", of_agent(agent)),
        ]);
        template
            .and_then(|template| template.render(Value::from(context)))
            .map_err(|error| {
                let address = customer.address.as_str();
                sentence(&error).replace(address, &masked(address))
            })
    }

    /// Filters, functions and tests are looked up only when a template is rendered: renders it once,
    /// forgiving what this customer has not.
    fn check_filters(&self) -> Result<(), String> {
        use ErrorKind::{UnknownFilter, UnknownFunction, UnknownMethod, UnknownTest};
        let mut environment = self.environment.clone();
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        let template = environment.get_template(NAME);
        match template.and_then(|template| template.render(anybody())) {
            Err(error)
                if matches!(
                    error.kind(),
                    UnknownFilter | UnknownFunction | UnknownMethod | UnknownTest
                ) =>
            {
                Err(sentence(&error))
            }
            _ => Ok(()),
        }
    }

    fn check_names(&self) -> Result<(), String> {
        let template = self.environment.get_template(NAME);
        let names = template
            .map_err(|error| sentence(&error))?
            .undeclared_variables(true);
        let functions: Vec<&str> = self.environment.globals().map(|(name, _)| name).collect();
        // Sorted, for a set's order differs from run to run and the first wrong name is reported.
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

/// Somebody, to try a template on.
fn anybody() -> Value {
    let texts = CUSTOMER[..3].iter().map(|key| (*key, Value::from("x")));
    let attributes = Value::from(BTreeMap::<&str, Value>::new());
    let known = texts.chain([("attributes", attributes)]);
    Value::from(BTreeMap::from([
        ("customer", Value::from(known.collect::<BTreeMap<_, _>>())),
        ("agent", of_agent(Some("x"))),
    ]))
}

/// What is missing or empty is left out, so that the template sees it as undefined.
fn of_customer(customer: &Customer) -> Value {
    let mut known = BTreeMap::from([("address", Value::from(customer.address.as_str()))]);
    let texts = [("name", &customer.name), ("time_zone", &customer.time_zone)];
    for (key, text) in texts {
        if let Some(text) = text.as_deref().filter(|text| !text.trim().is_empty()) {
            known.insert(key, Value::from(text));
        }
    }
    let attributes = customer.attributes.iter();
    let attributes: BTreeMap<&str, Value> = attributes
        .filter(|(_, value)| !is_empty(value))
        .map(|(key, value)| (key.as_str(), Value::from(Serde(value))))
        .collect();
    known.insert("attributes", Value::from(attributes));
    Value::from(known)
}

fn of_agent(agent: Option<&str>) -> Value {
    let known: BTreeMap<&str, Value> = match agent {
        Some(agent) if !agent.trim().is_empty() => {
            AGENT.iter().map(|key| (*key, agent.into())).collect()
        }
        _ => BTreeMap::new(),
    };
    Value::from(known)
}

fn is_empty(value: &serde_json::Value) -> bool {
    value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn sentence(error: &Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::UndefinedError, detail) => format!(
            "a particular is missing or empty and has no default{}",
            detail
                .map(|detail| format!(": {detail}"))
                .unwrap_or_default()
        ),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("{what} (line {line} of the template)"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Address;

    fn customer(name: Option<&str>) -> Customer {
        let attributes = [
            ("plan", json!("gold")),
            ("seats", json!(3)),
            ("note", json!(" ")),
            ("void", json!(null)),
        ];
        Customer {
            address: Address::parse("+12025550173").expect("an address"),
            name: name.map(str::to_owned),
            time_zone: None,
            attributes: attributes.map(|(k, v)| (k.to_owned(), v)).into(),
        }
    }

    fn rendered(text: &str, name: Option<&str>, agent: Option<&str>) -> Result<String, String> {
        Template::parse(text)
            .expect(text)
            .render(&customer(name), agent)
    }

    #[test]
    fn particulars_are_filled_in() {
        let table = [
            ("Hello {{ customer.name }}!\n", "Hello Clark!"),
            (
                "{{ customer.attributes.plan }} {{ customer.attributes['seats'] }}",
                "gold 3",
            ),
            (
                "client:{{ agent.identity }}={{ agent.worker }}",
                "client:alice=alice",
            ),
            (
                "{% if customer.attributes.plan == 'gold' %}Hi{% endif %}",
                "Hi",
            ),
            ("to {{ customer.address }}", "to +12025550173"),
            ("<b> & 'x' {{ '<' }}", "<b> & 'x' <"),
            ("{{ range(2) | join(',') }}", "0,1"),
        ];
        for (text, expected) in table {
            let found = rendered(text, Some("Clark"), Some("alice"));
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_missing_or_empty_takes_its_default_or_fails() {
        let greeting = "Hello {{ customer.name | default(\"there\") }}";
        for name in [None, Some(""), Some("  ")] {
            assert_eq!(rendered(greeting, name, None).as_deref(), Ok("Hello there"));
            assert!(rendered("Hello {{ customer.name }},", name, None).is_err());
        }
        for text in [
            "{{ customer.attributes.note }}",
            "{{ customer.attributes.void }}",
            "{{ customer.attributes.other }}",
            "{{ customer.time_zone }}",
            "{{ agent.identity }}",
        ] {
            assert!(rendered(text, Some("Clark"), None).is_err(), "{text}");
            let text = text.replace(" }}", " | default('x') }}");
            assert_eq!(rendered(&text, None, None).as_deref(), Ok("x"), "{text}");
        }
    }

    #[test]
    fn a_template_that_can_never_work_is_refused_when_it_is_parsed() {
        let table = [
            ("Hello {{ customer.name", "line 1"),
            ("Hello\n{{ customer.nmae }}", "customer.nmae"),
            ("{{ name }}", "name is not known"),
            ("{{ agent.sid }}", "agent.sid"),
            ("{{ customer.name | shout }}", "shout"),
        ];
        for (text, said) in table {
            let error = Template::parse(text).err().unwrap_or_default();
            assert!(error.contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn an_error_names_what_is_missing_and_no_number() {
        let error = rendered("{{ customer.attributes.other }}", None, None).expect_err("missing");
        assert!(error.contains("other"), "{error}");
        let error = rendered("{{ customer.address | items }}", None, None).expect_err("no map");
        assert!(!error.contains("2025550173"), "{error}");
    }
}
