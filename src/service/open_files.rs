//! How many files and connections the process may have open at once.
//!
//! In: how many calls may be under way. Out: the system's limit raised as far as it may be, and a warning where it does
//! not suffice. Always: a process at its limit can open neither its ledger nor a connection to Twilio.

/// Open files besides the calls to Twilio: 17 connections to PostgreSQL or a dozen handles of SQLite files, 64 clients of
/// the pages, the broker's and the management API's connections, certificates, a file of a record, and as many again.
const BESIDES_CALLS: u64 = 200;

/// Raises the process's limit of open files to the highest that its user may have, and warns where that is too low for
/// `calls` connections to Twilio at once.
pub(super) fn prepare(calls: u16) {
    let needed = BESIDES_CALLS + u64::from(calls);
    if let Some(limit) = raised()
        && limit < needed
    {
        tracing::warn!(
            limit,
            needed,
            "the process may have too few files open for this many messages in flight: raise its limit \
             (LimitNOFILE= of its systemd unit, or ulimit -n), or lower [work] in_flight"
        );
    }
}

/// The process's limit of open files, raised where it can be. None: there is no limit, or none that is known.
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
            tracing::debug!(%error, "the limit of open files is not raised");
            limit.current
        }
    }
}

#[cfg(not(unix))]
fn raised() -> Option<u64> {
    None
}
