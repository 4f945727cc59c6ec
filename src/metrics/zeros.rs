//! The series whose labels are known in advance. Each is exported as 0 from the start.

use prometheus::IntCounterVec;

use crate::message::{
    Api, DeadReason, RejectReason, SkipReason, StepName, Strategy, Unavailable, WaitReason,
};
use crate::pacing::LaneKind;
use crate::queue::FindingKind;
use crate::twilio::codes::CODES;
use crate::twilio::{AwayCause, Product};

use super::families::Families;
use super::labels::{
    BookState, BooksCheck, MendedPart, MessageOutcome, OTHER_CODE, PausedBy, RowResult, StepResult,
};

impl Families {
    /// The findings of inspections and outages.
    fn export_findings(&self) {
        for kind in FindingKind::ALL {
            let _ = self.broker_findings.with_label_values(&[kind.as_str()]);
        }
        for (product, cause) in away_labels() {
            let _ = self.twilio_away.with_label_values(&[product, cause]);
        }
    }

    /// Makes the series whose labels are known in advance. Not those of `twilio_requests`: they would be four thousand
    /// lines, most of them for operations that a campaign's strategy never calls.
    pub(super) fn export_zeros(&self) {
        for strategy in Strategy::ALL.iter().map(|it| it.as_str()) {
            for api in Api::ALL.iter().map(|it| it.as_str()) {
                for outcome in MessageOutcome::ALL {
                    let labels = [outcome.as_str(), strategy, api];
                    let _ = self.messages.with_label_values(&labels);
                }
                let _ = self.sagas.with_label_values(&[strategy, api]);
            }
        }
        for step in StepName::ALL {
            for result in StepResult::ALL {
                let labels = [step.as_str(), result.as_str()];
                let _ = self.steps.with_label_values(&labels);
            }
        }
        for lane in LaneKind::ALL {
            let _ = self.pacing_waits.with_label_values(&[lane.as_str()]);
            for gauges in [
                &self.lanes,
                &self.lanes_waiting,
                &self.lanes_resting,
                &self.lanes_used,
                &self.lanes_unserved,
            ] {
                gauges.with_label_values(&[lane.as_str()]).set(0);
            }
        }
        for state in BookState::ALL {
            let _ = self.books.with_label_values(&[state.as_str()]);
        }
        for check in BooksCheck::ALL {
            let _ = self.imbalance.with_label_values(&[check.as_str()]);
        }
        for by in PausedBy::ALL {
            let _ = self.paused.with_label_values(&[by.as_str()]);
        }
        self.export_findings();
        let _ = self.queue.with_label_values(&["ready"]);
        zeros(&self.skipped, SkipReason::ALL.iter().map(|it| it.as_str()));
        zeros(
            &self.dead_letters,
            DeadReason::ALL.iter().map(|it| it.as_str()),
        );
        zeros(&self.waits, WaitReason::ALL.iter().map(|it| it.as_str()));
        zeros(
            &self.agents_unavailable,
            Unavailable::ALL.iter().map(|it| it.as_str()),
        );
        zeros(
            &self.import_rows,
            RowResult::ALL.iter().map(|it| it.as_str()),
        );
        zeros(
            &self.import_rejected,
            RejectReason::ALL.iter().map(|it| it.as_str()),
        );
        zeros(
            &self.queue_mended,
            MendedPart::ALL.iter().map(|it| it.as_str()),
        );
        zeros(&self.twilio_errors, [OTHER_CODE]);
        for row in CODES.iter().filter(|row| row.has_label) {
            zeros(&self.twilio_errors, [row.code.to_string().as_str()]);
        }
    }
}

fn zeros<'l>(counters: &IntCounterVec, labels: impl IntoIterator<Item = &'l str>) {
    for label in labels {
        let _ = counters.with_label_values(&[label]);
    }
}

/// Every product, with every cause for which a part of it can be away.
pub(super) fn away_labels() -> impl Iterator<Item = (&'static str, &'static str)> {
    Product::ALL.iter().flat_map(|product| {
        let causes = AwayCause::ALL.iter();
        causes.map(|cause| (product.as_str(), cause.as_str()))
    })
}
