//! Forecasts how long a campaign takes at the rates that are known before it starts.
//!
//! In: a preview, a campaign, the rates of senders. Out: durations, and texts for them. Always: pure. The forecast is
//! a minimum: busy agents, retries and Twilio's limits by operation show only when the campaign runs.

use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::campaign::Campaign;
use crate::intake::Preview;
use crate::message::Address;
use crate::pacing::{Quota, Senders};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// A rate, and the time that the limited messages take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound<T> {
    /// The owner of the rate.
    pub of: T,
    pub quota: Quota,
    /// The time, in whole seconds.
    pub takes: Duration,
}

/// The limits of a campaign's speed. Missing rates are not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The campaign's own pace.
    pub campaign: Option<Bound<()>>,
    /// The limit of the agent with the most messages.
    pub agent: Option<Bound<String>>,
    /// The limit of the sender that takes the longest time.
    pub sender: Option<Bound<Address>>,
}

impl Forecast {
    /// Computes the limits of a campaign with the messages of this preview.
    #[must_use]
    pub fn of(preview: &Preview, campaign: &Campaign, senders: &Senders) -> Self {
        let pace = &campaign.pace;
        let busiest = preview.agents.iter().max_by_key(|(_, count)| **count);
        let loads = preview.loads.iter().filter_map(|((sender, kind), load)| {
            let quota = senders.quota(&sender.on(campaign.channel), kind.as_str())?;
            Some(Bound::of(sender.clone(), quota, *load))
        });
        Self {
            campaign: pace
                .campaign
                .map(|quota| Bound::of((), quota, preview.acceptable)),
            agent: pace
                .agent
                .zip(busiest)
                .map(|(quota, (agent, count))| Bound::of(agent.clone(), quota, *count)),
            sender: loads.max_by_key(|bound| bound.takes),
        }
    }

    /// The minimum duration of the campaign, at its slowest rate. `None` without a limit.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        let campaign = self.campaign.as_ref().map(|bound| bound.takes);
        let agent = self.agent.as_ref().map(|bound| bound.takes);
        let sender = self.sender.as_ref().map(|bound| bound.takes);
        [campaign, agent, sender].into_iter().flatten().max()
    }
}

impl<T> Bound<T> {
    fn of(of: T, quota: Quota, count: u64) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let takes = quota.period().mul_f64(f64::from(count));
        Self {
            of,
            quota,
            takes: Duration::from_secs(takes.as_secs()),
        }
    }
}

