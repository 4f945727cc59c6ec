//! Faults: which operations fail, how and how often; by rate or by script.
//!
//! In: rules, as JSON (the same for `--faults FILE` and `PUT /_simulator/faults`). Out: the faults of each request.
//! Always: the same seed, operation, customer and number of earlier requests give the same decision, in any order of
//! other customers' requests.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A set of rules. The default has no rule and causes no fault.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Faults {
    /// The seed that decides which requests a rate selects, and which customers a share selects.
    pub seed: u64,
    pub rules: Vec<Rule>,
    /// The delay after which a new resource appears in lists and look-ups by filter or name, in place of the
    /// settings' `listing_delay`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub listing_delay_ms: Option<u64>,
}

/// One rule: a selection of requests, and their fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// An operation's name, `changing` (every POST and DELETE) or `*`.
    #[serde(default = "every")]
    pub operation: String,
    pub kind: FaultKind,
    /// Before or after the effect. The default is before; `lost_reply` comes after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// The share of requests that it affects, 0 to 1. Without `rate`, `nth` and `first`: all requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Affects these requests of the rule, counted from 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nth: Vec<u64>,
    /// Affects this many first requests of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Affects only requests about these customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customers: Option<Customers>,
    /// The HTTP status of `server_error` (500) and `error` (400).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Twilio's error code of `error` (20001), `server_error` and `setup_failure`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The additional time of `latency`, the time that `lost_reply` holds the connection, or the delay of
    /// `late_effect`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// `Retry-After` of `too_many_requests`, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

fn every() -> String {
    "*".to_owned()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The request takes `ms` longer.
    Latency,
    /// 429, never carried out.
    TooManyRequests,
    /// A 5xx.
    ServerError,
    /// The connection is reset (TCP RST), without a reply.
    Reset,
    /// The connection is closed without a reply, after `ms`.
    LostReply,
    /// The request is carried out after `ms`, and the connection is then closed without a reply.
    LateEffect,
    /// An error of Twilio, with `status` and `code`.
    Error,
    /// The interaction is accepted, and its channel fails afterwards, with `code`.
    SetupFailure,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// The request is not carried out.
    Before,
    /// The request has been carried out, although the reply is an error.
    After,
}

/// The customers that a rule affects.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Customers {
    /// These addresses; `whatsapp:` may be left out.
    These(Vec<String>),
    /// This share of all customers: the same customers at every request.
    Share(CustomerShare),
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CustomerShare {
    pub rate: f64,
}

/// A set of rules that is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("faults, rule {rule}: {reason}")]
pub struct InvalidFaults {
    /// The number of the rule, counted from 1.
    pub rule: usize,
    pub reason: &'static str,
}

impl Faults {
    /// Checks that every rule is valid and names an existing operation.
    ///
    /// # Errors
    ///
    /// [`InvalidFaults`] names the first rule that is not valid.
    pub(super) fn check(&self, is_operation: impl Fn(&str) -> bool) -> Result<(), InvalidFaults> {
        for (at, rule) in self.rules.iter().enumerate() {
            let wrong = rule.wrong().or_else(|| {
                let known = matches!(rule.operation.as_str(), "*" | "changing")
                    || is_operation(&rule.operation);
                (!known).then_some("there is no operation of this name; * and changing stand for several operations")
            });
            if let Some(reason) = wrong {
                return Err(InvalidFaults {
                    rule: at + 1,
                    reason,
                });
            }
        }
        Ok(())
    }
}

