"""Plays the terminal sessions of a document: runs its commands in a shell on a terminal of 80 columns, one after the
other in one folder, and compares what the terminal shows with what the document says.

session.py DOCUMENT PROGRAM FOLDER [--write]

A session is a block that begins with ```console. A line that begins with `$ ` is a command, lines that begin with `> `
continue it; the other lines are what the terminal shows, answers to questions included. --write puts what the terminal showed into the document. What differs from run to run (times, process numbers, SIDs) is compared
by its form alone.
"""

import difflib
import os
import pathlib
import pty
import re
import select
import struct
import sys
import termios
import fcntl
import time

COLUMNS = 80
# The shell's prompt while the session runs: no command prints it.
PROMPT = b"\x1e$ "
MORE = b"\x1e> "
HOME = "/home/ann/renewals"
QUESTION = re.compile(rb"\[y/N\] $")

ESCAPES = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")

# How a terminal shows the answer to a question: `Send? yes`.
ANSWER = re.compile(r"^\S.*\? (y|n)(?:es|o)$")

# Each form is replaced by one sign on both sides.
FORMS = [
    (r"\b\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "<time>"),
    (r"\b(Mon|Tue|Wed|Thu|Fri|Sat|Sun) \d\d:\d\d\b", "<time>"),
    (r"\b\d{8}T\d{6}-\d+", "<time>"),
    (r"\b\d\d:\d\d(:\d\d)?\b", "<time>"),
    (r"\b\d+(\.\d+)? (ms|s|seconds?|min|minutes?)\b", "<duration>"),
    (r"\b\d+(\.\d+)?/(s|min)\b", "<rate>"),
    (r"\bprocess \d+\b", "process <n>"),
    (r"^\[(\d+)\] \d+", r"[\1] <n>"),
    (r"\b(CH|CV|IM|KD|WT|WK|WS|WW|TR|FW|FO|GO|SM|IS|AC|CF)[0-9a-f]{32}\b", r"\1<sid>"),
    (r"\b127\.0\.0\.1:\d+", "127.0.0.1:<port>"),
    (r" +", " "),
]


class Terminal:
    """A shell on a terminal."""

    def __init__(self, program, folder):
        environment = {
            "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}",
            "HOME": str(folder), "LANG": "C.UTF-8", "TERM": "dumb", "TZ": "UTC", "HISTFILE": "",
        }
        self.child, self.terminal = pty.fork()
        if self.child == 0:
            os.chdir(folder)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting"], environment)
        size = struct.pack("HHHH", 40, COLUMNS, 0, 0)
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, size)
        attributes = termios.tcgetattr(self.terminal)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(self.terminal, termios.TCSANOW, attributes)
        self.send(rf"PS1=$'{PROMPT.decode()}'; PS2=$'{MORE.decode()}'; unset PROMPT_COMMAND" + "\n")
        self.read([])

    def send(self, text):
        os.write(self.terminal, text.encode())

    def read(self, answers):
        """What the terminal shows until the next prompt. A question gets the next of the answers."""
        shown = b""
        asked = 0
        ends = time.monotonic() + 180
        while not (shown.endswith(PROMPT) or shown.endswith(MORE)):
            if not select.select([self.terminal], [], [], max(0, ends - time.monotonic()))[0]:
                sys.exit(f"no prompt after this: {shown.decode(errors='replace')}")
            shown += os.read(self.terminal, 4096)
            if QUESTION.search(ESCAPES.sub(b"", shown[asked:])):
                if not answers:
                    sys.exit(f"a question without an answer: {shown.decode(errors='replace')}")
                answer = answers.pop(0)
                # The program reads a key, and the terminal does not repeat it.
                shown += answer.encode()
                asked = len(shown)
                self.send(answer)
        return shown[: -len(PROMPT)].decode()

    def run(self, lines, answers):
        shown = ""
        for line in lines:
            self.send(line + "\n")
            shown = self.read(answers)
        # What a bar has drawn over is not shown.
        text = ESCAPES.sub(b"", shown.replace("\r\n", "\n").encode()).decode()
        return [line.rsplit("\r", 1)[-1].rstrip() for line in text.split("\n")]

    def close(self):
        self.send("kill $(jobs -p) 2>/dev/null; exit\n")
        os.waitpid(self.child, 0)


def steps(block):
    """The commands of a session, each with its lines and what the document shows of it."""
    found = []
    for line in block:
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif line.startswith("> ") and found and not found[-1][1]:
            found[-1][0].append(line[2:])
        elif found:
            found[-1][1].append(line)
    return found


def form(lines):
    text = []
    for line in lines:
        for pattern, instead in FORMS:
            line = re.sub(pattern, instead, line)
        text.append(line.strip())
    while text and not text[-1]:
        text.pop()
    return text


def main():
    document, program, folder = (pathlib.Path(path) for path in sys.argv[1:4])
    is_written = sys.argv[4:] == ["--write"]
    lines = document.read_text().split("\n")
    terminal = Terminal(program, folder)
    written, wrong, at = [], [], 0
    while at < len(lines):
        written.append(lines[at])
        at += 1
        if written[-1] != "```console":
            continue
        end = lines.index("```", at)
        for command, expected in steps(lines[at:end]):
            answers = [found for line in expected for found in ANSWER.findall(line)]
            shown = terminal.run(command, answers)
            shown = [line.replace(str(folder.resolve()), HOME) for line in shown]
            while shown and not shown[-1]:
                shown.pop()
            # An error is one line, and a file has its own.
            of_ours = shown if command[0].startswith("flexcast") else []
            wide = [line for line in of_ours if len(line) > COLUMNS and not line.startswith("error: ")]
            wrong += [f"wider than {COLUMNS} columns: {line}" for line in wide]
            if form(shown) != form(expected):
                difference = difflib.unified_diff(form(expected), form(shown), "the document", "the terminal", lineterm="")
                wrong.append(f"$ {command[0]}\n" + "\n".join(difference))
            written += ["$ " + command[0]] + ["> " + more for more in command[1:]] + shown
        at = end
    terminal.close()
    if is_written:
        document.write_text("\n".join(written))
    elif wrong:
        sys.exit("\n\n".join(wrong))


main()
