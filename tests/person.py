# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Plays the person at the terminal: runs a command on a pseudo terminal and types answers at the approval prompt.

    python -m tests.person --answer approve|reject REASON|... -- ansible-playbook aiops.k8s.diagnose -e namespace=shop

``approve`` types the challenge that the screen shows, as a person would; any other answer is typed as it is. Exit status and
output are the command's own.
"""

from __future__ import annotations

import argparse
import re
import sys
from typing import Mapping, Sequence, TextIO

import pexpect

QUESTION = re.compile(r"Record (\d+): type\s+approve ([0-9a-f]{8})\s+or\s+reject REASON[^:]*:")


def play(
    command: Sequence[str],
    answers: Sequence[str],
    *,
    seconds: float = 300,
    columns: int = 100,
    environment: Mapping[str, str] | None = None,
    echo: TextIO | None = None,
) -> tuple[int, str]:
    """(exit status, everything shown). The last answer serves all further questions. Raises pexpect.TIMEOUT."""
    child = pexpect.spawn(command[0], list(command[1:]), encoding="utf-8", timeout=seconds, dimensions=(50, columns), env=environment)  # type: ignore[arg-type]
    child.logfile_read = echo
    shown, asked = "", 0
    while child.expect([QUESTION, pexpect.EOF]) == 0:
        shown += child.before + child.after
        answer = answers[min(asked, len(answers) - 1)]
        child.send((f"approve {child.match.group(2)}" if answer == "approve" else answer) + "\r")  # the Enter key
        asked += 1
    shown += child.before
    child.close()
    return (child.exitstatus if child.exitstatus is not None else 128 + child.signalstatus), shown


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--answer", action="append", default=[], help="what to type at the first, second... question")
    parser.add_argument("--columns", type=int, default=100)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args(arguments)
    command = options.command[1:] if options.command[:1] == ["--"] else options.command
    status, _shown = play(command, options.answer or ["approve"], columns=options.columns, echo=sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