/// A duration as text: `40 s`, `21 min`, `4 h 12 min`, `3 days 4 h`.
#[must_use]
pub fn words(duration: Duration) -> String {
    let secs = duration.as_secs();
    let whole = |unit: u64| secs.saturating_add(unit / 2) / unit;
    match secs {
        ..MINUTE => format!("{secs} s"),
        // A duration that rounds to 60 minutes is shown as an hour.
        _ if whole(MINUTE) < 60 => format!("{} min", whole(MINUTE)),
        _ if whole(MINUTE) < 24 * 60 => {
            let minutes = whole(MINUTE);
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        _ => {
            let hours = whole(HOUR);
            let (days, hours) = (hours / 24, hours % 24);
            let unit = if days == 1 { "day" } else { "days" };
            format!("{days} {unit} {hours} h")
        }
    }
}

/// The time at which something that takes this long ends, as [`local_time`] writes it. `None` past the end of the
/// calendar.
#[must_use]
pub fn ends_at(now: Timestamp, takes: Duration, zone: TimeZone) -> Option<String> {
    let end = now.checked_add(takes).ok()?;
    Some(local_time(now, end, zone))
}

/// A time to come as text, in this time zone: `00:44`, `Sun 00:44` on another day, `2026-12-24 00:44` after a week or
/// more.
#[must_use]
pub fn local_time(now: Timestamp, at: Timestamp, zone: TimeZone) -> String {
    let end = at.to_zoned(zone.clone());
    let now = now.to_zoned(zone);
    let format = match days_between(&now, &end) {
        0 => "%H:%M",
        1..7 => "%a %H:%M",
        _ => "%Y-%m-%d %H:%M",
    };
    end.strftime(format).to_string()
}

/// The number of midnights between two times.
fn days_between(from: &Zoned, to: &Zoned) -> i32 {
    from.date()
        .until(to.date())
        .map_or(i32::MAX, |span| span.get_days())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::SenderKind;

    const DAY: u64 = 24 * HOUR;

    fn campaign(pace: &str) -> Campaign {
        let text = format!(
            "id='c'\nchannel='sms'\nstrategy='task_now'\nsender='+12025550100'\n[pace]\n{pace}"
        );
        toml::from_str(&text).expect("TOML of a campaign")
    }

    fn preview() -> Preview {
        let sender = |text: &str| Address::parse(text).expect("an address");
        let mut preview = Preview {
            acceptable: 1_000,
            ..Preview::default()
        };
        preview.agents = [("alice", 700), ("bob", 300)]
            .map(|(agent, count)| (agent.to_owned(), count))
            .into();
        preview.loads = [
            ((sender("+12025550100"), SenderKind::LongCode), 238),
            ((sender("+12025550101"), SenderKind::LongCode), 1_238),
            ((sender("+18005550100"), SenderKind::TollFree), 2_000),
        ]
        .into();
        preview
    }

    #[test]
    fn the_slowest_rate_says_how_long_a_campaign_takes() {
        let mut own = Senders::default();
        own.replace("+12025550101", None);
        let table = [
            ("", Senders::default(), Some(1_238)),
            ("campaign='1/min'", Senders::default(), Some(60_000)),
            ("campaign='10/s'", Senders::lifted(), Some(100)),
            ("agent='1/min'", Senders::default(), Some(42_000)),
            ("", own, Some(666)),
            ("", Senders::lifted(), None),
        ];
        let preview = preview();
        for (pace, senders, expected) in table {
            let campaign = campaign(pace);
            let found = Forecast::of(&preview, &campaign, &senders).duration();
            assert_eq!(found, expected.map(Duration::from_secs), "{pace}");
        }
        let (campaign, senders) = (campaign("agent='1/min'"), Senders::default());
        let forecast = Forecast::of(&preview, &campaign, &senders);
        let agent = forecast.agent.map(|bound| bound.of);
        assert_eq!(agent.as_deref(), Some("alice"));
        let sender = forecast.sender.map(|bound| bound.of);
        let sender = sender.as_ref().map(Address::as_str);
        assert_eq!(sender, Some("+12025550101"));
    }

    #[test]
    fn a_duration_is_said_in_the_units_that_matter() {
        let table = [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (1_238, "21 min"),
            (3_569, "59 min"),
            (3_570, "1 h 0 min"),
            (15_120, "4 h 12 min"),
            (86_399, "1 day 0 h"),
            (100_000, "1 day 4 h"),
            (1_000_000, "11 days 14 h"),
        ];
        for (secs, expected) in table {
            assert_eq!(words(Duration::from_secs(secs)), expected, "{secs}");
        }
    }

    #[test]
    fn the_end_is_said_on_the_clock_of_the_place() {
        let now: Timestamp = "2026-11-28T23:23:00Z".parse().expect("a time");
        let table = [
            ("UTC", 60, "23:24"),
            ("UTC", 40 * 60, "Sun 00:03"),
            ("America/New_York", 40 * 60, "19:03"),
            ("UTC", 6 * DAY, "Fri 23:23"),
            ("UTC", 7 * DAY, "2026-12-05 23:23"),
        ];
        for (zone, secs, expected) in table {
            let zone = TimeZone::get(zone).expect("a time zone");
            let found = ends_at(now, Duration::from_secs(secs), zone);
            assert_eq!(found.as_deref(), Some(expected), "{secs}");
        }
        assert_eq!(ends_at(now, Duration::MAX, TimeZone::UTC), None);
    }
}
