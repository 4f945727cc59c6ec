//! Tests of templates.

use serde_json::json;

use crate::campaign::{OnMissing, Template};
use crate::message::{Address, Customer};

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
        ("{{ customer.attributes.x | date('%Q') }}", "%Q"),
        (
            "{% for a in range(1000) %}{% for b in range(1000) %}x{% endfor %}{% endfor %}",
            "does not come to an end",
        ),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", ""),
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
