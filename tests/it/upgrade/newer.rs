//! A program that is older than its ledger or its queue.
