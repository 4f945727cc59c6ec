#!/usr/bin/env python3
"""Makes tests/fixtures/customers.xlsx: a workbook as people keep their customers in.

    target/venv/bin/python tests/oracle/workbook.py tests/fixtures/customers.xlsx
"""

import datetime
import sys

from openpyxl import Workbook

book = Workbook()
sheet = book.active
sheet.title = "Customers"
sheet.append(["Name", "Mobile Phone", "Lead Owner", "Since", "Seats"])
# A number that a CSV export would show as 1.20256E+10.
sheet.append(["Zoë", 12025550173, "alice", datetime.datetime(2024, 5, 1), 3])
sheet.append(["Two\nlines", "+12025550174", "bob", None, 2.5])
sheet.append([])
sheet.append(["Nobody", None, "bob"])
sheet.append(["Dana", "(202) 555-0175"])
sheet.append([])
sheet.append(["Report of customers, confidential"])
hidden = book.create_sheet("Hidden", 0)
hidden.sheet_state = "hidden"
hidden.append(["phone"])
other = book.create_sheet("Others")
other.append(["phone"])
other.append(["+12025550199"])
book.save(sys.argv[1])
