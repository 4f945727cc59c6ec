//! The attributes of a task from the campaign and its customer: agents see them, and workflows route by them.
//!
//! In: `[task]` and a customer. Out: attributes. Always: of a customer's columns only those in `task.show` are
//! sent, because they are personal data that stay at Twilio; keys of Flex and flexcast are not overwritten.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::texts::particulars::is_empty;
use super::{Campaign, Template};
use crate::message::{Api, Customer, attribute_name};

/// Reserved attributes of tasks of Interactions: those that every task of flexcast has, and those that Flex or
/// flexcast reads.
const OF_INTERACTIONS: &[&str] = &[
    "customerName",
    "customerAddress",
    "name",
    "from",
    "direction",
    "conversationSid",
    "channelSid",
    "channelType",
    "flexInteractionSid",
    "flexInteractionChannelSid",
    "flexChannelInviteSid",
];

/// Reserved attributes of tasks of Flex Channels, and of their chat channels.
const OF_FLEX_CHANNELS: &[&str] = &[
    "to",
    "direction",
    "name",
    "from",
    "channelType",
    "channelSid",
    "channel_type",
    "status",
    "long_lived",
    "twilioNumber",
    "serviceNumber",
    "task_sid",
    "forwarding",
    "proxySession",
];

/// flexcast's marker, and all keys that begin with it.
const OURS: &str = "flexcast";

impl Campaign {
    /// The columns that are copied into the attributes of the task and the Conversation, by attribute name.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        self.task
            .show
            .iter()
            .map(|name| attribute_name(name))
            .collect()
    }

    /// Whether this attribute key is reserved for Flex or flexcast.
    #[must_use]
    pub fn is_reserved(&self, key: &str) -> bool {
        let taken = match self.api {
            Api::Conversations => OF_INTERACTIONS,
            Api::Proxy => OF_FLEX_CHANNELS,
        };
        let is_target = self.api == Api::Proxy && self.proxy.target_attribute == key;
        key.starts_with(OURS) || taken.contains(&key) || is_target
    }

    /// All columns that are sent with the task: those in `task.show`, and those that templates in `task.attributes`
    /// use.
    ///
    /// # Errors
    ///
    /// A sentence that names the invalid template.
    pub fn task_columns(&self) -> Result<BTreeSet<String>, String> {
        let mut columns: BTreeSet<String> = self.shown().into_iter().collect();
        for template in self.task_templates()? {
            columns.extend(template.columns());
        }
        Ok(columns)
    }

    /// The customer's attributes that `task.show` sends.
    #[must_use]
    pub fn shown_of(&self, customer: &Customer) -> Map<String, Value> {
        let value = |name: &String| {
            let attributes = customer.attributes.iter();
            let mut named = attributes.filter(|(own, _)| attribute_name(own) == *name);
            let exact = customer.attributes.get(name);
            exact
                .or_else(|| named.next().map(|(_, value)| value))
                .cloned()
        };
        let shown = self.shown().into_iter();
        shown
            .filter_map(|name| Some((name.clone(), value(&name).filter(|value| !is_empty(value))?)))
            .collect()
    }

    /// The campaign's part of a task's attributes, with the customer's and the agent's values filled in.
    ///
    /// # Errors
    ///
    /// A sentence that names the key and the missing value.
    pub fn task_fields(
        &self,
        customer: &Customer,
        agent: Option<&str>,
    ) -> Result<Map<String, Value>, String> {
        let mut fields = self.shown_of(customer);
        for (key, value) in &self.task.attributes {
            let filled = self
                .filled(value, customer, agent)
                .map_err(|detail| format!("task.attributes.{key}: {detail}"))?;
            fields.insert(key.clone(), filled);
        }
        Ok(fields)
    }

    fn filled(
        &self,
        value: &Value,
        customer: &Customer,
        agent: Option<&str>,
    ) -> Result<Value, String> {
        Ok(match value {
            Value::String(text) if is_template(text) => {
                // The template was checked when the campaign was applied.
                let template = Template::parse_again(text)?.on_missing(&self.on_missing);
                template.render(customer, agent)?.into()
            }
            Value::Array(list) => {
                let list = list.iter().map(|one| self.filled(one, customer, agent));
                Value::Array(list.collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let map = map.iter().map(|(key, one)| {
                    let filled = self.filled(one, customer, agent)?;
                    Ok((key.clone(), filled))
                });
                Value::Object(map.collect::<Result<_, String>>()?)
            }
            other => other.clone(),
        })
    }

    fn task_templates(&self) -> Result<Vec<Template>, String> {
        let mut found = Vec::new();
        for (key, value) in &self.task.attributes {
            collect(value, &mut found)
                .map_err(|detail| format!("task.attributes.{key}: {detail}"))?;
        }
        Ok(found)
    }
}

