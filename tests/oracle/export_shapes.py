#!/usr/bin/env python3
"""Writes the files that tests/fixtures/exports/*.toml describe, reads them back, and prints what it read.

    target/venv/bin/python tests/oracle/export_shapes.py tests/fixtures/exports FOLDER
    target/venv/bin/python tests/oracle/export_shapes.py --record tests/fixtures/exports

The first writes every file into FOLDER and prints JSON: for each shape what Python's csv (in the stated dialect) or
openpyxl reads in its file, with the line or the sheet's row of each row, and what Google's phone library (phonenumbers)
makes of the number. Values that a sheet shows by a number format are in shown.json: LibreOffice's own CSV of the
workbook, cells as shown, in American English. The second writes shown.json anew, and the workbooks that LibreOffice
itself writes; it needs the command soffice.

Keys of a shape: `id`; `source`: the public page or sample it was remade from; `kind`: "csv" unless "xlsx"; `header`;
`rows`: a table for each row, from header to value ("mobile#2" is the second column of that title), and with an
underscore what is expected where it does not follow from the cells: `_reason` of the rejection, `_number`, `_name`,
`_raw`, the columns that are written without quotes.

Of a CSV: `encoding`, `bom`, `sep`, `end` (of lines), `quote` ("minimal", "all", "none", or "text": all but numbers),
`lines_above` (raw), `above` and `below` (rows), `last_end` (whether the last line has an end).
Of a workbook: `sheet`, `sheets_above`, `sheets_below`, `hidden_sheets_below`, `above`, `below`, `blank_above` (rows
between title and table), `at` (the header's first cell), `formats`, `hidden_columns`, `hidden_rows`, `by`.
What is expected: `region` and `channel` of the campaign, `phone`, `name` (a header, or those of its parts), `zone`, `country`,
`owner` (a column that is offered for the agents), `refused`: what the error says where the file is refused.
"""

import csv
import datetime
import io
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import openpyxl
import phonenumbers
from openpyxl.utils import coordinate_to_tuple

SHOWN = "shown.json"
COUNTRIES = {
    "Germany": "DE", "Deutschland": "DE", "United States": "US", "United States of America": "US", "USA": "US", "US": "US",
    "France": "FR", "Belgique": "BE",
}
# Columns in which every digit of a number counts: ids, beside the phone's.
IDS = {"ID", "id", "Record ID"}


def shapes(folder):
    for path in sorted(folder.glob("*.toml")):
        yield from tomllib.loads(path.read_text("utf-8"))["shape"]


def cells(shape, row):
    """A row's values in the header's order."""
    seen, found = {}, []
    for title in shape["header"]:
        seen[title] = seen.get(title, 0) + 1
        key = title if seen[title] == 1 else f"{title}#{seen[title]}"
        found.append(row.get(key, ""))
    return found


def quoted(text, shape, is_raw):
    how = shape.get("quote", "minimal")
    sep = shape.get("sep", ",")
    wants = {
        "all": True,
        "none": False,
        "text": not re.fullmatch(r"-?\d*(\.\d+)?", text),
        "minimal": any(mark in text for mark in (sep, '"', "\n", "\r")),
    }[how]
    return text if is_raw or not wants else '"' + text.replace('"', '""') + '"'


def write_csv(shape, path):
    sep, end = shape.get("sep", ","), shape.get("end", "\r\n")
    def line(values, raw=()):
        return sep.join(quoted(value, shape, at in raw) for at, value in enumerate(values))
    lines = list(shape.get("lines_above", []))
    lines += [line(row) for row in shape.get("above", [])]
    lines.append(line(shape["header"]))
    for row in shape["rows"]:
        raw = {shape["header"].index(title) for title in row.get("_raw", [])}
        lines.append(line(cells(shape, row), raw))
    lines += [line(row) for row in shape.get("below", [])]
    text = end.join(lines) + (end if shape.get("last_end", True) else "")
    encoding = shape.get("encoding", "utf-8")
    mark = "\ufeff".encode(encoding) if shape.get("bom") else b""
    path.write_bytes(mark + text.encode(encoding))


def read_csv(shape, path):
    """Each record that is not empty, with the line it begins on: header and rows."""
    text = path.read_bytes().decode(shape.get("encoding", "utf-8")).removeprefix("\ufeff")
    none = shape.get("quote") == "none"
    file = io.StringIO(text, newline="")
    quoting = csv.QUOTE_NONE if none else csv.QUOTE_MINIMAL
    reader = csv.reader(file, delimiter=shape.get("sep", ","), quoting=quoting, strict=not none)
    records, line = [], 1
    for record in reader:
        if any(cell.strip() for cell in record):
            records.append((line, record))
        line = reader.line_num + 1
    return records[len(shape.get("lines_above", [])) :]


def place(shape):
    """The header's row and column, counted from 1."""
    row, column = coordinate_to_tuple(shape.get("at", "A1"))
    above = len(shape.get("above", []))
    return row + above + (shape.get("blank_above", 0) if above else 0), column


