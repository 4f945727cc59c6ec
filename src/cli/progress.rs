//! The progress of `send` and of an import, on standard error: drawn on a terminal, and a line every 30 seconds elsewhere.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::tz::TimeZone;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::ledger::OpenMessages;
use crate::message::CampaignId;
use crate::operate::{CampaignProgress, ProgressMeter, ReadModels, RunSpeed, ends_at, grouped};
use crate::shutdown::Stopper;
use crate::telemetry::{Drawn, draw};

use super::output;

/// How often the books are read: for a drawing, and for lines.
const READ_EVERY: Duration = Duration::from_millis(500);

/// Reading takes at most one part in this many of the time: it counts every message (about 150 ms for a million).
const READ_SHARE: u32 = 50;

/// How often a line is written where nothing is drawn.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How long all open messages are held before the reason is said.
const HELD_FOR: Duration = Duration::from_secs(10);

/// Says once why a run makes no progress: all open messages are held.
#[derive(Default)]
struct HeldNotice {
    since: Option<Instant>,
    is_said: bool,
}

impl HeldNotice {
    /// The sentence, if it is due now.
    fn due(&mut self, open: &OpenMessages, now: Instant) -> Option<String> {
        if open.held == 0 || open.held < open.total() {
            self.since = None;
            return None;
        }
        let since = *self.since.get_or_insert(now);
        if self.is_said || now < since + HELD_FOR {
            return None;
        }
        self.is_said = true;
        let (held, wait) = match open.held {
            1 => ("The open message is held".to_owned(), "It continues"),
            held => (
                format!("All {} open messages are held", grouped(held)),
                "They continue",
            ),
        };
        Some(format!(
            "{held}: agents are offline or have no free place for a task, or customers are in other conversations. {wait} \
             when that ends. flexcast status shows the reasons; Ctrl-C stops this run."
        ))
    }
}

/// Decides when a line is due where nothing is drawn.
struct LineTimer(Instant);

impl LineTimer {
    /// Whether a line is due. If so, the next one is due after [`LINE_EVERY`].
    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.0 + LINE_EVERY;
        if is_due {
            self.0 = now;
        }
        is_due
    }
}

/// A drawing at the bottom of the terminal. It is removed when this is dropped.
struct Drawing(ProgressBar);

struct AsideBar(ProgressBar);

impl Drawn for AsideBar {
    fn aside(&self, write: &mut dyn FnMut()) {
        self.0.suspend(write);
    }
}

impl Drawing {
    /// `None` if standard error is not a terminal, or one that cannot draw (`TERM=dumb`), or if the command is quiet.
    fn begin(bar: fn() -> ProgressBar) -> Option<Self> {
        let bar = bar();
        if bar.is_hidden() || output::is_quiet() {
            return None;
        }
        draw(Some(Arc::new(AsideBar(bar.clone()))));
        Some(Self(bar))
    }
}

impl Drop for Drawing {
    fn drop(&mut self) {
        draw(None);
        self.0.finish_and_clear();
    }
}

fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// The number of rows that an import has read so far.
pub(super) struct RowsRead {
    drawing: Option<Drawing>,
    clock: Clock,
    timer: Mutex<LineTimer>,
}

impl RowsRead {
    pub(super) fn begin(clock: Clock) -> Self {
        let spinner = || styled(ProgressBar::new_spinner(), "{spinner} {wide_msg}");
        Self {
            drawing: Drawing::begin(spinner),
            clock,
            timer: Mutex::new(LineTimer(clock.instant())),
        }
    }

    /// Shows how many rows were read so far.
    pub(super) fn show(&self, rows: u64) {
        let text = format!("{} rows read", grouped(rows));
        if let Some(Drawing(bar)) = &self.drawing {
            bar.set_message(text);
            bar.tick();
            return;
        }
        let mut timer = self.timer.lock().unwrap_or_else(PoisonError::into_inner);
        if timer.is_due(self.clock.instant()) {
            tell!("{text}");
        }
    }
}

/// The progress of a campaign, shown until [`RunProgress::end`].
pub(super) struct RunProgress {
    stop: Stopper,
    task: JoinHandle<()>,
}

impl RunProgress {
    pub(super) fn begin(read: ReadModels, campaign: CampaignId) -> Self {
        let stop = Stopper::new();
        let task = tokio::spawn(show(read, campaign, stop.clone()));
        Self { stop, task }
    }

    /// Removes the drawing, or writes the last line.
    pub(super) async fn end(self) {
        self.stop.stop();
        // An error of the display is no error of the run.
        drop(self.task.await);
    }
}

