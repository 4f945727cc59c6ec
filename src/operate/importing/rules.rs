//! The rules by which a file is refused as a whole, before its first row is accepted.

use crate::campaign::Campaign;
use crate::intake::shared_ids;
use crate::intake::{Input, KnownCustomers, Preview, SharedIds};
use crate::operate::OperateError;

/// The faults that a file may have.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct FileRules {
    pub rejects: RejectsMax,
    /// Whether several customers may have the same id; only one customer of each id is contacted.
    pub repeated_ids: bool,
}

/// The maximum number of rejected rows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum RejectsMax {
    #[default]
    Any,
    Rows(u64),
    /// The percentage of all rows, 0 to 100.
    Percent(f64),
}

impl FileRules {
    /// The ids that several people in the file have, unless the rules accept them.
    pub(super) fn shared_ids(&self, input: &Input) -> Result<Option<SharedIds>, OperateError> {
        match self.repeated_ids {
            true => Ok(None),
            false => Ok(shared_ids(input)?),
        }
    }

    /// Refuses a file with too many rejected rows.
    ///
    /// # Errors
    ///
    /// [`OperateError::TooManyRejected`].
    pub fn check(&self, preview: &Preview) -> Result<(), OperateError> {
        let rejected = preview.rejected_total();
        let max = match self.rejects {
            RejectsMax::Any => return Ok(()),
            RejectsMax::Rows(max) => max as f64,
            RejectsMax::Percent(percent) => preview.rows as f64 * percent / 100.0,
        };
        if rejected as f64 <= max {
            return Ok(());
        }
        let by_reason = preview.rejected.iter();
        Err(OperateError::TooManyRejected {
            file: preview.file.clone(),
            rejected,
            rows: preview.rows,
            by_reason: by_reason.map(|(reason, rows)| (*reason, *rows)).collect(),
        })
    }
}

/// Refuses a file that breaks the rules, without a question to the operator. The file is read only if a rule needs
/// it.
///
/// # Errors
///
/// [`OperateError::IdsShared`] and [`OperateError::TooManyRejected`]; [`OperateError::Import`] when the file cannot be
/// read.
pub fn check_file(
    rules: &FileRules,
    campaign: &Campaign,
    input: &Input,
) -> Result<(), OperateError> {
    if let Some(shared) = rules.shared_ids(input)? {
        let file = input.path().to_owned();
        return Err(OperateError::IdsShared { file, shared });
    }
    if rules.rejects == RejectsMax::Any {
        return Ok(());
    }
    let known = KnownCustomers::default();
    rules.check(&Preview::of(campaign, input.again()?, known)?)
}
