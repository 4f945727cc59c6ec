//! The rules for campaigns: they are checked when a campaign is applied, not for each message.
//!
//! In: a campaign as written. Out: refusals and warnings. Always: pure.

use super::task;
use super::texts::content::variable_key_misfit;
use super::texts::sizes::{TASK_ATTRIBUTES_BYTES_MAX, VARIABLES_MAX};
use super::{
    Campaign, InitiatedBy, MessageParticipant, OnMissing, ReplyRouting, ReplyTo, WhenUnavailable,
};
use crate::message::{Api, Channel, Strategy, is_short_code};

/// The text that `init` writes into a campaign file. It is never sent.
pub const PLACEHOLDER_BODY: &str = "Hello {{ customer.name | default(\"there\") }}, ...";

/// A notice to the operator about a campaign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Whether the campaign is refused; otherwise it is a warning.
    pub refused: bool,
    /// The key and the remedy.
    pub text: String,
}

/// Checks a campaign as written, without requests to Twilio.
#[must_use]
pub fn check(campaign: &Campaign) -> Vec<Notice> {
    let mut notices = Vec::new();
    check_senders(campaign, &mut notices);
    check_content(campaign, &mut notices);
    match campaign.api {
        Api::Conversations => check_conversations(campaign, &mut notices),
        Api::Proxy => check_proxy(campaign, &mut notices),
    }
    check_agents(campaign, &mut notices);
    check_times(campaign, &mut notices);
    for text in task::refusals(campaign) {
        refuse(&mut notices, text);
    }
    notices
}

/// The steps of one of the 16 combinations, in words for the documents.
#[must_use]
pub fn matrix(channel: Channel, strategy: Strategy, api: Api) -> &'static str {
    match (api, channel, strategy) {
        (Api::Proxy, Channel::Custom, Strategy::TaskNow) => "chat channel with a task, no session",
        (Api::Proxy, Channel::Custom, Strategy::TaskOnReply) => {
            "chat channel, message in the chat channel, no session"
        }
        (Api::Proxy, _, Strategy::TaskNow) => "chat channel with a task, Proxy session",
        (Api::Proxy, _, Strategy::TaskOnReply) => "chat channel, Proxy session, message",
        (Api::Conversations, _, Strategy::TaskNow) => {
            "Interaction, opening message if there is one"
        }
        (Api::Conversations, _, Strategy::TaskOnReply) => "Conversation, webhook, message",
    }
}

fn check_senders(campaign: &Campaign, notices: &mut Vec<Notice>) {
    if campaign.sender.is_some() && !campaign.senders.is_empty() {
        let text = "sender and senders: give one of them; senders takes one or more";
        refuse(notices, text.to_owned());
    }
    if campaign.senders().is_empty() {
        let text = "sender: give the number or identity the customer sees, or several in senders";
        refuse(notices, text.to_owned());
    }
    let key = |at: usize| match campaign.sender {
        Some(_) => "sender".to_owned(),
        None => format!("senders[{at}]"),
    };
    for (at, sender) in campaign.senders().iter().enumerate() {
        if let Err(error) = sender.check(campaign.channel)
            && !(campaign.channel == Channel::Sms && is_short_code(sender))
        {
            refuse(notices, format!("{}: {error}", key(at)));
        }
        if campaign.senders()[..at].contains(sender) {
            refuse(notices, format!("{}: it is listed twice", key(at)));
        }
    }
}

fn check_content(campaign: &Campaign, notices: &mut Vec<Notice>) {
    let sends = campaign.strategy == Strategy::TaskOnReply;
    if campaign.body.is_some() && campaign.content_sid.is_some() {
        refuse(notices, "body and content_sid: give one of them".to_owned());
    }
    if sends && !campaign.has_content() {
        let text = "body: task_on_reply sends a message; give body or content_sid";
        refuse(notices, text.to_owned());
    }
    if campaign.body.as_deref() == Some(PLACEHOLDER_BODY) {
        let text =
            "body: it is still the example that init wrote; write the text that customers get";
        refuse(notices, text.to_owned());
    }
    if let Some(sid) = &campaign.content_sid
        && !sid.starts_with("HX")
    {
        refuse(
            notices,
            "content_sid: a content template's SID starts with HX".to_owned(),
        );
    }
    if campaign.content_sid.is_none() && !campaign.content_variables.is_empty() {
        refuse(
            notices,
            "content_variables: they need a content_sid".to_owned(),
        );
    }
    check_variables(campaign, notices);
    if matches!(&campaign.on_missing, OnMissing::Text(text) if text.trim().is_empty()) {
        let text = "on_missing: it is empty; give \"reject\" or a substitute text";
        refuse(notices, text.to_owned());
    }
    if campaign.channel == Channel::Whatsapp && sends && campaign.content_sid.is_none() {
        let text = "content_sid: without a template WhatsApp takes a message only within 24 hours \
                    of the customer's last one (Twilio error 63016)";
        warn(notices, text.to_owned());
    }
}

