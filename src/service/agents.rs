//! Looks up the agents of a file in the account.

use async_trait::async_trait;

use super::looking_twilio;
use crate::campaign::{Campaign, discover};
use crate::clock::Clock;
use crate::config::Config;
use crate::engine::{AgentDirectory, AgentError, AgentRules};
use crate::operate::{AgentLookup, AgentQuery, AgentsAtTwilio};
use crate::twilio::Twilio;

/// The maximum number of agents that are looked up: TaskRouter answers only a few such requests a second.
const AGENTS_MAX: usize = 100;

/// The agents of the account in this configuration, if the configuration has credentials.
pub struct AccountAgents<'a>(pub &'a Config);

#[async_trait]
impl AgentLookup for AccountAgents<'_> {
    async fn look_up(&self, campaign: &Campaign, query: AgentQuery<'_>) -> AgentsAtTwilio {
        let mut agents = AgentsAtTwilio::default();
        if let Err(why) = self.ask(campaign, query, &mut agents).await {
            agents.because = Some(why);
        }
        let known = agents.found.len() + agents.unknown.len() + agents.ambiguous.len();
        agents.not_looked_up = (query.names.len() - known) as u64;
        if query.with_capacity && agents.tasks_at_once.is_empty() {
            let why = "no agent was found".to_owned();
            let because = agents.because.clone();
            agents
                .capacity_because
                .get_or_insert(because.unwrap_or(why));
        }
        agents
    }
}

impl AccountAgents<'_> {
    async fn ask(
        &self,
        campaign: &Campaign,
        query: AgentQuery<'_>,
        agents: &mut AgentsAtTwilio,
    ) -> Result<(), String> {
        let names = query.names;
        if names.is_empty() {
            return Ok(());
        }
        let twilio = looking_twilio(self.0).map_err(|error| error.to_string())?;
        let workspace = self.workspace(campaign, &twilio).await?;
        let rules = AgentRules::default();
        let directory = AgentDirectory::new(workspace, rules, Clock::system());
        for name in names.iter().take(AGENTS_MAX) {
            let of_its_kind = match directory.resolve(&twilio, name).await {
                Ok(_) => &mut agents.found,
                Err(AgentError::Unknown(_)) => &mut agents.unknown,
                Err(AgentError::Several { .. }) => &mut agents.ambiguous,
                Err(AgentError::Call(error)) => return Err(error.sentence()),
            };
            of_its_kind.push((*name).to_owned());
        }
        if names.len() > AGENTS_MAX {
            agents.because = Some(format!("only the first {AGENTS_MAX} are looked up"));
        }
        if query.with_capacity {
            let read = read_capacity(campaign, &twilio, &directory, agents).await;
            agents.capacity_because = read.err();
        }
        Ok(())
    }

    async fn workspace(&self, campaign: &Campaign, twilio: &Twilio) -> Result<String, String> {
        let told = campaign.flex.workspace_sid.clone();
        if let Some(sid) = told.or_else(|| self.0.file.flex.workspace_sid.clone()) {
            return Ok(sid);
        }
        let configuration = twilio.fetch_configuration().await;
        let configuration = configuration.map_err(|error| error.sentence())?;
        let sid = configuration.taskrouter_workspace_sid;
        sid.ok_or_else(|| {
            "flex.workspace_sid: the account's Flex configuration names none".to_owned()
        })
    }
}

/// Reads how many tasks each agent that was found takes at once, on the task channel of the campaign.
async fn read_capacity(
    campaign: &Campaign,
    twilio: &Twilio,
    directory: &AgentDirectory,
    agents: &mut AgentsAtTwilio,
) -> Result<(), String> {
    let mut campaign = campaign.clone();
    if campaign.flex.task_channel.is_none() {
        let found = discover(twilio, &mut campaign).await;
        found.map_err(|error| error.to_string())?;
    }
    let channel = campaign.flex.task_channel.unwrap_or_default();
    for name in &agents.found {
        let read = directory.tasks_at_once(twilio, name, &channel).await;
        if let Some(tasks) = read.map_err(|error| error.to_string())? {
            agents.tasks_at_once.insert(name.clone(), tasks);
        }
    }
    Ok(())
}