impl Rule {
    fn wrong(&self) -> Option<&'static str> {
        let share = match &self.customers {
            Some(Customers::Share(share)) => share.rate,
            _ => 0.0,
        };
        let in_range = |rate: f64| (0.0..=1.0).contains(&rate);
        if !in_range(self.rate.unwrap_or(0.0)) || !in_range(share) {
            return Some("a rate must be between 0 and 1");
        }
        match self.kind {
            FaultKind::Latency | FaultKind::LateEffect if self.ms.is_none() => {
                Some("ms is missing")
            }
            FaultKind::TooManyRequests | FaultKind::LateEffect | FaultKind::SetupFailure
                if self.when == Some(When::After) =>
            {
                Some("this kind has no `after`, because the request is never processed")
            }
            FaultKind::ServerError if self.status.is_some_and(|s| !(500..600).contains(&s)) => {
                Some("the status of a server error must be 5xx")
            }
            FaultKind::Error if self.status.is_some_and(|s| !(400..600).contains(&s)) => {
                Some("the status of an error must be 4xx or 5xx")
            }
            _ => None,
        }
    }

    pub(super) fn falls(&self) -> When {
        let usual = match self.kind {
            FaultKind::LostReply => When::After,
            _ => When::Before,
        };
        self.when.unwrap_or(usual)
    }
}

/// The properties of a request that rules check.
#[derive(Clone, Copy, Debug)]
pub(super) struct FaultSubject<'a> {
    pub(super) operation: &'a str,
    pub(super) changing: bool,
    pub(super) customer: Option<&'a str>,
}

/// The faults of one request: the delays of any number of rules, and at most one other fault, the first that applies.
#[derive(Clone, Debug, Default)]
pub(super) struct Fate {
    pub(super) before_ms: u64,
    pub(super) after_ms: u64,
    pub(super) fault: Option<Rule>,
}

/// The rules, and how often each rule was checked.
#[derive(Debug, Default)]
pub(super) struct Dice {
    faults: Faults,
    asked: BTreeMap<(usize, String), u64>,
}

impl Dice {
    pub(super) fn new(faults: Faults) -> Self {
        Self {
            faults,
            asked: BTreeMap::new(),
        }
    }

    pub(super) fn fate(&mut self, subject: FaultSubject<'_>) -> Fate {
        let mut fate = Fate::default();
        for at in 0..self.faults.rules.len() {
            if !self.applies(at, subject) {
                continue;
            }
            let rule = &self.faults.rules[at];
            match (rule.kind, rule.falls()) {
                (FaultKind::Latency, When::Before) => fate.before_ms += rule.ms.unwrap_or(0),
                (FaultKind::Latency, When::After) => fate.after_ms += rule.ms.unwrap_or(0),
                _ if fate.fault.is_none() => fate.fault = Some(rule.clone()),
                _ => {}
            }
        }
        fate
    }

    fn applies(&mut self, at: usize, subject: FaultSubject<'_>) -> bool {
        let seed = self.faults.seed;
        let rule = &self.faults.rules[at];
        let meant = match rule.operation.as_str() {
            "*" => true,
            "changing" => subject.changing,
            name => name == subject.operation,
        };
        let customer = subject.customer.map(bare).unwrap_or_default();
        let concerned = match &rule.customers {
            None => true,
            Some(Customers::These(list)) => {
                !customer.is_empty() && list.iter().any(|one| bare(one) == customer)
            }
            Some(Customers::Share(share)) => {
                !customer.is_empty()
                    && chance(&[&seed.to_string(), "customer", customer]) < share.rate
            }
        };
        if !meant || !concerned {
            return false;
        }
        let mut nth = |who: String| {
            let count = self.asked.entry((at, who)).or_insert(0);
            *count += 1;
            *count
        };
        if !rule.nth.is_empty() || rule.first.is_some() {
            let count = nth(String::new());
            return rule.nth.contains(&count) || rule.first.is_some_and(|first| count <= first);
        }
        let Some(rate) = rule.rate else {
            return true;
        };
        let count = nth(format!("{} {customer}", subject.operation));
        let seed = seed.to_string();
        let (at, count) = (at.to_string(), count.to_string());
        chance(&[&seed, &at, subject.operation, customer, &count]) < rate
    }
}

/// The address without the prefix of its channel.
pub(super) fn bare(address: &str) -> &str {
    address.strip_prefix("whatsapp:").unwrap_or(address)
}

