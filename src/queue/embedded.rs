//! One SQLite file as a queue: nothing to install.
