//! The text of a message, with the customer's and the agent's particulars filled in.
//!
//! In: a template (Jinja's syntax) and a customer. Out: the text as the customer will read it.
//! Always: a particular that is missing or empty takes the template's `default`, else what the
//! campaign puts in its place, else the text is refused; nobody receives "Hello ,", nothing at all, or
//! a placeholder.

use std::collections::BTreeMap;

use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};

use super::OnMissing;
use super::particulars::{AGENT, CUSTOMER, is_missing, of_agent, of_customer, or_default};
use crate::message::{Customer, masked};

/// A template that was parsed. Cheap enough to render for every message.
#[derive(Clone, Debug)]
pub struct Template {
    environment: Environment<'static>,
    on_missing: OnMissing,
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
        environment.set_undefined_behavior(UndefinedBehavior::SemiStrict);
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(|error| sentence(&error))?;
        let template = Self {
            environment,
            on_missing: OnMissing::Reject,
        };
        template.check_names()?;
        template.check_filters()?;
        Ok(template)
    }

    /// The same template, with what stands in for a particular that is missing and has no `default`.
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

    /// Fills in one customer. `agent` is the Worker as the row or the campaign names it.
    ///
    /// # Errors
    ///
    /// A sentence that names what is missing, without the customer's address; also when the text is
    /// empty or a placeholder is left in it.
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
        ("agent", of_agent(Some("x"), &OnMissing::Reject)),
    ]))
}

/// Why nobody should receive this text, whoever wrote it.
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

    #[test]
    fn a_campaign_can_put_a_text_in_place_of_what_is_missing() {
        let table = [
            ("Hello {{ customer.name }},", "Hello friend,"),
            ("Hello {{ customer.name | upper }},", "Hello FRIEND,"),
            ("Hello {{ customer.name | default('you') }},", "Hello you,"),
            ("{{ customer.attributes.note }}", "friend"),
            ("{{ customer.attributes['other'] }}", "friend"),
            ("{{ customer.attributes.plan }}", "gold"),
            ("{{ agent.identity }}", "friend"),
            ("{% if customer.name %}Hi{% else %}Ho{% endif %}", "Ho"),
            (
                "{% if customer.name is defined %}Hi{% else %}Ho{% endif %}",
                "Ho",
            ),
        ];
        let on_missing = OnMissing::Text("friend".to_owned());
        for (text, expected) in table {
            let template = Template::parse(text).expect(text).on_missing(&on_missing);
            let found = template.render(&customer(None), None);
            assert_eq!(found.as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn nobody_receives_nothing_or_a_placeholder() {
        let greeting = "{% if customer.name %}Hello {{ customer.name }}{% endif %}";
        assert_eq!(
            rendered(greeting, Some("Zoe"), None).as_deref(),
            Ok("Hello Zoe")
        );
        let table = [
            (greeting, None, "empty"),
            (
                "Hello {{ customer.name }}",
                Some("{{contact.first}}"),
                "placeholder",
            ),
            (
                "{% raw %}{{ customer.name }}{% endraw %}",
                Some("Zoe"),
                "placeholder",
            ),
        ];
        for (text, name, said) in table {
            let error = rendered(text, name, None).expect_err(text);
            assert!(error.contains(said), "{error}");
        }
    }
}
