#!/usr/bin/env python3
"""Makes tests/fixtures/shown.xlsx and shown.csv: values in many number formats, and what LibreOffice shows of them.

    target/venv/bin/python tests/oracle/shown.py tests/fixtures

openpyxl writes the workbook; LibreOffice's command soffice writes the CSV, with cells as shown, in American English.
"""

import datetime
import pathlib
import subprocess
import sys
import tempfile

from openpyxl import Workbook

DAY = datetime.datetime(2026, 12, 1)
MOMENT = datetime.datetime(2026, 3, 7, 14, 30)
SUMS = [57.699999999999996, 1234567.891, 0]
DAYS = [DAY, MOMENT, datetime.datetime(2024, 2, 29)]
# A format, and what stands in it.
COLUMNS = [
    ("General", [0.1 + 0.2, 1 / 3, 57.699999999999996]),
    ("General", [True, False, True]),
    ("0", SUMS),
    ("0.00", SUMS),
    ("#,##0", SUMS),
    ("#,##0.00", SUMS),
    ("0%", [0.125, 1, 0]),
    ("0.0%", [0.125, 1, 0]),
    ("0.00E+00", SUMS),
    ("# ?/?", [0.5, 2.25, 3.75]),
    ("$#,##0.00", SUMS),
    ('"$"#,##0.00_);[Red]("$"#,##0.00)', [57.7, -57.7, 0]),
    ("[$€-407] #,##0.00", SUMS),
    ('#,##0.00\\ "€"', SUMS),
    ("#,##0.00 [$₽-419]", SUMS),
    ('_($* #,##0.00_);_($* (#,##0.00);_($* "-"??_);_(@_)', [57.7, -57.7, 12]),
    ("00000", [42, 12345, 7]),
    ("[<=9999999]###-####;(###) ###-####", [5550173, 2025550173, 5550174]),
    ('0.0,,"M"', [1234567, 25000000, 500000]),
    ('"Yes";"Yes";"No"', [1, -1, 0]),
    (";;;", SUMS),
    ("@", [12, 3.5, 0]),
    ("mm-dd-yy", DAYS),
    ("d-mmm-yy", DAYS),
    ("d-mmm", DAYS),
    ("mmm-yy", DAYS),
    ("h:mm AM/PM", DAYS),
    ("h:mm:ss AM/PM", DAYS),
    ("h:mm", DAYS),
    ("h:mm:ss", DAYS),
    ("m/d/yy h:mm", DAYS),
    ("yyyy-mm-dd", DAYS),
    ("yyyy-mm-dd h:mm:ss", DAYS),
    ("dd/mm/yyyy", DAYS),
    ("dd.mm.yyyy hh:mm", DAYS),
    ("[$-409]mmmm d, yyyy;@", DAYS),
    ("dddd, d. mmmm yyyy", DAYS),
    ("[$-407]dddd, d. mmmm yyyy", DAYS),
    ("[$-C0A]d \\d\\e mmmm \\d\\e yyyy", DAYS),
    ("[$-40C]d mmmm yyyy", DAYS),
    ("[$-410]dddd d mmmm", DAYS),
    ("[$-413]d mmmm yyyy", DAYS),
    ("[$-416]d \\d\\e mmmm", DAYS),
    ('yyyy"年"m"月"d"日"', DAYS),
    ("[h]:mm", [datetime.timedelta(hours=30, minutes=15), datetime.timedelta(minutes=5), datetime.timedelta(days=2)]),
    ("hh:mm", [datetime.time(14, 30), datetime.time(0, 5), datetime.time(23, 59)]),
]

folder = pathlib.Path(sys.argv[1])
book = Workbook()
sheet = book.active
sheet.append(["phone"] + [f"c{at}" for at in range(len(COLUMNS))])
for row in range(3):
    sheet.append([f"+1202555017{row}"] + [values[row] for _, values in COLUMNS])
    for at, (code, _) in enumerate(COLUMNS):
        sheet.cell(row + 2, at + 2).number_format = code
book.save(folder / "shown.xlsx")
with tempfile.TemporaryDirectory() as profile:
    # The ninth token: cells as shown.
    options = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,true"
    command = ["soffice", "--headless", f"-env:UserInstallation=file://{profile}", "--convert-to", options]
    subprocess.run(command + ["--outdir", str(folder), str(folder / "shown.xlsx")], check=True)
