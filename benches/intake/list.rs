//! The file: seven columns, some 290 bytes a row, as a CRM exports it.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// New York's 212 and seven digits from 2,000,000: what libphonenumber calls valid.
const NUMBERS: u64 = 8_000_000;

/// Has no factor in common with `NUMBERS`: a step that meets every number once, in no order.
const STEP: u64 = 4_999_999;

/// Writes so many rows; no number stands twice.
pub(crate) fn write(path: &Path, rows: u64) {
    assert!(rows <= NUMBERS, "no more numbers are made up");
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let mut line = |text: std::fmt::Arguments<'_>| writeln!(file, "{text}").expect("written");
    line(format_args!("id,phone,name,agent,plan,city,notes"));
    let notes = "renewed twice and asked for the yearly invoice by mail; prefers to be written to in the \
                 afternoon and has said that the last conversation was helpful and quick. Follow up \
                 about the second line and the old device";
    for n in 0..rows {
        let number = 2_000_000 + n * STEP % NUMBERS;
        let (agent, plan) = (n % 50, ["gold", "silver", "basic"][(n % 3) as usize]);
        line(format_args!(
            "crm-{n:08},+1212{number},Customer {n},agent-{agent},{plan},Metropolis,{notes}"
        ));
    }
    file.flush().expect("written");
}
