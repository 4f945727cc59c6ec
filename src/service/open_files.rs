//! The process's limit of open files and connections.
//!
//! In: the maximum number of calls at once. Out: the limit, raised to its maximum, and a warning if it is too low.
//! Always: a process at its limit can open neither its ledger nor a connection to Twilio.

/// Open files besides the calls to Twilio: 17 connections to PostgreSQL or a dozen handles of SQLite files, 64 HTTP
/// clients of probes and metrics, connections to the broker and its management API, certificates, a record file, and
/// the same number in reserve.
const BESIDES_CALLS: u64 = 200;

/// Raises the process's limit of open files to its maximum, and warns if that is too low for `calls` connections to
/// Twilio at once.
pub(super) fn prepare(calls: u16) {
    let needed = BESIDES_CALLS + u64::from(calls);
    if let Some(limit) = raised()
        && limit < needed
    {
        tracing::warn!(
            limit,
            needed,
            "the limit of open files is too low for this many messages in flight: raise it (LimitNOFILE= in the \
            systemd unit, or ulimit -n), or lower [work] in_flight"
        );
    }
}

/// Raises the process's limit of open files, and returns it. `None`: there is no limit, or it is not known.
#[cfg(unix)]
fn raised() -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    match setrlimit(Resource::Nofile, highest) {
        Ok(()) => limit.maximum,
        Err(error) => {
            tracing::debug!(%error, "the limit of open files could not be raised");
            limit.current
        }
    }
}

#[cfg(not(unix))]
fn raised() -> Option<u64> {
    None
}
