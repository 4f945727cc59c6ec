//! What an operator assumes for a preview, because nothing else can tell it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// An operator's assumptions for a preview.
#[derive(Clone, Copy, Debug, Default)]
pub struct PreviewAssumptions {
    /// How long an agent works on one task.
    pub handle_time: Option<Duration>,
    pub segment_price: Option<SegmentPrice>,
}

/// The price of one SMS segment, in millionths of any currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPrice {
    millionths: u32,
}

/// An amount in the same currency, shown with two decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    millionths: u64,
}

impl SegmentPrice {
    /// The price of a number of segments.
    #[must_use]
    pub fn times(self, segments: u64) -> Cost {
        Cost {
            millionths: segments.saturating_mul(self.millionths.into()),
        }
    }
}

/// The text is not a price.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a price of a segment: write a number such as 0.0083, with at most 6 decimals"
)]
pub struct InvalidPrice(String);

impl FromStr for SegmentPrice {
    type Err = InvalidPrice;

    fn from_str(text: &str) -> Result<Self, InvalidPrice> {
        const DECIMALS: usize = 6;
        let wrong = || InvalidPrice(text.to_owned());
        let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
        let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !is_number(whole) || !is_number(decimals) || decimals.len() > DECIMALS {
            return Err(wrong());
        }
        let digits = format!("{whole}{decimals:0<DECIMALS$}");
        let millionths = digits.parse().map_err(|_| wrong())?;
        Ok(Self { millionths })
    }
}

impl fmt::Display for SegmentPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!(
            "{}.{:06}",
            self.millionths / 1_000_000,
            self.millionths % 1_000_000
        );
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.millionths.saturating_add(5_000) / 10_000;
        let whole = crate::operate::wording::grouped(hundredths / 100);
        write!(f, "{whole}.{:02}", hundredths % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_counted_exactly() {
        let table = [
            ("0.0083", 1_238, "0.0083", "10.28"),
            ("0.00830", 1_238, "0.0083", "10.28"),
            ("1", 1_000, "1", "1,000.00"),
            ("0.000001", 1, "0.000001", "0.00"),
            ("0", 5, "0", "0.00"),
        ];
        for (text, segments, shown, cost) in table {
            let price: SegmentPrice = text.parse().expect(text);
            assert_eq!(price.to_string(), shown);
            assert_eq!(price.times(segments).to_string(), cost, "{text}");
        }
        for text in [
            "",
            ".",
            "-1",
            "0.",
            ".5",
            "0,0083",
            "1e3",
            "0.0000001",
            "99999",
        ] {
            let wrong = text.parse::<SegmentPrice>();
            assert_eq!(wrong, Err(InvalidPrice(text.to_owned())));
        }
    }
}
