//! Reads a campaign file. Every error names the file, and the line or key.

use std::path::Path;

use super::Campaign;
use super::rules;

/// Why a campaign file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CampaignError {
    #[error("{file}: cannot be read: {cause}")]
    Unreadable { file: String, cause: std::io::Error },
    /// Not TOML, an unknown key, or a value of the wrong type. The text shows the line.
    #[error("{file}: {detail}")]
    Invalid { file: String, detail: String },
    /// The file is valid, but its settings are refused.
    #[error("{file}: {}", .refusals.join("\n  "))]
    Refused { file: String, refusals: Vec<String> },
}

/// Reads and checks a campaign file.
///
/// # Errors
///
/// [`CampaignError`], with all refusals together.
pub fn load(path: &Path) -> Result<Campaign, CampaignError> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|cause| CampaignError::Unreadable {
        file: file.clone(),
        cause,
    })?;
    parse(&file, &text)
}

/// Reads and checks the text of a campaign file called `file`.
///
/// # Errors
///
/// As [`load`].
pub fn parse(file: &str, text: &str) -> Result<Campaign, CampaignError> {
    let campaign: Campaign = toml::from_str(text).map_err(|error| CampaignError::Invalid {
        file: file.to_owned(),
        detail: error.to_string().trim_end().to_owned(),
    })?;
    let refusals: Vec<String> = rules::check(&campaign)
        .into_iter()
        .filter(|notice| notice.refused)
        .map(|notice| notice.text)
        .collect();
    if refusals.is_empty() {
        Ok(campaign)
    } else {
        Err(CampaignError::Refused {
            file: file.to_owned(),
            refusals,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORTEST: &str = "id = 'spring'\nstrategy = 'task_now'\nchannel = 'sms'\n\
                            sender = '+12025550100'\n";

    #[test]
    fn four_keys_are_enough() {
        let campaign = parse("c.toml", SHORTEST).expect("a campaign");
        assert_eq!(campaign.time_to_live.as_secs(), 259_200);
        assert_eq!(campaign.proxy.target_attribute, "targetWorker");
    }

    #[test]
    fn a_campaign_survives_the_ledger_as_json() {
        let text = format!(
            "{SHORTEST}body = 'Hello'\n[pace]\ncampaign = '5/s'\n[task]\ntimeout = '90m'\n\
             attributes = {{ reason = 'renewal' }}"
        );
        let campaign = parse("c.toml", &text).expect("a campaign");
        let json = serde_json::to_value(&campaign).expect("JSON");
        let again: Campaign = serde_json::from_value(json).expect("a campaign");
        assert_eq!(again, campaign);
    }

    #[test]
    fn errors_name_the_file_and_the_key() {
        let table = [
            (format!("{SHORTEST}colour = 'red'"), "colour"),
            (SHORTEST.replace("sms", "pigeon"), "pigeon"),
            (SHORTEST.replace("id = 'spring'\n", ""), "id"),
            (format!("{SHORTEST}time_to_live = 'soon'"), "soon"),
            (format!("{SHORTEST}[pace]\ncampaign = 'fast'"), "fast"),
        ];
        for (text, named) in table {
            let error = parse("c.toml", &text).expect_err("it is wrong").to_string();
            assert!(error.starts_with("c.toml: "), "{error}");
            assert!(error.contains(named), "{error} should name {named}");
        }
    }
}
