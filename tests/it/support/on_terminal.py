"""Runs a program on a terminal of its own, and answers its questions.

on_terminal.py ANSWERS PROGRAM [ARGUMENT...]: prints what the terminal showed, and ends as the program did. The unit
separator stands between the answers. An answer to no question is typed when the terminal shows something: TEXT, the
record separator, KEYS.
"""

import os
import pty
import re
import sys

answer, program = sys.argv[1], sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
shown, seen = b"", 0
answers = answer.split("\x1f")
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:  # EIO: the program has ended
        break
    if not read:
        break
    shown += read
    # A question that waits: it ends with a default in brackets or a colon.
    question = re.search(rb"(\[y/N\] |\]: |\?: )[^\n]*$", shown[seen:])
    awaited, typed, keys = answers[0].rpartition("\x1e") if answers else ("", "", "")
    if awaited.encode() in shown[seen:] if typed else question and answers:
        seen = len(shown)
        answers.pop(0)
        os.write(terminal, keys.encode())
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
