//! The JSON Schema of a campaign file, for editors. It checks the form of keys and values, not Twilio's rules.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Campaign, OnMissing};
use crate::message::schema_of;
use crate::pacing::Quota;

impl Campaign {
    /// The schema of a campaign file, TOML read as JSON.
    #[must_use]
    pub fn schema() -> Schema {
        schema_of::<Self>()
    }
}

impl JsonSchema for OnMissing {
    fn schema_name() -> Cow<'static, str> {
        "OnMissing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "`reject`, or the substitute text for a missing value",
            "type": "string"
        })
    }
}

impl JsonSchema for Quota {
    fn schema_name() -> Cow<'static, str> {
        "Quota".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A number of messages in a time: `5/s`, `10/min`, `80/s, burst 20`",
            "type": "string"
        })
    }
}
