//! The Workers of a workspace as they were last read: their names, and who is available.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use super::{Agent, AgentError};
use crate::twilio::Worker;

/// One reading of all Workers, plus Workers that were asked for by name since.
#[derive(Debug, Default)]
pub(super) struct Staff {
    /// When the reading was asked for. None: there is none yet.
    pub(super) read_at: Option<Instant>,
    workers: BTreeMap<String, Worker>,
    by_name: BTreeMap<String, BTreeSet<String>>,
    by_identity: BTreeMap<String, BTreeSet<String>>,
    /// Names that resolved to a Worker when asked for one by one: lists need not show identities.
    asked: BTreeMap<String, String>,
    /// Names that resolved to no Worker when asked for one by one.
    pub(super) unknown: BTreeSet<String>,
    /// The agents that were handed out. They outlive a reading.
    agents: BTreeMap<String, Arc<Agent>>,
}

impl Staff {
    /// Replaces the reading.
    pub(super) fn read(&mut self, workers: Vec<Worker>, at: Instant) {
        self.workers.clear();
        self.by_name.clear();
        self.by_identity.clear();
        self.unknown.clear();
        self.read_at = Some(at);
        for worker in workers {
            self.add(worker);
        }
    }

    /// Adds a Worker that was looked up by `name`, because the list has no Worker of this name.
    pub(super) fn add_as(&mut self, name: &str, worker: Worker) {
        self.asked.insert(name.to_owned(), worker.sid.clone());
        self.add(worker);
    }

    fn add(&mut self, worker: Worker) {
        let sid = worker.sid.clone();
        // "Friendly names are case insensitive" (Twilio's OpenAPI, TaskRouter).
        let name = worker.friendly_name.to_lowercase();
        self.by_name.entry(name).or_default().insert(sid.clone());
        if worker.attributes.is_some() {
            let identity = worker.identity().to_owned();
            let of_identity = self.by_identity.entry(identity).or_default();
            of_identity.insert(sid.clone());
        }
        self.workers.insert(sid, worker);
    }

    /// The agent with this SID, and whether their activity allows tasks. None: their attributes are not known yet.
    pub(super) fn agent(&mut self, sid: &str) -> Option<(Arc<Agent>, bool)> {
        let worker = self.workers.get(sid)?;
        if let Some(agent) = self.agents.get(sid) {
            return Some((Arc::clone(agent), worker.available));
        }
        worker.attributes.as_ref()?;
        let worker = worker.clone();
        Some(self.meet(&worker))
    }

    /// Hands out a Worker, whose attributes are known, as an agent.
    pub(super) fn meet(&mut self, worker: &Worker) -> (Arc<Agent>, bool) {
        let agent = Arc::new(Agent::from(worker));
        self.agents.insert(agent.sid.clone(), Arc::clone(&agent));
        (agent, worker.available)
    }

    /// The Worker with this SID, friendly name or identity; None if none is known.
    pub(super) fn find(&self, name: &str) -> Result<Option<&Worker>, AgentError> {
        if let Some(worker) = self.workers.get(name) {
            return Ok(Some(worker));
        }
        let identity = name.strip_prefix("client:").unwrap_or(name);
        let named = self.by_name.get(&name.to_lowercase());
        let Some(found) = named.or_else(|| self.by_identity.get(identity)) else {
            let asked = self.asked.get(name);
            return Ok(asked.and_then(|sid| self.workers.get(sid)));
        };
        if found.len() > 1 {
            return Err(AgentError::Several {
                name: name.to_owned(),
                found: found.iter().cloned().collect(),
            });
        }
        Ok(found.first().and_then(|sid| self.workers.get(sid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(n: u8, name: &str, uri: Option<&str>) -> Worker {
        let sid = format!("WK{n:032x}");
        let attributes = uri.map(|uri| format!(r#"{{"contact_uri":"client:{uri}"}}"#));
        let row = serde_json::json!({
            "sid": sid, "friendly_name": name, "attributes": attributes, "available": true,
        });
        serde_json::from_value(row).expect("a worker")
    }

    #[test]
    fn a_worker_is_found_by_sid_by_name_and_by_identity_and_never_by_guessing() {
        let mut staff = Staff::default();
        let workers = vec![
            worker(1, "Alice A", Some("alice")),
            worker(2, "bob", Some("shared")),
            worker(3, "carol", Some("shared")),
            worker(4, "dave", None),
        ];
        staff.read(workers, Instant::now());
        let sid = |name: &str| {
            let found = staff.find(name).ok().flatten();
            found.map(|worker| worker.sid[33..].to_owned())
        };
        let table = [
            ("WK00000000000000000000000000000001", Some("1")),
            ("alice a", Some("1")),
            ("alice", Some("1")),
            ("client:alice", Some("1")),
            ("bob", Some("2")),
            ("dave", Some("4")),
            ("Alice", None),
            ("erin", None),
        ];
        for (name, expected) in table {
            assert_eq!(sid(name).as_deref(), expected, "{name}");
        }
        staff.add_as("Dave's own", worker(4, "dave", None));
        let dave = staff.find("Dave's own").ok().flatten();
        assert_eq!(dave.map(|worker| &*worker.friendly_name), Some("dave"));
        let several = staff.find("shared").expect_err("two of them");
        assert!(several.to_string().contains("use a SID"), "{several}");
    }
}
