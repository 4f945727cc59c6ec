//! How long the tests wait for what is to come.

use std::time::Duration;

use flexcast::clock::Clock;

/// The longest anything here may take. Tests wait for events; this ends one that does not come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// How often a condition is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How often the program is asked for something, which costs a process each time.
pub(crate) const ASK_EVERY: Duration = Duration::from_millis(200);

/// Looks again and again until there is an answer; panics with `what` was waited for.
pub(crate) fn eventually<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    eventually_within(PATIENCE, what, look)
}

pub(crate) fn eventually_within<T>(
    patience: Duration,
    what: &str,
    mut look: impl FnMut() -> Option<T>,
) -> T {
    let began = Clock::system().instant();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < patience, "waited in vain for {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}
