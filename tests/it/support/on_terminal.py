"""Runs a program on a terminal of its own, and answers its question.

on_terminal.py ANSWER PROGRAM [ARGUMENT...]: prints what the terminal showed, and ends as the program did.
"""

import os
import pty
import sys

answer, program = sys.argv[1], sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(program[0], program)
shown, is_asked = b"", False
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:  # EIO: the program has ended
        break
    if not read:
        break
    shown += read
    if b"[y/N]" in shown and not is_asked:
        is_asked = True
        os.write(terminal, answer.encode())
_, status = os.waitpid(child, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
