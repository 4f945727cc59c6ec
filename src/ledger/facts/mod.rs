//! The ledger's types: plain data, without a store or a statement.

mod audit;
mod backlog;
mod books;
mod campaign;
mod consumers;
mod dead;
mod finishing;
mod imports;
mod message;
mod open;
mod pauses;
mod standing;
mod upkeep;

pub use audit::{AuditFilter, AuditRow, AuditedOperation, MessageCounts, OperationName};
pub use backlog::{BacklogRow, CallUp, CalledUp, UNCALLED_FOR};
pub use books::{Books, DueTimes, OnQueue};
pub(super) use campaign::KeptState;
pub use campaign::{
    Actor, CampaignRecord, CampaignState, FILES_COMPLETE, PUBLISH_AGAIN, StateChange, Transition,
};
pub use consumers::{
    AgentAnswer, AgentWish, ConsumerRow, Incarnation, LIVES_FOR, RIGHT_FOR, Renewal, Renewed,
};
pub use dead::{DeadCount, DeadRow, Stray, UpcomingUndo};
pub use finishing::FinishedBy;
pub use imports::{
    IMPORT_SEEN_FOR, Import, ImportCounts, ImportRecord, ImportReport, ImportState, Manifest,
    MessageOrigin, RejectedRow, Superseded, UnusedCause, UnusedRow,
};
pub(super) use message::SHOWN_FOR;
pub use message::{
    Acceptance, CustomerRow, EARLY, HeldFor, LATE, Lease, LeasedMessage, MessageKey, MessageRecord,
    OpenOfSender, PageRow, Publication, Settlement, StoreRun, Stuck, Taken, UNDO_AFTER,
    UndoSettlement, UnknownRow, WaitRow, Wake,
};
pub use open::OpenMessages;
pub use pauses::{PauseScope, ScopedPause};
pub use standing::{Ending, Standing};
pub use upkeep::{
    BrokerLost, DAMAGED_AGAIN, DamagedRow, HOLDING_FOR, MARKED_AT_ONCE, PublishAgain, SetAside,
};