async fn show(read: ReadModels, campaign: CampaignId, stop: Stopper) {
    let bar = || styled(ProgressBar::new(0), "{bar:10} {percent:>3}% {wide_msg}");
    let drawing = Drawing::begin(bar);
    let clock = read.clock;
    let mut meter = ProgressMeter::default();
    let mut timer = LineTimer(clock.instant());
    let mut held = HeldNotice::default();
    let mut is_last = false;
    loop {
        let now = clock.instant();
        if let Ok(progress) = read.progress(&campaign).await {
            let speed = meter.read(&progress, now);
            let text = line(&progress, speed, clock);
            if let Some(notice) = held.due(&progress.open, now) {
                tell!("{notice}");
            }
            match &drawing {
                Some(Drawing(bar)) => {
                    bar.update(|state| {
                        state.set_len(progress.accepted);
                        state.set_pos(progress.over());
                    });
                    bar.set_message(text);
                }
                None if timer.is_due(now) || is_last => tell!("{text}"),
                None => {}
            }
        }
        if is_last {
            return;
        }
        let pause = READ_EVERY.max(now.elapsed() * READ_SHARE);
        is_last = stop.run_until_stopped(clock.sleep(pause)).await.is_none();
    }
}

/// The progress in a line, with the most needed first: the end of a long line does not fit on a narrow terminal.
fn line(progress: &CampaignProgress, speed: Option<RunSpeed>, clock: Clock) -> String {
    let CampaignProgress { accepted, open, .. } = progress;
    let mut parts = vec![format!(
        "{} of {} done",
        grouped(progress.done),
        grouped(*accepted)
    )];
    if open.total() > 0
        && let Some(speed) = speed
    {
        parts.push(format!("{}/min", rate(speed.per_minute)));
        let end = speed
            .ends_in
            .and_then(|takes| ends_at(clock.now(), takes, TimeZone::system()));
        parts.extend(end.map(|end| format!("ends about {end}")));
    }
    let counts = [
        ("queued", open.queued),
        ("scheduled", open.scheduled),
        ("retrying", open.retrying),
        ("held", open.held),
        ("in flight", open.in_flight),
        ("skipped", progress.skipped),
        ("dead", progress.dead),
        ("unknown", progress.unknown),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    parts.extend(counts.map(|(word, count)| format!("{word} {}", grouped(*count))));
    parts.join(", ")
}

/// A rate as text: with a decimal place where that matters.
fn rate(per_minute: f64) -> String {
    match per_minute < 10.0 {
        true => format!("{per_minute:.1}"),
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a number of messages in a minute"
        )]
        false => grouped(per_minute.round() as u64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_line_has_what_is_done_the_rate_the_end_and_what_is_not_begun() {
        let clock = Clock::starting_at("2026-11-28T12:00:00Z".parse().expect("a time"));
        let progress = CampaignProgress {
            accepted: 60_000,
            done: 1_237,
            dead: 3,
            open: OpenMessages {
                scheduled: 58_740,
                in_flight: 20,
                ..OpenMessages::default()
            },
            ..CampaignProgress::default()
        };
        let speed = RunSpeed {
            per_minute: 58.4,
            ends_in: Some(Duration::from_secs(60_370)),
        };
        let end = ends_at(clock.now(), Duration::from_secs(60_370), TimeZone::system());
        let end = end.expect("a time");
        assert_eq!(
            line(&progress, Some(speed), clock),
            format!(
                "1,237 of 60,000 done, 58/min, ends about {end}, scheduled 58,740, in flight 20, dead 3"
            )
        );
        assert_eq!(
            line(&progress, None, clock),
            "1,237 of 60,000 done, scheduled 58,740, in flight 20, dead 3"
        );
        let all = CampaignProgress {
            accepted: 40,
            done: 40,
            ..CampaignProgress::default()
        };
        assert_eq!(line(&all, Some(speed), clock), "40 of 40 done");
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_due_every_thirty_seconds() {
        let start = Instant::now();
        let mut timer = LineTimer(start);
        let due = (0..=90).filter(|second| timer.is_due(start + Duration::from_secs(*second)));
        assert_eq!(due.collect::<Vec<_>>(), [30, 60, 90]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_run_that_waits_for_agents_says_so_once() {
        let start = Instant::now();
        let mut notice = HeldNotice::default();
        let open = |held, queued| OpenMessages {
            held,
            queued,
            ..OpenMessages::default()
        };
        let table = [
            (0, open(2, 1), false),
            (20, open(3, 0), false),
            (29, open(3, 0), false),
            (30, open(3, 0), true),
            (31, open(3, 0), false),
        ];
        for (second, open, is_due) in table {
            let said = notice.due(&open, start + Duration::from_secs(second));
            assert_eq!(said.is_some(), is_due, "{second}: {said:?}");
        }
        // If a message begins meanwhile, the wait starts again.
        let mut notice = HeldNotice::default();
        for (second, open) in [(0, open(1, 0)), (9, open(0, 1)), (12, open(1, 0))] {
            let said = notice.due(&open, start + Duration::from_secs(second));
            assert_eq!(said, None);
        }
    }

    #[test]
    fn a_slow_rate_has_a_decimal_place() {
        let table = [
            (0.0, "0.0"),
            (0.96, "1.0"),
            (9.94, "9.9"),
            (58.4, "58"),
            (1_238.0, "1,238"),
        ];
        for (per_minute, expected) in table {
            assert_eq!(rate(per_minute), expected);
        }
    }
}
