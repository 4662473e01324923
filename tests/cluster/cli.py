# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The command line: up, down, status, binaries."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from . import binaries, model, packages, providers, status, teardown
from .console import ClusterError, elapsed, say, write_private
from .settings import ENV_CACHE, ENV_KUBECONFIG, ENV_STATE, Paths, paths

EPILOG = f"""environment:
  {ENV_KUBECONFIG}   use this cluster instead of making one
  {ENV_STATE}    folder of the running cluster (default /var/tmp/aiops-k8s-cluster)
  {ENV_CACHE}       folder of built programs (default ~/.cache/aiops-k8s)
"""


def parser() -> argparse.ArgumentParser:
    """The options, each with its meaning."""
    top = argparse.ArgumentParser(
        prog="python -m tests.cluster",
        description="The cluster that the tests run against.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="bring a cluster up, or take over the one that is")
    up.add_argument("--kubeconfig", default="", metavar="PATH", help="use the cluster of this kubeconfig")
    up.add_argument("--provider", default=providers.AUTO, choices=[providers.AUTO, *providers.ORDER])
    up.add_argument("--write-kubeconfig", default="", metavar="PATH", help="also copy the kubeconfig to PATH")
    show = commands.add_parser("status", help="what is up; exit status 0 when it is healthy")
    show.add_argument("--json", action="store_true", help="as one JSON document")
    commands.add_parser("down", help="remove everything that `up` made")
    build = commands.add_parser("binaries", help="build programs and print where they are")
    build.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(binaries.BINARIES)} (default: all)")
    return top


@contextmanager
def locked(where: Paths) -> Iterator[None]:
    """One `up` or `down` at a time. The lock's file goes with the last holder.

    Raises ClusterError when the lock's folder cannot be written.
    """
    while True:
        try:
            where.lock.parent.mkdir(parents=True, exist_ok=True)
            stream = os.open(where.lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise ClusterError(f"cannot open the lock {where.lock}: {error.strerror}") from error
        try:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say("waiting for another `up` or `down` to end")
                fcntl.flock(stream, fcntl.LOCK_EX)
            if _still_there(where.lock, stream):
                try:
                    yield
                finally:
                    where.lock.unlink(missing_ok=True)
                return
        finally:
            os.close(stream)


def _still_there(path: Path, descriptor: int) -> bool:
    """Whether the locked file is the one at `path`, and not one that its last holder has unlinked."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except OSError:
        return False


def do_up(options: argparse.Namespace, where: Paths) -> int:
    """Bring a cluster up and say where it is."""
    with locked(where):
        cluster = providers.up(where, providers.wish(options.provider, options.kubeconfig))
    if options.write_kubeconfig:
        target = Path(options.write_kubeconfig).expanduser().absolute()
        write_private(target, Path(cluster.kubeconfig).read_bytes())
        say(f"kubeconfig copied to {target}")
    say(f"ready: provider {cluster.provider}, kubeconfig {cluster.kubeconfig}, {elapsed():.1f} s")
    return 0


def do_down(options: argparse.Namespace, where: Paths) -> int:
    """Remove whatever is there."""
    with locked(where):
        removed = providers.kind_down()
        if removed:
            say(f"removed the kind cluster {providers.KIND_CLUSTER}")
        if packages.unsupported():  # then there is no built-in cluster either, only our notes
            model.check_ours(where)
            removed = where.state.exists() or removed
            shutil.rmtree(where.state, ignore_errors=True)
        else:
            removed = teardown.down(where) or removed
    say(f"{'nothing is left' if removed else 'nothing was up'}, {elapsed():.1f} s")
    return 0


def do_status(options: argparse.Namespace, where: Paths) -> int:
    """Show what is up; 0 when it is healthy."""
    found = status.collect(where)
    print(json.dumps(asdict(found), indent=2) if options.json else status.render(found))
    return 0 if found.healthy else 1


def do_binaries(options: argparse.Namespace, where: Paths) -> int:
    """Build programs and print their paths."""
    built = binaries.ensure(where, options.names or list(binaries.BINARIES))
    print("\n".join(str(path) for path in built.values()))
    return 0


COMMANDS: dict[str, Callable[[argparse.Namespace, Paths], int]] = {
    "up": do_up,
    "down": do_down,
    "status": do_status,
    "binaries": do_binaries,
}


def main(arguments: Sequence[str]) -> int:
    """Run one command; expected failures end in one message and exit status 1."""
    options = parser().parse_args(arguments)
    try:
        return COMMANDS[options.command](options, paths())
    except (ClusterError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("interrupted; `down` removes what was begun", file=sys.stderr)
    return 1
