//! Items about agents: who is named, who exists, and what happens with the others.

use crate::campaign::WhenUnavailable;
use crate::operate::wording::{counted, grouped, listed};

use super::{CheckCode, CheckItem, CheckState, Checked};

impl Checked<'_> {
    pub(super) fn of_agents(&self) -> Vec<CheckItem> {
        let items = [
            self.agents(),
            self.unknown_agents(),
            self.ambiguous_agents(),
            self.unchecked_agents(),
            self.default_agent(),
            self.no_agent(),
        ];
        items.into_iter().flatten().collect()
    }

    fn agents(&self) -> Option<CheckItem> {
        let named = self.by_agent.len() as u64;
        if named == 0 {
            return None;
        }
        let found = self.named(&self.agents.found).len() as u64;
        let mut text = format!("Agents: {} named", grouped(named));
        match found {
            0 => {}
            found if found == named => text.push_str(", all in Flex"),
            found => text.push_str(&format!(", {} of them in Flex", grouped(found))),
        }
        text.push('.');
        if self.preview.without_agent + self.preview.with_default_agent == 0 {
            text.push_str(" Every row has one.");
        }
        let item = CheckItem::ok(CheckCode::Agents, text);
        Some(item.counts([("named", named), ("in_flex", found)]))
    }

    fn unknown_agents(&self) -> Option<CheckItem> {
        let names = self.named(&self.agents.unknown);
        if names.is_empty() {
            return None;
        }
        let messages = self.messages_of(&names);
        let agents = &self.campaign.agents;
        let (what, ends) = match agents.when_unavailable {
            WhenUnavailable::Next if !agents.list.is_empty() => {
                ("The agents of agents.list get them.", false)
            }
            WhenUnavailable::Queue => ("The workflow assigns them to other agents.", false),
            WhenUnavailable::Skip => ("They are skipped.", true),
            WhenUnavailable::Hold | WhenUnavailable::Next => (
                "They cannot be sent, and end as dead (unknown_agent).",
                true,
            ),
        };
        let text = format!(
            "{} for agents that Flex does not have: {}. {what}",
            are(messages),
            self.with_messages(&names)
        );
        let state = match ends && messages == self.to_send() {
            true => CheckState::Stop,
            false => CheckState::Warn,
        };
        let item = CheckItem::new(CheckCode::UnknownAgents, state, text);
        Some(item.counts(self.each(&names)))
    }

    fn ambiguous_agents(&self) -> Option<CheckItem> {
        let names = self.named(&self.agents.ambiguous);
        if names.is_empty() {
            return None;
        }
        let text = format!(
            "{} for names that several Workers have: {}. They cannot be sent, and end as dead (unknown_agent): write \
             the Worker's SID (WK...) in place of the name.",
            are(self.messages_of(&names)),
            self.with_messages(&names)
        );
        let item = CheckItem::warn(CheckCode::AmbiguousAgents, text);
        Some(item.counts(self.each(&names)))
    }

    fn unchecked_agents(&self) -> Option<CheckItem> {
        let because = self.agents.because.as_ref()?;
        let agents = self.agents.not_looked_up;
        let text = format!(
            "{} not looked up in Flex: {because}.",
            match agents {
                1 => "1 agent was".to_owned(),
                agents => format!("{} agents were", grouped(agents)),
            }
        );
        Some(CheckItem::warn(CheckCode::UncheckedAgents, text).counts([("agents", agents)]))
    }

    fn default_agent(&self) -> Option<CheckItem> {
        let rows = self.preview.with_default_agent;
        let default = self.campaign.agents.default.as_ref()?;
        if rows == 0 {
            return None;
        }
        let (name, get) = match rows {
            1 => ("names", "It gets"),
            _ => ("name", "They get"),
        };
        let text = format!(
            "{} {name} no agent. {get} {default} (agents.default).",
            counted(rows, "row")
        );
        Some(CheckItem::ok(CheckCode::NoAgent, text).counts([("default_agent", rows)]))
    }

    fn no_agent(&self) -> Option<CheckItem> {
        let rows = self.preview.without_agent;
        if rows == 0 {
            return None;
        }
        let assigns = "The workflow decides who gets the tasks";
        let (state, text) = match rows == self.preview.acceptable {
            true => (CheckState::Ok, format!("No row has an agent. {assigns}.")),
            false => {
                let have = if rows == 1 { "has" } else { "have" };
                let rows = counted(rows, "row");
                (
                    CheckState::Warn,
                    format!("{rows} {have} no agent. {assigns}; agents.default would set one."),
                )
            }
        };
        let item = CheckItem::new(CheckCode::NoAgent, state, text);
        Some(item.counts([("no_agent", rows)]))
    }

    /// Those of these agents who have messages.
    fn named<'a>(&self, agents: &'a [String]) -> Vec<&'a str> {
        let names = agents.iter().map(String::as_str);
        names
            .filter(|name| self.by_agent.contains_key(*name))
            .collect()
    }

    fn messages_of(&self, names: &[&str]) -> u64 {
        let messages = names.iter().filter_map(|name| self.by_agent.get(*name));
        messages.sum()
    }

    /// Each name with its number of messages.
    fn each(&self, names: &[&str]) -> Vec<(String, u64)> {
        let each = names.iter();
        each.map(|name| ((*name).to_owned(), self.messages_of(&[name])))
            .collect()
    }

    /// Agents' names, each with its number of messages: `alice (2), bob (1)`.
    fn with_messages(&self, names: &[&str]) -> String {
        let each = self.each(names).into_iter();
        let each = each.map(|(name, messages)| format!("{name} ({})", grouped(messages)));
        listed(each, names.len() as u64)
    }
}

/// `1 message is`, `12 messages are`.
fn are(messages: u64) -> String {
    let are = if messages == 1 { "is" } else { "are" };
    format!("{} {are}", counted(messages, "message"))
}
