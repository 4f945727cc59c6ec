//! Chooses one of three encodings for a Western European text whose bytes are not UTF-8.
//!
//! In: the text's bytes, in chunks. Out: Windows-1252, Mac Roman (written by Excel for Mac) or code page 850
//! (called MS-DOS in Excel). Always: Windows-1252, unless its words are implausible and those of another encoding
//! are not; only bytes within words count.

use std::sync::LazyLock;

use encoding_rs::{Encoding, MACINTOSH, WINDOWS_1252};

/// The letters of code page 850 from byte 0x80 on; a dot stands for other characters.
const DOS: &str = concat!(
    "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø.Ø..",
    "áíóúñÑ...............ÁÂÀ........",
    "......ãÃ........ðÐÊËÈ.ÍÎÏ.....Ì.",
    "ÓßÔÒõÕ.þÞÚÛÙýÝ..................",
);

const DOS_REFUSED: &str = "its accents are those of a CSV (MS-DOS), code page 850, which is not read; save it as \
                           CSV UTF-8, or name another encoding with --encoding";

/// The encoding that was chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Western {
    Windows,
    Mac,
    Dos,
}

/// The fewest letters that can outweigh the detector's guess.
const LETTERS_MIN: i64 = 3;

/// The plausibility of a text in each encoding.
#[derive(Debug, Default)]
pub(in crate::intake) struct WesternSurvey {
    /// The number of bytes within words.
    letters: i64,
    windows: i64,
    mac: i64,
    dos: i64,
    /// The last two bytes.
    before: [u8; 2],
}

impl WesternSurvey {
    pub(in crate::intake) fn pass(&mut self, bytes: &[u8]) {
        for byte in bytes {
            let [before, at] = self.before;
            let is_in_word = before.is_ascii_alphabetic() || byte.is_ascii_alphabetic();
            let letter = at.checked_sub(0x80).filter(|_| is_in_word);
            let letter = letter.and_then(|at| LETTERS.get(usize::from(at)));
            if let Some([in_windows, in_mac, in_dos]) = letter {
                self.letters += 1;
                self.windows += windows(before, *in_windows, *byte);
                self.mac += plausible(before, *in_mac, *byte);
                self.dos += plausible(before, *in_dos, *byte);
            }
            self.before = [at, *byte];
        }
    }

    /// The encoding of a text, given the detector's `guess`.
    ///
    /// # Errors
    ///
    /// A sentence for the operator if the encoding is not supported.
    pub(in crate::intake) fn instead_of(
        &self,
        guess: &'static Encoding,
    ) -> Result<&'static Encoding, String> {
        let found = match guess == WINDOWS_1252 {
            true => self.found(),
            // A text in another language is implausible in all three.
            false if !guess.is_single_byte() || self.letters < LETTERS_MIN => Western::Windows,
            false if self.mac == self.letters => Western::Mac,
            false if self.dos == self.letters => Western::Dos,
            false => Western::Windows,
        };
        match found {
            Western::Windows => Ok(guess),
            Western::Mac => Ok(MACINTOSH),
            Western::Dos => Err(DOS_REFUSED.to_owned()),
        }
    }

    fn found(&self) -> Western {
        let is_better = |other: i64| {
            other > 0 && (other - self.windows >= 2 || (self.windows < 0 && other > self.windows))
        };
        match (is_better(self.mac), is_better(self.dos)) {
            (_, true) if self.dos > self.mac => Western::Dos,
            (true, _) => Western::Mac,
            _ => Western::Windows,
        }
    }
}

/// The characters of each byte from 0x80 on in Windows-1252, in Mac Roman and in code page 850.
static LETTERS: LazyLock<Vec<[char; 3]>> = LazyLock::new(|| {
    let bytes = (0x80..=0xff).zip(DOS.chars());
    let letters = |(byte, dos)| [decoded(WINDOWS_1252, byte), decoded(MACINTOSH, byte), dos];
    bytes.map(letters).collect()
});