/// A number from 0 to 1 that depends only on the parts.
fn chance(parts: &[&str]) -> f64 {
    let digest = Sha256::digest(parts.join("\n"));
    let mut head = [0; 4];
    head.copy_from_slice(&digest[..4]);
    f64::from(u32::from_be_bytes(head)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(json: &str) -> Faults {
        let faults: Faults = serde_json::from_str(json).expect("faults");
        faults
            .check(|name| name == "create_session")
            .expect("valid");
        faults
    }

    fn ask(dice: &mut Dice, customer: &str) -> Option<FaultKind> {
        let subject = FaultSubject {
            operation: "create_session",
            changing: true,
            customer: Some(customer),
        };
        dice.fate(subject).fault.map(|rule| rule.kind)
    }

    #[test]
    fn a_script_falls_on_its_requests_alone() {
        let mut dice = Dice::new(faults(
            r#"{"rules": [{"operation": "create_session", "nth": [2, 4], "kind": "reset"}]}"#,
        ));
        let fates: Vec<_> = (0..5).map(|_| ask(&mut dice, "+1").is_some()).collect();
        assert_eq!(fates, [false, true, false, true, false]);
    }

    #[test]
    fn a_rate_does_not_depend_on_the_order_of_customers() {
        let rules = faults(r#"{"seed": 3, "rules": [{"rate": 0.2, "kind": "server_error"}]}"#);
        let customers: Vec<_> = (0..1_000).map(|n| format!("+1{n}")).collect();
        let mut dice = Dice::new(rules.clone());
        let forward: Vec<_> = customers.iter().map(|c| ask(&mut dice, c)).collect();
        let mut dice = Dice::new(rules);
        let mut backward: Vec<_> = customers.iter().rev().map(|c| ask(&mut dice, c)).collect();
        backward.reverse();
        assert_eq!(forward, backward);
        let hit = forward.iter().flatten().count();
        assert!((150..250).contains(&hit), "{hit} of 1000 at a rate of 0.2");
    }

    #[test]
    fn a_share_of_customers_fails_every_time() {
        let mut dice = Dice::new(faults(
            r#"{"rules": [{"customers": {"rate": 0.05}, "kind": "error", "code": 80404}]}"#,
        ));
        let customers: Vec<_> = (0..1_000).map(|n| format!("+1{n}")).collect();
        let first: Vec<_> = customers.iter().map(|c| ask(&mut dice, c)).collect();
        let second: Vec<_> = customers.iter().map(|c| ask(&mut dice, c)).collect();
        assert_eq!(first, second);
        let hit = first.iter().flatten().count();
        assert!((30..75).contains(&hit), "{hit} of 1000 at a share of 0.05");
    }

    #[test]
    fn a_list_of_customers_is_matched_without_the_channels_prefix() {
        let mut dice = Dice::new(faults(
            r#"{"rules": [{"customers": ["+12"], "kind": "reset"}]}"#,
        ));
        assert_eq!(ask(&mut dice, "whatsapp:+12"), Some(FaultKind::Reset));
        assert_eq!(ask(&mut dice, "+13"), None);
    }

    #[test]
    fn the_documents_example_is_a_set_of_rules() {
        let document = include_str!("../../docs/simulator.md");
        let from = document.split_once("```json\n").expect("an example").1;
        let example = from.split_once("```").expect("its end").0;
        let faults: Faults = serde_json::from_str(example).expect("faults");
        assert_eq!(
            (
                faults.rules.len(),
                faults.check(crate::simulator::http::router::is_operation)
            ),
            (8, Ok(()))
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let table = [
            r#"{"rules": [{"kind": "reset", "rate": 1.5}]}"#,
            r#"{"rules": [{"kind": "latency"}]}"#,
            r#"{"rules": [{"kind": "too_many_requests", "when": "after"}]}"#,
            r#"{"rules": [{"kind": "server_error", "status": 404}]}"#,
            r#"{"rules": [{"kind": "reset", "operation": "create_sesion"}]}"#,
        ];
        for json in table {
            let faults: Faults = serde_json::from_str(json).expect("the shape is right");
            let error = faults
                .check(|name| name == "create_session")
                .expect_err(json);
            assert_eq!(error.rule, 1);
        }
        let unknown = r#"{"rules": [{"kind": "reset", "rats": 1}]}"#;
        assert!(serde_json::from_str::<Faults>(unknown).is_err());
    }
}