/// Refuses content variables that Twilio would refuse in every message.
fn check_variables(campaign: &Campaign, notices: &mut Vec<Notice>) {
    let variables = &campaign.content_variables;
    for text in variables.keys().filter_map(|key| variable_key_misfit(key)) {
        refuse(notices, text);
    }
    if variables.len() > VARIABLES_MAX {
        let text = format!("content_variables: a template takes at most {VARIABLES_MAX}");
        refuse(notices, text);
    }
}

fn check_conversations(campaign: &Campaign, notices: &mut Vec<Notice>) {
    let settings = &campaign.conversations;
    if settings.reply_to == ReplyTo::Webhook {
        let text = "conversations.reply_to: \"webhook\" is not available yet; use \"studio\" and \
                    flex.studio_flow_sid";
        refuse(notices, text.to_owned());
        if settings.reply_routing == ReplyRouting::Invite {
            let text = "conversations.reply_routing: with \"invite\" an agent who declines leaves a \
                        conversation without an agent (Twilio's best practices for Flex Conversations, \
                        \"Handle declined agent reservations\"); give \"workflow\" and route to a known agent \
                        there. The default changes to it later";
            warn(notices, text.to_owned());
        }
    }
    let needs_flow =
        campaign.strategy == Strategy::TaskOnReply && settings.reply_to == ReplyTo::Studio;
    if needs_flow && campaign.flex.studio_flow_sid.is_none() {
        let text = "flex.studio_flow_sid: it is never guessed; give the Studio flow (FW...) that \
                    sends the customer's reply to Flex";
        refuse(notices, text.to_owned());
    }
    if settings.initiated_by == InitiatedBy::Agent
        && campaign.strategy == Strategy::TaskNow
        && campaign.agents.default.is_none()
    {
        let text = "agents.default: with initiated_by = \"agent\", rows without an agent are \
                    rejected";
        warn(notices, text.to_owned());
    }
}

fn check_proxy(campaign: &Campaign, notices: &mut Vec<Notice>) {
    if campaign.content_sid.is_some() {
        let text = "content_sid: Proxy cannot send a content template; use api = \"conversations\"";
        refuse(notices, text.to_owned());
    }
    if campaign.strategy == Strategy::TaskNow && campaign.body.is_some() {
        let text = "body: it is not sent: with api = \"proxy\" and task_now the agent writes first";
        warn(notices, text.to_owned());
    }
    if campaign.channel == Channel::Custom
        && campaign.strategy == Strategy::TaskOnReply
        && campaign.proxy.message_participant != MessageParticipant::Chat
    {
        let text = "proxy.message_participant: a custom channel has no Proxy session; the message \
                    is written to the chat channel";
        warn(notices, text.to_owned());
    }
    if campaign.senders().len() > 1 && campaign.flex.flex_flow_sid.is_some() {
        let text = "flex.flex_flow_sid: each of several senders has a Flex Flow of its own; leave it \
                    out, here and in flexcast.toml, or give flex.flex_flow_sids by sender";
        refuse(notices, text.to_owned());
    }
    if campaign.proxy.target_attribute.is_empty() {
        refuse(notices, "proxy.target_attribute: it is empty".to_owned());
    }
}

fn check_agents(campaign: &Campaign, notices: &mut Vec<Notice>) {
    let agents = &campaign.agents;
    let is_next = agents.when_unavailable == WhenUnavailable::Next;
    if is_next && agents.list.is_empty() {
        let text = "agents.list: when_unavailable = \"next\" takes the next agent of it; name them";
        refuse(notices, text.to_owned());
    }
    if !is_next && !agents.list.is_empty() {
        let text = "agents.list: it has no effect without when_unavailable = \"next\"";
        warn(notices, text.to_owned());
    }
    let mut seen = std::collections::BTreeSet::new();
    for name in &agents.list {
        if name.trim().is_empty() {
            refuse(notices, "agents.list: a name in it is empty".to_owned());
        } else if !seen.insert(name.to_lowercase()) {
            refuse(notices, format!("agents.list: {name:?} is listed twice"));
        }
    }
    let by_agent = campaign.api == Api::Conversations
        && campaign.conversations.initiated_by == InitiatedBy::Agent;
    if agents.when_unavailable == WhenUnavailable::Queue && by_agent {
        let text = "agents.when_unavailable: \"queue\" creates tasks without an agent, but with \
                    conversations.initiated_by = \"agent\" an agent initiates every Interaction; use \
                    \"auto\"";
        refuse(notices, text.to_owned());
    }
    let may_change = is_next || agents.when_unavailable == WhenUnavailable::Queue;
    if may_change && texts(campaign).any(|text| text.contains("agent.")) {
        let text = "agents.when_unavailable: the text names the agent, and the message may go to \
                    another one";
        warn(notices, text.to_owned());
    }
}

fn texts(campaign: &Campaign) -> impl Iterator<Item = &String> {
    let body = campaign.body.iter();
    body.chain(campaign.content_variables.values())
}

