//! How a command speaks on standard error.

/// How a command speaks on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    /// In sentences, for the operator who waits.
    Sentences,
    /// In its log, so that all of its lines have one form: `work`.
    Log,
}

impl Voice {
    /// Says one sentence.
    pub(super) fn say(self, sentence: &str) {
        match self {
            Self::Sentences => tell!("{sentence}"),
            Self::Log => tracing::info!("{sentence}"),
        }
    }

    /// Says one sentence about something that went wrong.
    pub(super) fn warn(self, sentence: &str) {
        match self {
            Self::Sentences => alert!("{sentence}"),
            Self::Log => tracing::warn!("{sentence}"),
        }
    }
}
