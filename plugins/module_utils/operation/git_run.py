# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Runs git for the record store: never asks, never waits without limit, never says a password.

Every command runs with standard input closed or fed, in a session of its own (no terminal to ask at), with a time limit after which the
whole session is killed, and in the C locale. Hooks and signing keys of the clone are its owner's and stay in force where git itself
honours them (pre-push, reference-transaction); commits are made by ``git fast-import``, which neither signs nor runs commit hooks.
Errors: StoreFailed; Offline for a remote that did not answer, Refused for one that said no, Raced where somebody else was first.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from typing import Iterable, Iterator, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.errors import StoreFailed
from ansible_collections.aiops.k8s.plugins.module_utils.operation.redact import redact

_TRIES = 6
SECONDS = 30.0  # for one command, the network included
_OPTIONS = (
    "--literal-pathspecs", "-c", "core.quotePath=false", "-c", "color.ui=false", "-c", "log.showSignature=false", "-c", "core.safecrlf=false",
    "-c", "advice.detachedHead=false", "-c", "pack.threads=1",
)  # fmt: skip
_ELSEWHERE = (  # what a caller's environment may say about another repository
    "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_NAMESPACE",
    "GIT_PREFIX", "GIT_CONFIG", "GIT_GRAFT_FILE", "GIT_SHALLOW_FILE", "GIT_QUARANTINE_PATH", "GIT_LITERAL_PATHSPECS", "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_TRACE", "GIT_CURL_VERBOSE", "GIT_DEFAULT_HASH", "GIT_REFLOG_ACTION",
)  # fmt: skip
_RACES = (
    "fetch first", "non-fast-forward", "stale info", "cannot lock ref", "failed to update ref", "incorrect old value", "reference already exists",
    "remote ref updated since checkout", "failed to lock", "unable to create",
)  # fmt: skip


class Offline(StoreFailed):
    """The remote did not answer, or does not know us."""


class Refused(StoreFailed):
    """The remote answered, and does not take what we push."""


class Raced(StoreFailed):
    """Somebody else pushed, or wrote in this clone, first."""


@dataclass(frozen=True)
class Commit:
    """One commit to make: files to write {path: content}, who made the event, and when (seconds)."""

    message: str
    author: tuple[str, str]
    seconds: int
    files: Mapping[str, bytes]


