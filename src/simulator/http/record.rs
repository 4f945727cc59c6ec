//! Records every request and its reply as a line of JSON, for the check against Twilio's OpenAPI.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use serde_json::{Value, json};

use super::form::Parameters;
use super::reply::Reply;

use crate::files::private;

#[derive(Debug)]
pub(in crate::simulator) struct Recorder {
    file: File,
}

/// A request to record.
pub(in crate::simulator) struct RecordedRequest<'a> {
    pub(in crate::simulator) product: &'a str,
    pub(in crate::simulator) method: &'a str,
    /// The path under the product.
    pub(in crate::simulator) path: String,
    pub(in crate::simulator) query: &'a Parameters,
    pub(in crate::simulator) form: &'a Parameters,
}

impl Recorder {
    pub(in crate::simulator) fn open(path: &Path) -> io::Result<Self> {
        let mut options = File::options();
        options.create(true).append(true);
        Ok(Self {
            file: private(&mut options).open(path)?,
        })
    }

    /// A failed write is ignored: the record is for tests, which notice a missing line.
    pub(in crate::simulator) fn write(&mut self, asked: &RecordedRequest<'_>, reply: &Reply) {
        let line = json!({
            "product": asked.product,
            "method": asked.method,
            "path": asked.path,
            "query": pairs(asked.query),
            "request_form": pairs(asked.form),
            "status": reply.status,
            "response": reply.body,
        });
        // One write for each line, so that several simulators can append to one file.
        if let Err(error) = self.file.write_all(format!("{line}\n").as_bytes()) {
            tracing::warn!(%error, "exchange not recorded");
        }
    }
}

fn pairs(form: &Parameters) -> Value {
    form.pairs()
        .map(|(name, value)| json!([name, value]))
        .collect()
}