/// The errors in `[task]` that concern all customers, with their keys.
pub(super) fn refusals(campaign: &Campaign) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_taken = |key: &str| campaign.is_reserved(key);
    for key in campaign.task.attributes.keys().filter(|key| is_taken(key)) {
        wrong.push(format!(
            "task.attributes.{key}: Flex or flexcast uses this key; choose another"
        ));
    }
    for (name, written) in campaign.shown().iter().zip(&campaign.task.show) {
        if name.is_empty() {
            wrong.push(format!(
                "task.show: {written:?} is not the name of a column"
            ));
        } else if is_taken(name) {
            wrong.push(format!(
                "task.show: Flex or flexcast uses the key {name}; give the column another key in task.attributes: \
                 customer_{name} = \"{{{{ customer.attributes.{name} }}}}\""
            ));
        } else if campaign.task.attributes.contains_key(name) {
            wrong.push(format!(
                "task.show: {name} is in task.attributes too; name it in one of them"
            ));
        }
    }
    if let Err(error) = campaign.task_templates() {
        wrong.push(error);
    }
    wrong
}

fn collect(value: &Value, found: &mut Vec<Template>) -> Result<(), String> {
    match value {
        Value::String(text) if is_template(text) => found.push(Template::parse(text)?),
        Value::Array(list) => list.iter().try_for_each(|one| collect(one, found))?,
        Value::Object(map) => map.values().try_for_each(|one| collect(one, found))?,
        _ => {}
    }
    Ok(())
}

fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::message::Address;

    fn campaign(task: &str) -> Campaign {
        let text = "id='c'\nchannel='sms'\nsender='+12025550100'\nstrategy='task_now'\n";
        toml::from_str(&format!("{text}{task}")).expect(task)
    }

    fn customer() -> Customer {
        let attributes = [
            ("plan", json!("gold")),
            ("balance", json!(12)),
            ("note", json!(" ")),
            ("secret", json!("x")),
        ];
        Customer {
            address: Address::parse("+12025550173").expect("an address"),
            name: Some("Ann".to_owned()),
            time_zone: None,
            attributes: attributes
                .map(|(key, value)| (key.to_owned(), value))
                .into(),
        }
    }

    #[test]
    fn only_what_is_named_leaves() {
        let campaign = campaign(
            "[task]\nshow=['Plan','balance','note','other']\n[task.attributes]\nreason='renewal'\n\
             line='{{ customer.name }} for {{ agent.identity }}'\nnested={ list=['{{ customer.attributes.plan }}', 7] }\n",
        );
        let fields = campaign.task_fields(&customer(), Some("alice"));
        let expected = json!({
            "plan": "gold", "balance": 12, "reason": "renewal", "line": "Ann for alice",
            "nested": {"list": ["gold", 7]},
        });
        assert_eq!(fields.map(Value::Object), Ok(expected));
        assert!(refusals(&campaign).is_empty());
        let columns = campaign.task_columns().expect("templates");
        assert_eq!(
            Vec::from_iter(columns),
            ["balance", "note", "other", "plan"]
        );
    }

    #[test]
    fn what_is_flexs_or_ours_is_not_overwritten() {
        let table = [
            (
                "[task.attributes]\nflexcast='x'\n",
                "task.attributes.flexcast",
            ),
            (
                "[task.attributes]\nflexcast_undone=true\n",
                "flexcast_undone",
            ),
            ("[task.attributes]\ncustomerName='x'\n", "customerName"),
            ("[task]\nshow=['Name']\n", "customer_name"),
            ("[task]\nshow=['?']\n", "not the name of a column"),
            (
                "[task]\nshow=['plan']\n[task.attributes]\nplan='x'\n",
                "one of them",
            ),
            ("[task.attributes]\nx='{{ customer.nmae }}'\n", "nmae"),
            (
                "api='proxy'\n[task.attributes]\ntargetWorker='x'\n",
                "targetWorker",
            ),
            ("api='proxy'\n[task]\nshow=['Status']\n", "customer_status"),
        ];
        for (task, said) in table {
            let wrong = refusals(&campaign(task)).join("\n");
            assert!(wrong.contains(said), "{task}: {wrong}");
        }
    }

    #[test]
    fn a_particular_that_is_missing_is_named_with_its_key() {
        let campaign = campaign("[task.attributes]\nuntil='{{ customer.attributes.until }}'\n");
        let error = campaign
            .task_fields(&customer(), None)
            .expect_err("missing");
        assert!(error.starts_with("task.attributes.until: "), "{error}");
        assert!(
            error.contains("{{ customer.attributes.until }} is empty"),
            "{error}"
        );
    }
}