class Repository:
    """One clone. ``top`` is its work tree."""

    def __init__(self, top: str, committer: tuple[str, str]) -> None:
        self.top = top
        self.environment = {
            **{name: value for name, value in os.environ.items() if name not in _ELSEWHERE},
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "SSH_ASKPASS_REQUIRE": "never",
            "GCM_INTERACTIVE": "never",
            "GIT_COMMITTER_NAME": committer[0],
            "GIT_COMMITTER_EMAIL": committer[1],
            "GIT_AUTHOR_NAME": committer[0],
            "GIT_AUTHOR_EMAIL": committer[1],
        }
        self.committer = committer
        self._quiet_ssh: dict[str, str] | None = None

    def run(self, *arguments: str, data: bytes = b"", network: bool = False) -> bytes:
        """What a command prints. Raises StoreFailed with its last words."""
        status, output, said = self.status(*arguments, data=data, network=network)
        if status:
            raise StoreFailed(f"git {arguments[0]} failed in {self.top}: {said}.", "See docs/runbooks/git-store.md.")
        return output

    def status(self, *arguments: str, data: bytes = b"", network: bool = False) -> tuple[int, bytes, str]:
        """(exit status, output, what it said without passwords). Raises StoreFailed when git is missing or too slow."""
        environment = {**self.environment, **(self._ssh() if network else {})}
        try:
            process = subprocess.Popen(
                ["git", *_OPTIONS, *arguments],
                cwd=self.top,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise StoreFailed(
                f"git cannot be run: {error.strerror}.", "Install git; store.yml says that the records are kept with it."
            ) from error
        try:
            output, errors = process.communicate(data, timeout=SECONDS)
        except subprocess.TimeoutExpired as error:
            end(process)
            message = f"git {arguments[0]} did not end within {SECONDS:.0f} s in {self.top}."
            raise (Offline if network else StoreFailed)(
                message, "Look for a hook or a credential helper that waits for somebody."
            ) from error
        except BaseException:
            end(process)
            raise
        return process.returncode, output, plain(errors)

    def lines(self, *arguments: str, data: bytes = b"") -> list[str]:
        """The NUL-separated parts of what a command prints."""
        return [os.fsdecode(part) for part in self.run(*arguments, data=data).split(b"\0") if part]

    def commits(self, *names: str) -> list[str]:
        """The commit ids of refs; "" for one that does not exist."""
        request = "".join(f"{name}^{{commit}}\n" for name in names).encode()
        answers = self.run("cat-file", "--batch-check=%(objectname)", data=request).decode().splitlines()
        return ["" if " " in answer else answer for answer in answers]

    def common(self, one: str, other: str) -> str:
        """The last commit that two have in common; "" for none."""
        return one if one == other else self.status("merge-base", one, other)[1].decode().strip()

    def tree(self, commit: str, path: str) -> dict[str, str]:
        """{path: blob id} of the files below a directory of a commit."""
        if not commit:
            return {}
        rows = self.lines("ls-tree", "-r", "-z", "--full-tree", commit, "--", *([path] if path else []))
        return {row.split("\t", 1)[1]: row.split("\t", 1)[0].split(" ")[2] for row in rows}

    def blobs(self, names: Iterable[str]) -> dict[str, bytes | None]:
        """{object name: content}, None for what does not exist; one process for all."""
        wanted = list(dict.fromkeys(names))
        if not wanted:
            return {}
        output = self.run("cat-file", "--batch", data="".join(f"{name}\n" for name in wanted).encode())
        return dict(zip(wanted, _contents(output)))

    def write(self, commits: Iterable[Commit], base: str, reference: str, force: bool) -> str:
        """Make commits on top of one ("" for none) and have a reference name the last; its id.

        Without ``force`` the reference has to be at ``base`` still. Raises Raced.
        """
        stream, mark = [], 0
        for mark, one in enumerate(commits, 1):
            stream.append(f"commit {reference}\nmark :{mark}\n".encode())
            stream.append(b"author %s %d +0000\n" % (_person(one.author), one.seconds))
            stream.append(b"committer %s %d +0000\n" % (_person(self.committer), int(time.time())))
            stream.append(_data(one.message.encode()))
            if mark > 1 or base:
                stream.append(f"from {f':{mark - 1}' if mark > 1 else base}\n".encode())
            stream += [b"M 100644 inline %s\n%s" % (_quoted(path), _data(content)) for path, content in one.files.items()]
            stream.append(b"\n")
        stream.append(f"get-mark :{mark}\ndone\n".encode())
        options = ("--quiet", *(("--force",) if force else ()), "--done", "--cat-blob-fd=1", "--date-format=raw")
        status, output, said = self.status("fast-import", *options, data=b"".join(stream))
        if status and ("Not updating" in said or "does not contain" in said or "cannot lock ref" in said):
            raise Raced(f"{reference} moved meanwhile: {said}.")
        if status:
            raise StoreFailed(f"The events could not be committed in {self.top}: {said}.", "See docs/runbooks/git-store.md.")
        return output.decode().split()[0]

    def move(self, branch: str, new: str, old: str, why: str) -> None:
        """Move a branch that still is where it was. Raises Raced."""
        status, _output, said = self.status("update-ref", "-m", f"aiops.k8s: {why}", f"refs/heads/{branch}", new, old or "0" * len(new))
        if status:
            raise Raced(f"The branch {branch} moved meanwhile: {said}.")

    def fetch(self, remote: str, branch: str, reference: str) -> None:
        """Update our reference of a remote's branch. Raises Offline."""
        refspec = f"+refs/heads/{branch}:{reference}"
        options = ("--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--no-auto-gc")
        for attempt in range(_TRIES):
            status, _output, said = self.status("fetch", *options, remote, refspec, network=True)
            if not status or "lock" not in said:
                break
            time.sleep(0.1 * (attempt + 1))  # another git of this clone, such as one that a killed run has left to end by itself
        if status and "couldn't find remote ref" in said:
            self.status("update-ref", "-d", reference)  # a new, empty remote
        elif status:
            raise Offline(f"The remote {remote} cannot be reached: {said}.")

    def push(self, remote: str, branch: str, commit: str) -> None:
        """Push; git notes where the remote's branch is now. Raises Raced, Refused, Offline."""
        options = ("--porcelain", "--no-follow-tags", "--recurse-submodules=no", "--no-force-with-lease")
        status, output, said = self.status("push", *options, remote, f"{commit}:refs/heads/{branch}", network=True)
        row = next(
            (line for line in output.decode(errors="replace").splitlines() if line[:2] in ("!\t", "=\t", " \t", "*\t", "-\t", "+\t")), ""
        )
        if status == 0:
            return
        reason = plain(row.split("\t")[-1].encode()) if row else ""
        if row.startswith("!") and any(one in reason for one in _RACES):
            raise Raced(f"Somebody else pushed to {remote} first: {reason}.")
        if row.startswith("!"):
            raise Refused(f"The remote {remote} does not take the push to {branch}: {reason}. {said}".strip())
        raise Offline(f"The remote {remote} cannot be reached: {said}.")

    def _ssh(self) -> dict[str, str]:
        """Their ssh command, but one that never asks."""
        if self._quiet_ssh is None:
            given = self.environment.get("GIT_SSH_COMMAND") or self.status("config", "core.sshCommand")[1].decode(errors="replace").strip()
            own = "GIT_SSH" in self.environment and not given  # a program of theirs, whose options are not known
            self._quiet_ssh = {} if own else {"GIT_SSH_COMMAND": f"{given or 'ssh'} -o BatchMode=yes -o ConnectTimeout=10"}
        return self._quiet_ssh


def end(process: subprocess.Popen[bytes]) -> None:
    """Kill a command with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass  # it has just ended
    process.wait()
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe:
            pipe.close()


def plain(errors: bytes) -> str:
    """The last lines that git said, on one line and without passwords."""
    if not errors:
        return "it did not say why"
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith("hint:")][-4:]
    return redact("; ".join(said)[:600])[0].rstrip(".") or "it did not say why"


def _contents(output: bytes) -> Iterator[bytes | None]:
    position = 0
    while position < len(output):
        end_of_line = output.index(b"\n", position)
        head = output[position:end_of_line].split()
        position = end_of_line + 1
        if len(head) != 3 or head[1] == b"missing":
            yield None
            continue
        size = int(head[2])
        yield output[position : position + size]
        position += size + 1


def _person(who: tuple[str, str]) -> bytes:
    name, address = ("".join(letter for letter in part if letter not in "<>\n\r\0").strip() for part in who)
    return f"{name or 'unknown'} <{address}>".encode()


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


def _quoted(path: str) -> bytes:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return b'"%s"' % os.fsencode(escaped)
