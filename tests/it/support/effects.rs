//! What a run came to: the simulator's effects, and the books.

use std::collections::BTreeMap;

use serde_json::Value;

/// How often each customer is in the effects of this kind. What was taken back does not count: a
/// task that was cancelled before an agent accepted it, as a message that is begun anew leaves it.
fn customers(effects: &[Value], kind: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let stands = |effect: &&Value| effect["kind"] == kind && effect["state"] != "canceled";
    for effect in effects.iter().filter(stands) {
        let customer = effect["customer"].as_str().unwrap_or_default();
        *counts.entry(customer.to_owned()).or_default() += 1;
    }
    counts
}

/// Panics unless exactly these customers are in the effects of this kind, each once.
#[track_caller]
pub(crate) fn each_once(effects: &[Value], kind: &str, expected: &[impl AsRef<str>]) {
    let expected = expected.iter().map(|one| (one.as_ref().to_owned(), 1));
    let expected: BTreeMap<String, usize> = expected.collect();
    let found = customers(effects, kind);
    let all = found.keys().chain(expected.keys());
    let differ: Vec<_> = all
        .filter(|one| found.get(*one) != expected.get(*one))
        .collect();
    let concerned = |effect: &&Value| differ.iter().any(|one| effect["customer"] == **one);
    let seen: Vec<_> = effects.iter().filter(concerned).collect();
    assert!(differ.is_empty(), "{kind} for {differ:?}: {seen:#?}");
}

/// The sum of a count by reason.
pub(crate) fn total(by_reason: &Value) -> u64 {
    let counts = by_reason.as_object().expect("counts by reason").values();
    counts.map(|count| count.as_u64().expect("a count")).sum()
}

/// The messages that wait for a later time: scheduled, retrying or held.
#[track_caller]
pub(crate) fn waits(books: &Value) -> u64 {
    let retrying = books["retrying"].as_u64().expect("a count");
    total(&books["scheduled"]) + retrying + total(&books["held"])
}

/// A status without the consumers that are at work: what `send` reports too.
pub(crate) fn without_consumers(mut status: Value) -> Value {
    let fields = status.as_object_mut().expect("one object");
    fields
        .remove("consumers")
        .expect("each status says who is at work");
    status
}

/// Panics unless the sums of the books hold.
#[track_caller]
pub(crate) fn balanced(books: &Value) {
    let count = |name: &str| books[name].as_u64().expect(name);
    let by_reason = |name: &str| total(&books[name]);
    let rows = by_reason("rejected") + count("duplicate") + count("suppressed");
    assert_eq!(count("rows"), count("accepted") + rows, "{books}");
    let open = count("queued") + waits(books) + count("in_flight");
    let over = count("done") + by_reason("skipped") + by_reason("dead") + count("unknown");
    assert_eq!(count("accepted"), open + over, "{books}");
}
