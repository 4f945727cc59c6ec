//! Remedies for the broker's refusals and alarms.
//!
//! In: the broker's text. Out: the same text, followed by the command that solves the problem. Always: the broker's
//! text stays unchanged and first: other code and operators search for it.

use shell_words::quote;

use super::Removal;

/// The rights of flexcast's user in its virtual host, as `rabbitmqctl set_permissions` takes them: configure,
/// write, read. The exchange `amq.default` leads to every queue by name.
const RIGHTS: [&str; 3] = ["^flexcast", "^(flexcast|amq\\.default$)", "^flexcast"];

/// The refusal, with the remedy if it is known.
pub(in crate::queue::rabbitmq) fn with_remedy(refusal: &str) -> String {
    let Some(remedy) = of_refusal(refusal) else {
        return refusal.to_owned();
    };
    let refusal = refusal.trim_end_matches('.');
    format!("{refusal}. {remedy}")
}

fn of_refusal(refusal: &str) -> Option<String> {
    // The texts of RabbitMQ 3.10 to 4 are: "access to queue 'q' in vhost 'v' refused for user 'u'" and
    // "inequivalent arg 'a' for queue 'q' in vhost 'v': received 'x' but current is 'y'".
    let vhost = after(refusal, "in vhost '");
    if refusal.starts_with("ACCESS_REFUSED") {
        let command = grant(vhost?, after(refusal, "for user '")?);
        return Some(format!("To give flexcast's user its rights: {command}"));
    }
    if refusal.starts_with("PRECONDITION_FAILED") && refusal.contains("inequivalent arg") {
        let (kind, delete) = match after(refusal, "for queue '") {
            Some(queue) => (
                "queue",
                format!(
                    "rabbitmqctl delete_queue -p {} {}",
                    quote(vhost?),
                    quote(queue)
                ),
            ),
            None => ("exchange", "delete it in the management plugin".to_owned()),
        };
        return Some(format!(
            "A {kind} of that name exists with other arguments than flexcast's: use another virtual host in AMQP_URL, or, \
             if you do not need it, delete it: {delete}"
        ));
    }
    if refusal.starts_with("RESOURCE_LOCKED") {
        return Some(
            "Another program uses a queue of that name exclusively: use another virtual host in AMQP_URL"
                .to_owned(),
        );
    }
    None
}

/// The commands that show a user's rights and grant those that flexcast needs.
pub(in crate::queue::rabbitmq) fn of_rights(refusal: &str) -> Option<Removal> {
    let user = after(refusal, "for user '")?;
    refusal.starts_with("ACCESS_REFUSED").then(|| Removal {
        look: format!("rabbitmqctl list_user_permissions {}", quote(user)),
        remove: grant(after(refusal, "in vhost '").unwrap_or("/"), user),
    })
}

/// The remedy for an alarm.
pub(super) fn of_alarm() -> Removal {
    Removal {
        look: "rabbitmq-diagnostics alarms".to_owned(),
        remove: "free memory or disk on the node that it names, or raise vm_memory_high_watermark or lower \
                 disk_free_limit there"
            .to_owned(),
    }
}

/// The remedy for queues without a majority.
pub(super) fn of_majority() -> Removal {
    Removal {
        look: "rabbitmqctl cluster_status".to_owned(),
        remove:
            "start the nodes that are not running; remove a node that is gone for good with rabbitmqctl \
                 forget_cluster_node, once most others run"
                .to_owned(),
    }
}

fn grant(vhost: &str, user: &str) -> String {
    let rights = RIGHTS.map(|right| format!("'{right}'")).join(" ");
    format!(
        "rabbitmqctl set_permissions -p {} {} {rights}",
        quote(vhost),
        quote(user)
    )
}

/// The text between `beginning` and the next quotation mark.
fn after<'a>(text: &'a str, beginning: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(beginning)?;
    rest.split('\'').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stays_and_its_remedy_is_named() {
        let refused =
            "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user 'lim'";
        let told = with_remedy(refused);
        assert!(told.starts_with(refused), "{told}");
        let command = "rabbitmqctl set_permissions -p / lim '^flexcast' '^(flexcast|amq\\.default$)' '^flexcast'";
        assert!(told.ends_with(command), "{told}");
        let newer =
            "ACCESS_REFUSED - configure access to queue 'q' in vhost 'a b' refused for user 'x y'.";
        let told = with_remedy(newer);
        assert!(told.contains("refused for user 'x y'. To give"), "{told}");
        assert!(told.contains("-p 'a b' 'x y' "), "{told}");
        let other = "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'flexcast.dead' in vhost '/': \
                     received 'quorum' but current is 'classic'";
        let told = with_remedy(other);
        assert!(
            told.ends_with("rabbitmqctl delete_queue -p / flexcast.dead"),
            "{told}"
        );
        for unknown in [
            "NOT_FOUND - no queue 'q' in vhost '/'",
            "ACCESS_REFUSED - Login was refused",
            "",
        ] {
            assert_eq!(with_remedy(unknown), unknown);
        }
    }
}
