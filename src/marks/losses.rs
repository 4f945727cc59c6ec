//! Handles a store that loses its last transactions while processes work on it: in a failover to a server that had not
//! received them.

use crate::ledger::Incarnation;

use super::record::LedgerMark;
use super::{GOOD_FOR, KnownMarks, MarkError, NotOurs, ProcessMarks};

impl ProcessMarks {
    /// Begins another incarnation if the mark is ahead of the ledger because the store has lost transactions. Each
    /// process that works on the ledger does so. If another process's mark changes without that, the process still
    /// works on the lost state, and this one waits until the mark stops changing.
    pub(super) async fn begin_again(
        &self,
        known: &mut KnownMarks,
        not_ours: NotOurs,
    ) -> Result<(), MarkError> {
        let has_lost = self.ledger.losses() > known.losses;
        if let Some(mark) = self.read_ledger(known).await?
            && !self.knows(known, &mark).await?
        {
            let was_drawn_here = Incarnation {
                beat: 0,
                ..mark.incarnation.clone()
            };
            if !has_lost && !self.ledger.has_been(&was_drawn_here).await? {
                return Err(MarkError::NotOurs(not_ours));
            }
            self.await_silence(known, mark)?;
            // Its process has no right to call any more. What it did after its last beat is not in this ledger.
            self.ledger.distrust(None, self.clock.now()).await?;
        } else if !has_lost {
            return Err(MarkError::NotOurs(not_ours));
        }
        tracing::warn!("the ledger went back under this process, which begins another incarnation");
        let own = self.ledger.draw_incarnation(self.clock.now()).await?;
        self.write_ledger(known, &own, true).await?;
        known.own = Some(own);
        known.ahead = None;
        Ok(())
    }

    /// Whether the mark is this process's own, or the ledger knows its incarnation and beat.
    async fn knows(&self, known: &KnownMarks, mark: &LedgerMark) -> Result<bool, MarkError> {
        let own = known.own.as_ref();
        if own.is_some_and(|own| own.token == mark.incarnation.token) {
            return Ok(true);
        }
        Ok(self.ledger.has_been(&mark.incarnation).await?)
    }

    /// Succeeds if the mark has not changed for the maximum time that its process can have the right to call.
    fn await_silence(&self, known: &mut KnownMarks, mark: LedgerMark) -> Result<(), MarkError> {
        let now = self.clock.instant();
        let since = match &known.ahead {
            Some((ahead, since)) if *ahead == mark => *since,
            _ => now,
        };
        if now.saturating_duration_since(since) >= GOOD_FOR {
            return Ok(());
        }
        let location = mark.location.clone();
        known.ahead = Some((mark, since));
        Err(MarkError::Ahead { location })
    }
}
