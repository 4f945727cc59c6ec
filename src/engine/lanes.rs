//! The lanes of a call: the account's, its endpoint's, and its sender's if it sends a text.
//!
//! In: an operation, a campaign's services, the message's text. Out: lanes and a cost. Always: a reply that reports a
//! limit affects the lanes that the call had passed.

use std::num::NonZeroU32;
use std::sync::Arc;

use super::sending::Sending;
use crate::campaign::Flex;
use crate::metrics::Metrics;
use crate::pacing::limits::{CountedBy, counted_by};
use crate::pacing::{CoolDown, Lane, Pacer};
use crate::twilio::codes::{Limit, LimitRule, Replied, RestSpan, limit_told};
use crate::twilio::{Observed, Operation, Product};

/// The services that calls use, where Twilio counts by service.
#[derive(Clone, Debug, Default)]
pub(super) struct Services {
    proxy: Option<Arc<str>>,
    chat: Option<Arc<str>>,
}

impl Services {
    pub(super) fn of(flex: &Flex) -> Self {
        let sid = |sid: &Option<String>| sid.as_deref().map(Arc::from);
        Self {
            proxy: sid(&flex.proxy_service_sid),
            chat: sid(&flex.chat_service_sid),
        }
    }
}

/// The lanes of one call.
#[derive(Clone, Debug)]
pub(super) struct CallLanes {
    operation: Operation,
    endpoint: Lane,
    sending: Option<Sending>,
}

impl CallLanes {
    /// The lanes of an operation. `sending`: the text of the message that the call belongs to.
    pub(super) fn of(operation: Operation, services: &Services, sending: Option<&Sending>) -> Self {
        Self {
            operation,
            endpoint: endpoint(operation, services),
            sending: sending.filter(|_| operation.sends_text()).cloned(),
        }
    }

    /// All lanes, for a permit.
    pub(super) fn all(&self) -> Vec<Lane> {
        let always = [Lane::Account, self.endpoint.clone()];
        always.into_iter().chain(self.sender()).collect()
    }

    /// The sender's lane, if the call sends a text.
    pub(super) fn sender(&self) -> Option<Lane> {
        self.sending.as_ref().and_then(Sending::lane)
    }

    /// The call's cost on its sender's lane.
    pub(super) fn cost(&self) -> NonZeroU32 {
        self.sending
            .as_ref()
            .map_or(NonZeroU32::MIN, Sending::segments)
    }

    /// Counts an error, and makes the lanes rest whose limit the reply reports, according to
    /// [`LIMIT_RULES`](crate::twilio::codes::LIMIT_RULES).
    pub(super) fn observe(&self, pacer: &Pacer, metrics: &Metrics, observed: Observed) {
        if let Some(code) = observed.code {
            metrics.twilio_error(code);
        }
        if let Some(concurrent) = observed.concurrent {
            metrics.twilio_concurrent(concurrent);
        }
        // Without a reply nothing is known about limits.
        let Some(status) = observed.status else {
            return;
        };
        let told = limit_told(&Replied {
            operation: self.operation,
            status,
            code: observed.code,
            sends_text: self.sending.is_some(),
        });
        let is_too_many = told.is_some_and(|rule| rule.limit == Limit::CallsAtOnce);
        if pacer.replied(observed.mark, is_too_many, observed.concurrent) {
            return;
        }
        // A refusal that is not believed to concern concurrent calls concerned another limit.
        let told = told.and_then(LimitRule::where_not_believed);
        let lanes = [
            (Limit::Endpoint, vec![self.endpoint.clone()], true),
            // Only an accepted text shows that the sender's queue has room.
            (
                Limit::SenderQueue,
                self.senders(),
                (200..300).contains(&status),
            ),
        ];
        for (limit, lanes, is_answered) in lanes {
            let rest = told.filter(|rule| rule.limit == limit);
            let rest = rest.and_then(|rule| rule.rest);
            for lane in lanes {
                if let Some(rest) = rest {
                    pacer.throttled(&lane, rules_of(rest), observed.retry_after);
                } else if is_answered {
                    pacer.answered(&lane);
                }
            }
        }
    }

    /// The lanes of the sender. No further message begins for a sender whose queue is full.
    fn senders(&self) -> Vec<Lane> {
        let lanes = |sending: &Sending| [sending.lane(), sending.entry()];
        self.sending.iter().flat_map(lanes).flatten().collect()
    }
}

fn rules_of(rest: RestSpan) -> CoolDown {
    CoolDown {
        shortest: rest.first,
        longest: rest.longest,
    }
}

/// The lane of an operation. Only the default service of Conversations is used.
fn endpoint(operation: Operation, services: &Services) -> Lane {
    let service = match (counted_by(operation.as_str()), operation.endpoint().product) {
        (CountedBy::Service, Product::Proxy) => services.proxy.as_deref(),
        (CountedBy::Service, Product::Chat) => services.chat.as_deref(),
        _ => None,
    };
    match service {
        Some(service) => Lane::endpoint_of(operation.as_str(), service),
        None => Lane::endpoint(operation.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_left_alone_for_a_minute_and_then_for_longer() {
        let rule = limit_told(&Replied {
            operation: Operation::CreateConversationMessage,
            status: 400,
            code: Some(21611),
            sends_text: true,
        });
        let rest = rule.and_then(|rule| rule.rest).expect("it rests");
        let minutes = |n| rules_of(rest).rest(None, n).as_secs() / 60;
        assert_eq!([1, 2, 3, 4, 5, 6].map(minutes), [1, 2, 4, 8, 15, 15]);
    }

    #[test]
    fn a_call_is_counted_by_its_service_where_twilio_counts_so() {
        let flex = Flex {
            proxy_service_sid: Some("KS1".to_owned()),
            chat_service_sid: Some("IS1".to_owned()),
            ..Flex::default()
        };
        let of = |operation| endpoint(operation, &Services::of(&flex));
        for (operation, lane) in [
            (
                Operation::CreateSession,
                Lane::endpoint_of("create_session", "KS1"),
            ),
            (
                Operation::ListProxyServices,
                Lane::endpoint("list_proxy_services"),
            ),
            (
                Operation::CreateConversation,
                Lane::endpoint("create_conversation"),
            ),
            (
                Operation::CreateFlexChannel,
                Lane::endpoint("create_flex_channel"),
            ),
        ] {
            assert_eq!(of(operation), lane);
        }
        let nowhere = endpoint(Operation::CreateSession, &Services::default());
        assert_eq!(nowhere, Lane::endpoint("create_session"));
    }
}