fn decoded(encoding: &'static Encoding, byte: u8) -> char {
    let bytes = [byte];
    let (text, _) = encoding.decode_without_bom_handling(&bytes);
    text.chars().next().unwrap_or('.')
}

/// As [`plausible`], for Windows-1252: its typographic signs have the bytes of letters in the other encodings.
fn windows(before: u8, c: char, after: u8) -> i64 {
    let begins = !before.is_ascii_alphabetic();
    let ends = !after.is_ascii_alphabetic();
    match c {
        '’' => 1,
        '‘' | '‚' | '„' if begins => 1,
        '“' if begins || ends => 1,
        '”' | '…' | '™' | '®' if ends => 1,
        '…' | '€' if begins => 0,
        'œ' | 'Œ' => i64::from(matches!(after, b'u' | b'i' | b'U' | b'I')),
        'š' | 'ž' => 0,
        'Š' | 'Ž' | 'Ÿ' => plausible(before, 'É', after),
        '–' | '—' => i64::from(!begins && after.is_ascii_uppercase()),
        _ => plausible(before, c, after),
    }
}

/// 1 for a letter that is plausible between these two, -1 for other characters.
fn plausible(before: u8, c: char, after: u8) -> i64 {
    let is_letter = matches!(c, 'À'..='ÿ') && !matches!(c, '×' | '÷');
    if !is_letter {
        return -1;
    }
    // A capital in the middle of a word.
    let is_odd = c.is_uppercase()
        && (before.is_ascii_lowercase()
            || (before.is_ascii_uppercase() && after.is_ascii_lowercase()));
    if is_odd { -1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dos(text: &str) -> Vec<u8> {
        let byte = |c: char| match DOS.chars().position(|known| known == c) {
            Some(at) => 0x80 + at as u8,
            None => c as u8,
        };
        text.chars().map(byte).collect()
    }

    fn found(bytes: &[u8]) -> Western {
        let mut look = WesternSurvey::default();
        look.pass(bytes);
        look.pass(b"\n");
        look.found()
    }

    /// Second source for the table: Python's `'...'.encode('cp850')`.
    #[test]
    fn the_letters_of_code_page_850_stand_at_their_bytes() {
        assert_eq!(DOS.chars().count(), 128);
        assert_eq!(
            dos("Jörg Müßig ÄÖÜ éèçñãõÉ"),
            b"J\x94rg M\x81\xe1ig \x8e\x99\x9a \x82\x8a\x87\xa4\xc6\xe4\x90"
        );
    }

    #[test]
    fn names_tell_which_of_three_encodings_they_are_in() {
        let names = [
            "Jörg Müller\nKäthe Weiß\nÄnne Übel",
            "Hélène Lefèvre\nNoël Besançon\nÉlodie",
            "Íñigo Muñoz\nÁngela Güell\nLeón",
            "João Conceição\nInês Alçada\nMarília",
            "RENÉE LEFÈVRE\nJÖRG WEISS",
            "Zoë",
        ];
        for text in names {
            let (windows, ..) = WINDOWS_1252.encode(text);
            assert_eq!(found(&windows), Western::Windows, "{text}");
            let (mac, _, is_lossy) = encode_mac(text);
            assert!(!is_lossy);
            assert_eq!(found(&mac), Western::Mac, "{text}");
        }
        for text in &names[..4] {
            assert_eq!(found(&dos(text)), Western::Dos, "{text}");
        }
        // Windows-1252 signs that are letters in the other encodings, alone in a file.
        let alone = [
            "O’Hara and D’Arcy, Bob’s",
            "sœur",
            "Berlin–Paris, Rome–Oslo",
            "Škoda, Žižek",
            "“quoted” and ‘so’…",
            "„gesagt“ und „getan“",
            "10 € each",
            "Straße",
        ];
        for text in alone {
            let (windows, ..) = WINDOWS_1252.encode(text);
            assert_eq!(found(&windows), Western::Windows, "{text}");
        }
    }

    fn encode_mac(text: &str) -> (Vec<u8>, (), bool) {
        let (bytes, _, is_lossy) = MACINTOSH.encode(text);
        (bytes.into_owned(), (), is_lossy)
    }
}
