//! Who finishes a campaign.

use super::AuditedOperation;

/// Who finishes a campaign.
#[derive(Clone, Debug, PartialEq)]
pub enum FinishedBy {
    /// Its files are processed, and its messages come from files only.
    Itself,
    /// An operator, who says with this operation that its publishers send no more messages.
    Operator(AuditedOperation),
}

impl FinishedBy {
    /// The operation, if an operator finishes it.
    #[must_use]
    pub fn operation(&self) -> Option<&AuditedOperation> {
        match self {
            Self::Itself => None,
            Self::Operator(operation) => Some(operation),
        }
    }
}