def write_xlsx(shape, path):
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title in shape.get("sheets_above", []):
        sheet = book.create_sheet(title)
        sheet.append(["This document was exported. Each table was converted to a worksheet."])
        sheet.append([])
        sheet.append(["Sheet Name", "Table Name", "Worksheet Name"])
        sheet.append(["Sheet 1", "Contacts", shape["sheet"]])
    sheet = book.create_sheet(shape["sheet"])
    for title in shape.get("sheets_below", []):
        book.create_sheet(title).append(["Order", "Sum"])
    for title in shape.get("hidden_sheets_below", []):
        book.create_sheet(title).append(["contact", "phone"])
        book[title].sheet_state = "veryHidden"
    first, column = place(shape)
    start = coordinate_to_tuple(shape.get("at", "A1"))[0]
    for at, row in enumerate(shape.get("above", [])):
        for to, value in enumerate(row):
            sheet.cell(start + at, column + to, value)
    for to, title in enumerate(shape["header"]):
        sheet.cell(first, column + to, title)
        if title in shape.get("hidden_columns", []):
            sheet.column_dimensions[openpyxl.utils.get_column_letter(column + to)].hidden = True
    for at, row in enumerate(shape["rows"], start=1):
        for to, (title, value) in enumerate(zip(shape["header"], cells(shape, row))):
            if value == "":
                continue
            cell = sheet.cell(first + at, column + to, value)
            cell.number_format = shape.get("formats", {}).get(title, "General")
        sheet.row_dimensions[first + at].hidden = at in shape.get("hidden_rows", [])
    for at, row in enumerate(shape.get("below", []), start=len(shape["rows"]) + 1):
        for to, value in enumerate(row):
            sheet.cell(first + at, column + to, value)
    book.save(path)


def read_xlsx(shape, path, shown):
    """The header and the rows below it, with the sheet's row of each: texts and digits by openpyxl, what a format shows
    by LibreOffice."""
    sheet = openpyxl.load_workbook(path, data_only=True)[shape["sheet"]]
    first, column = place(shape)
    last = column + len(shape["header"]) - 1
    records = []
    for number, row in enumerate(sheet.iter_rows(first, None, column, last, values_only=True), start=first):
        found = []
        for to, value in enumerate(row):
            title = shape["header"][to]
            if value is None:
                found.append("")
            elif isinstance(value, str):
                found.append(value)
            elif title == shape["phone"] or title in IDS:
                found.append(str(int(value)))
            else:
                found.append(shown[number - 1][column - 1 + to].strip())
        if any(found):
            records.append((number, found))
    return records


def expected(shape, row, record):
    """What becomes of a row: the number, or the reason."""
    if "_reason" in row:
        return {"reason": row["_reason"]}
    by_title = dict(reversed(list(zip(shape["header"], record))))
    region = COUNTRIES.get(by_title.get(shape.get("country"), ""), shape.get("region"))
    if "_number" in row:
        number = row["_number"]
    else:
        parsed = phonenumbers.parse(by_title[shape["phone"]].strip(), region)
        assert phonenumbers.is_valid_number(parsed), (shape["id"], row)
        number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    parts = shape.get("name", [])
    parts = [parts] if isinstance(parts, str) else parts
    name = " ".join(filter(None, (by_title[part].strip() for part in parts)))
    return {"number": number, "name": row.get("_name", name)}


def read(shape, path, shown):
    is_sheet = shape.get("kind") == "xlsx"
    if is_sheet:
        records, above = read_xlsx(shape, path, shown[shape["id"]]), 0
    else:
        records, above = read_csv(shape, path), len(shape.get("above", []))
    header, *rows = records[above:]
    below = sum(any(cell for cell in row) for row in shape.get("below", []))
    rows = rows[: len(rows) - below]
    assert len(rows) == len(shape["rows"]), (shape["id"], rows)
    found = {key: shape.get(key) for key in ("id", "region", "channel", "phone", "zone", "country", "owner", "sheet", "refused")}
    return found | {
        "path": str(path),
        "header": header[1],
        "name": shape.get("name"),
        "below": below,
        "rows": [
            {"line": line, "cells": record} | expected(shape, row, record)
            for row, (line, record) in zip(shape["rows"], rows)
        ],
    }


def write(folder, to):
    """The files of all shapes: each with its path."""
    for shape in shapes(folder):
        kind = shape.get("kind", "csv")
        path = to / f"{shape['id']}.{kind}"
        if "by" in shape:
            path = folder / path.name
        elif kind == "xlsx":
            write_xlsx(shape, path)
        else:
            write_csv(shape, path)
        yield shape, path


def soffice(form, to, paths):
    with tempfile.TemporaryDirectory() as profile:
        command = ["soffice", "--headless", f"-env:UserInstallation=file://{profile}", "--convert-to", form]
        subprocess.run(command + ["--outdir", str(to), *map(str, paths)], check=True, stdout=subprocess.DEVNULL)


def record(folder):
    with tempfile.TemporaryDirectory() as name:
        to = pathlib.Path(name)
        books = [shape for shape in shapes(folder) if shape.get("kind") == "xlsx"]
        own = [shape for shape in books if "by" in shape]
        for shape in own:
            write_xlsx(shape, to / f"{shape['id']}.xlsx")
        soffice("xlsx:Calc MS Excel 2007 XML", folder, [to / f"{shape['id']}.xlsx" for shape in own])
        paths = [path for shape, path in write(folder, to) if shape in books]
        # The ninth token: cells as shown; the twelfth: every sheet, into a file of its own.
        soffice("csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,false,true,false,false,-1", to, paths)
        shown = {}
        for shape in books:
            with open(to / f"{shape['id']}-{shape['sheet']}.csv", newline="", encoding="utf-8") as file:
                shown[shape["id"]] = list(csv.reader(file))
        lines = [f"{json.dumps(key)}: {json.dumps(rows, ensure_ascii=False)}" for key, rows in sorted(shown.items())]
        (folder / SHOWN).write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--record":
        record(pathlib.Path(sys.argv[2]))
    else:
        source = pathlib.Path(sys.argv[1])
        shown = json.loads((source / SHOWN).read_text("utf-8"))
        files = write(source, pathlib.Path(sys.argv[2]))
        print(json.dumps([read(shape, path, shown) for shape, path in files]))
