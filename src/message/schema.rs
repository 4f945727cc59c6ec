//! The JSON Schemas of messages and refusals.
//!
//! In: the types. Out: schemas in draft-07, the dialect of `AsyncAPI` documents. Always: this program reads every
//! document that passes its schema. Rules that depend on the campaign (a number for SMS, an agent) are not part of
//! a schema.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::{Address, CampaignId, DeadReason, Message, MessageId, WIRE_VERSION};

impl Message {
    /// The schema of the messages that publishers send.
    #[must_use]
    pub fn schema() -> Schema {
        schema_of::<Self>()
    }
}

/// A type's schema as this program publishes it.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>()
}

macro_rules! text_schema {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }
            fn inline_schema() -> bool {
                true
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

text_schema!(CampaignId, "CampaignId", {
    "type": "string",
    "pattern": "^[a-z0-9_][a-z0-9._-]{0,119}$"
});
text_schema!(MessageId, "MessageId", {
    "type": "string",
    "pattern": "^(?!\\s*$)[^\\u0000-\\u001f\\u007f-\\u009f]{1,120}$"
});
text_schema!(Address, "Address", {
    "type": "string",
    "pattern": "^(?!\\s*(whatsapp:)?\\s*$)[^\\u0000-\\u001f\\u007f-\\u009f]{1,191}$"
});

/// The only version that this program reads.
pub(super) fn known_version(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "integer", "const": WIRE_VERSION })
}

/// The reasons that a refusal can have.
pub(super) fn refusal_reasons(_: &mut SchemaGenerator) -> Schema {
    let words: Vec<_> = DeadReason::REFUSALS.iter().map(|it| it.as_str()).collect();
    json_schema!({ "type": "string", "enum": words })
}