/// Conversations closes an open conversation after ten minutes at the earliest (`Timers.Closed`).
fn check_times(campaign: &Campaign, notices: &mut Vec<Notice>) {
    const SHORTEST_SECS: u64 = 600;
    if campaign.time_to_live.as_secs() < SHORTEST_SECS {
        let text = "time_to_live: the shortest is \"10m\" (Conversations' Timers.Closed)";
        refuse(notices, text.to_owned());
    }
    let makes_task = campaign.strategy == Strategy::TaskNow;
    if makes_task && campaign.task_attributes_bytes() > TASK_ATTRIBUTES_BYTES_MAX {
        let text = format!(
            "task.attributes: together with the attributes of every task they exceed the \
             {TASK_ATTRIBUTES_BYTES_MAX} bytes that TaskRouter takes"
        );
        refuse(notices, text);
    }
    if campaign.task.timeout.is_zero() {
        refuse(notices, "task.timeout: it is zero".to_owned());
    }
}

fn refuse(notices: &mut Vec<Notice>, text: String) {
    notices.push(Notice {
        refused: true,
        text,
    });
}

fn warn(notices: &mut Vec<Notice>, text: String) {
    notices.push(Notice {
        refused: false,
        text,
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn campaign(text: &str) -> Campaign {
        toml::from_str(text).expect("TOML of a campaign")
    }

    fn refusals(text: &str) -> Vec<String> {
        let notices = check(&campaign(text));
        let refused = notices.into_iter().filter(|notice| notice.refused);
        refused.map(|notice| notice.text).collect()
    }

    const SMS: &str = "id='c'\nchannel='sms'\nsender='+12025550100'\n";

    #[test]
    fn what_cannot_be_carried_out_is_refused_with_its_key() {
        let table = [
            ("strategy='task_on_reply'\n", "body"),
            (
                "strategy='task_on_reply'\nbody='x'\n",
                "flex.studio_flow_sid",
            ),
            (
                "strategy='task_now'\ncontent_sid='HX1'\nbody='x'\n",
                "content_sid",
            ),
            (
                "strategy='task_now'\napi='proxy'\ncontent_sid='HX1'\n",
                "content_sid",
            ),
            ("strategy='task_now'\ntime_to_live='1m'\n", "time_to_live"),
            ("strategy='task_now'\non_missing=' '\n", "on_missing"),
            // Error 50540.
            (
                "strategy='task_now'\ncontent_sid='HX1'\ncontent_variables={abcdefghijklmnopq='x'}\n",
                "17 characters",
            ),
            (
                "strategy='task_now'\n[agents]\nwhen_unavailable='next'\n",
                "agents.list",
            ),
            (
                "strategy='task_now'\n[agents]\nwhen_unavailable='next'\nlist=['a','A']\n",
                "agents.list",
            ),
            (
                "strategy='task_now'\n[agents]\nwhen_unavailable='queue'\n[conversations]\n\
                 initiated_by='agent'\n",
                "agents.when_unavailable",
            ),
            (
                "strategy='task_now'\n[conversations]\nreply_to='webhook'\n",
                "conversations.reply_to",
            ),
        ];
        for (rest, key) in table {
            let refused = refusals(&format!("{SMS}{rest}"));
            assert!(
                refused.iter().any(|text| text.contains(key)),
                "{rest}: {refused:?}"
            );
        }
    }

    #[test]
    fn every_combination_of_channel_strategy_and_api_is_carried_out() {
        let senders = ["+12025550100", "+12025550100", "messenger:77", "kiosk"];
        for (channel, sender) in Channel::ALL.iter().zip(senders) {
            for strategy in Strategy::ALL {
                for api in Api::ALL {
                    let text = format!(
                        "id='c'\nchannel='{channel}'\nsender='{sender}'\nstrategy='{strategy}'\n\
                         api='{api}'\nbody='x'\n[flex]\nstudio_flow_sid='FW1'\n"
                    );
                    assert_eq!(refusals(&text), Vec::<String>::new(), "{text}");
                    assert!(!matrix(*channel, *strategy, *api).is_empty());
                }
            }
        }
    }

    #[test]
    fn invites_for_a_reply_are_warned_about_and_workflows_are_not() {
        for (routing, warned) in [("invite", true), ("workflow", false)] {
            let notices = check(&campaign(&format!(
                "{SMS}strategy='task_on_reply'\nbody='x'\n[conversations]\nreply_to='webhook'\n\
                 reply_routing='{routing}'\n"
            )));
            let mut warnings = notices.iter().filter(|notice| !notice.refused);
            let is_warned = warnings.any(|notice| notice.text.contains("reply_routing"));
            assert_eq!(is_warned, warned, "{routing}: {notices:?}");
        }
    }

    #[test]
    fn whatsapp_without_a_template_is_warned_about() {
        let notices = check(&campaign(
            "id='c'\nchannel='whatsapp'\nsender='+12025550100'\nstrategy='task_on_reply'\n\
             body='x'\n[flex]\nstudio_flow_sid='FW1'\n",
        ));
        assert_eq!(notices.len(), 1);
        assert!(!notices[0].refused && notices[0].text.contains("63016"));
    }
}
