#!/usr/bin/env python3
"""Draws one session of a document as a terminal: scripts/terminal_picture.py DOCUMENT HEADING > PICTURE.svg

The session is the first block ```console after the heading. A test draws the README's picture again and compares it.
"""

import html
import pathlib
import sys

CHARACTER, LINE, MARGIN, BAR = 8.43, 19, 18, 34
COLUMNS = 80


def session(document, heading):
    lines = pathlib.Path(document).read_text().split("\n")
    begins = lines.index("```console", lines.index(heading)) + 1
    return lines[begins : lines.index("```", begins)]


def picture(lines):
    width = round(2 * MARGIN + COLUMNS * CHARACTER)
    height = BAR + 2 * MARGIN + LINE * len(lines)
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#1b1f27"/>',
        *(f'<circle cx="{20 + 20 * n}" cy="18" r="6" fill="{colour}"/>'
          for n, colour in enumerate(["#e0605e", "#e0b35a", "#74b566"])),
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, monospace" font-size="14" fill="#d7dae0" xml:space="preserve">',
    ]
    for n, line in enumerate(lines):
        colour = ' fill="#8fc7ff"' if line.startswith(("$ ", "> ")) else ""
        y = BAR + MARGIN + LINE * n + 10
        drawn.append(f'<text x="{MARGIN}" y="{y}"{colour}>{html.escape(line)}</text>')
    return "\n".join([*drawn, "</g>", "</svg>"])


print(picture(session(*sys.argv[1:3])))
