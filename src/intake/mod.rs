//! A file becomes messages on a queue.
