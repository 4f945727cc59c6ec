#!/usr/bin/env python3
"""Makes tests/fixtures/phone-numbers.csv: 40,000 numbers of 20 countries, as people write them, and what
Google's libphonenumber (its port to Python, pinned in requirements.txt) reads in each.

    target/venv/bin/python tests/oracle/phone_numbers.py > tests/fixtures/phone-numbers.csv

A line is: country, text, and the number in E.164 when it is valid and has 7 to 15 digits. Half of the
numbers vary an example of the country's metadata, the rest are of a possible length or one off. The
seed is fixed: the same version gives the same file.
"""

import random
import sys

import phonenumbers as pn
from phonenumbers import PhoneNumberFormat as Format, PhoneNumberType as Type

COUNTRIES = "US CA GB DE FR ES IT NL BE SE PL CH AT AU NZ IN BR MX JP ZA".split()
EACH = 2000
TYPES = [Type.MOBILE, Type.MOBILE, Type.MOBILE, Type.FIXED_LINE, Type.FIXED_LINE, Type.TOLL_FREE,
         Type.PREMIUM_RATE, Type.VOIP, Type.SHARED_COST]
FULL_WIDTH = str.maketrans("0123456789+", "".join(chr(0xFF10 + n) for n in range(10)) + "\uff0b")


def varied(dice, country):
    """A national number near an example of the metadata."""
    example = pn.example_number_for_type(country, dice.choice(TYPES)) or pn.example_number(country)
    digits = pn.national_significant_number(example)
    kept = len(digits) - dice.randint(3, 6)
    return digits[:kept] + "".join(dice.choice("0123456789") for _ in digits[kept:])


def any_digits(dice, country):
    """Digits of a possible length, or one more or fewer."""
    metadata = pn.PhoneMetadata.metadata_for_region(country)
    length = dice.choice(metadata.general_desc.possible_length) + dice.choice([0, 0, 0, 1, -1])
    return dice.choice("123456789") + "".join(dice.choice("0123456789") for _ in range(length - 1))


def written(dice, country, digits):
    """The number as somebody writes it."""
    code = pn.country_code_for_region(country)
    number = pn.PhoneNumber(country_code=code, national_number=int(digits))
    number.italian_leading_zero = digits.startswith("0") or None
    style = dice.randrange(12)
    if style < 3:
        return pn.format_number(number, Format.NATIONAL)
    if style < 5:
        return pn.format_number(number, Format.INTERNATIONAL)
    if style == 5:
        return pn.format_number(number, Format.RFC3966)
    if style == 6:
        return digits
    if style == 7:
        return f"+{code}{digits}"
    if style == 8:
        return pn.format_number(number, Format.NATIONAL).replace(" ", dice.choice(".-/\u00a0\u2011"))
    if style == 9:
        return pn.format_number(number, Format.INTERNATIONAL) + dice.choice([" x123", " ext. 7", ";ext=42"])
    if style == 10:
        return f"+{code} (0) {digits}"
    return pn.format_number(number, Format.INTERNATIONAL).translate(FULL_WIDTH)


def read(country, text):
    try:
        number = pn.parse(text, country)
    except pn.NumberParseException:
        return ""
    e164 = pn.format_number(number, Format.E164)
    return e164 if pn.is_valid_number(number) and 8 <= len(e164) <= 16 else ""


def main():
    dice = random.Random(20261122)
    for country in COUNTRIES:
        for _ in range(EACH):
            make = dice.choice([varied, varied, any_digits, any_digits])
            text = written(dice, country, make(dice, country))
            assert "," not in text and '"' not in text, text
            sys.stdout.write(f"{country},{text},{read(country, text)}\n")


if __name__ == "__main__":
    main()
