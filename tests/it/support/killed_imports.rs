//! Imports that are killed at random moments and run again.

use std::time::Duration;

use serde_json::Value;

use super::flexcast::Place;

/// Kills that fall before an import has ended, so that there is something to go on with: at most.
const KILLS: usize = 5;

/// More tries than are needed: an import may end before its kill.
const TRIES: usize = 40;

/// What the imports came to.
pub(crate) struct Killed {
    /// Kills that left an import unfinished.
    pub(crate) kills: usize,
    /// The import that came to its end; none when one had ended before its kill came.
    pub(crate) last: Option<Value>,
}

/// Runs an import again and again, killed each time a random moment after its start, until so many
/// were; then lets one run to its end. A moment is what is drawn here; nothing is waited for by it.
pub(crate) fn kill_imports(place: &Place, campaign: &str, file: &str, seed: u64) -> Killed {
    let (mut kills, mut at_most_ms) = (0, 150);
    for at in 0..TRIES as u64 {
        if kills == KILLS {
            break;
        }
        let mut import = place.start(&["import", campaign, file, "--json"]);
        std::thread::sleep(Duration::from_millis(draw(seed + at) % at_most_ms));
        import.crash();
        let status = place.run(&["status", campaign, "--json"]);
        let status = status.ends_with(0).json();
        let imports = status["imports"].as_array().expect("a list");
        if imports.iter().any(|import| import["state"] == "done") {
            break;
        }
        let before = kills;
        kills = imports.iter().filter(|it| it["rows"] != 0).count();
        if kills == before {
            // It did not get so far: this machine is slow.
            at_most_ms += 100;
        }
    }
    let last = place.run(&["import", campaign, file, "--json"]);
    let last = last.ends_with(0).json();
    let had_ended = last["already_imported_at"].is_string();
    Killed {
        kills,
        last: (!had_ended).then_some(last),
    }
}

/// A number that follows from another: `SplitMix64` (Steele, Lea and Flood, 2014).
pub(crate) fn draw(seed: u64) -> u64 {
    let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
