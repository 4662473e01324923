# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""A real container registry on the loopback, which holds nothing: open to everybody, or only with a password."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.settings import paths
from tests.integration.support import wait

PACKAGE = "docker-registry"
NOBODY = "nobody:$2y$05$5tKzWfaLeHqs6OJR5n8aUe3nMsmf4WYWTDFcsHcSuW3H9DEAcQOKu\n"  # nobody knows the password


def program() -> str:
    """The registry: the machine's, or Debian's unpacked into the cache of the test tools; no service is installed."""
    installed, cached = shutil.which(PACKAGE), paths().cache / PACKAGE / "usr" / "bin" / PACKAGE
    if installed or cached.exists():
        return installed or str(cached)
    with tempfile.TemporaryDirectory() as directory:
        for command in (["apt-get", "download", PACKAGE], ["apt-get", "update"], ["apt-get", "download", PACKAGE]):
            done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
            found = list(Path(directory).glob("*.deb"))
            if found:
                subprocess.run(["dpkg-deb", "-x", str(found[0]), str(paths().cache / PACKAGE)], check=True)
                return str(cached)
    raise AssertionError(
        f"The tests of image pulls need a registry. Put the program {PACKAGE} on PATH (Debian and Ubuntu package it); apt-get said: {done.stderr}"
    )


@contextmanager
def registry(directory: Path, password: bool) -> Iterator[str]:
    """``host:port`` of a running registry; the name makes the container runtime use plain HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    directory.mkdir(parents=True)
    (directory / "htpasswd").write_text(NOBODY, encoding="ascii")
    settings = {
        "version": "0.1",
        "log": {"level": "error"},
        "http": {"addr": address},
        "storage": {"filesystem": {"rootdirectory": str(directory)}},
        **({"auth": {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}} if password else {}),
    }
    (directory / "config.yml").write_text(json.dumps(settings), encoding="utf-8")
    with open(directory / "log", "wb") as log, subprocess.Popen([program(), "serve", str(directory / "config.yml")], stdout=log, stderr=log) as process:
        try:
            wait(f"the registry on {address} answers", lambda: _answers(address), seconds=20)
            yield address
        finally:
            process.terminate()


def _answers(address: str) -> bool:
    try:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"http://{address}/v2/", timeout=2).close()
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False
    return True
