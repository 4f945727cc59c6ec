//! How a file of contacts is read: what the command line and the campaign say of it.

use super::rows::field::Field;
use crate::message::Channel;

/// The settings for reading a file.
#[derive(Clone, Debug)]
pub struct ContactsOptions {
    /// The channel determines the form of addresses.
    pub channel: Channel,
    /// The campaign's country for numbers without a country code in rows without a country.
    pub default_region: Option<String>,
    /// The value of `--default-region`; it has precedence over the campaign's, and over the one in a file of
    /// rejects.
    pub region_told: Option<String>,
    /// The `--map` options in order: the header of a field, or an empty text for no column.
    pub map: Vec<(Field, String)>,
    /// The agent for rows without one.
    pub default_agent: Option<String>,
    /// The label of the file's encoding, such as `windows-1252`. `None`: it is detected.
    pub encoding: Option<String>,
    /// The separator of columns. `None`: it is detected.
    pub delimiter: Option<u8>,
    /// The name of the workbook's sheet. `None`: it is chosen.
    pub sheet: Option<String>,
}

impl ContactsOptions {
    /// Options with which all settings are detected.
    #[must_use]
    pub fn new(channel: Channel) -> Self {
        Self {
            channel,
            default_region: None,
            region_told: None,
            map: Vec::new(),
            default_agent: None,
            encoding: None,
            delimiter: None,
            sheet: None,
        }
    }
}
