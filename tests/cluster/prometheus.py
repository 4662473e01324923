# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A real Prometheus beside the test cluster, for as long as a test wants it: Debian's, unpacked into the cache, not installed.

with serve(directory, scraping(cluster, directory)) as url:
    ...
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .console import ClusterError, find_program, run, say, tail, tail_of, wait_until, write_private
from .model import Cluster
from .packages import LISTS
from .settings import paths

PACKAGE = "prometheus"
PROGRAMS = ("prometheus", "promtool")
# The kubelet's figures per container, under the names that cAdvisor's have: in the built-in cluster that one does not know containers, as it looks for
# containerd at its usual socket
PATH = "/metrics/resource"
KEPT = "container_(cpu_usage_seconds_total|memory_working_set_bytes)"  # what the tests ask for, of a hundred metrics
READY_SECONDS = 30.0
LONGEST = "30m"  # after this it ends by itself, should the one who started it have been killed
_STOP_SECONDS = 10.0

Config = dict[str, Any]


def programs() -> dict[str, Path]:
    """Where prometheus and promtool are: on this machine, or unpacked from Debian's package into the cache.

    Raises ClusterError when they are not installed and cannot be had.
    """
    installed = {name: path for name in PROGRAMS if (path := find_program(name)) is not None}
    if len(installed) == len(PROGRAMS):
        return installed
    folder = paths().cache / "debian" / PACKAGE
    if not folder.is_dir():
        _unpack(folder)
    return {name: folder / "usr" / "bin" / name for name in PROGRAMS}


def _unpack(folder: Path) -> None:
    for needed in ("apt-get", "dpkg-deb"):
        if find_program(needed) is None:
            raise ClusterError(f"this test needs {' and '.join(PROGRAMS)}: install them, as there is no {needed} here")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as work:
        if not any(LISTS.glob("*_Packages*")):
            say("refreshing the package lists (apt-get update)")
            run(["apt-get", "update"], timeout=600, check=False)
        say(f"fetching {PACKAGE} (apt-get download)")
        command = ["env", "-C", work, "apt-get", "download", "-o", "APT::Sandbox::User=root", PACKAGE]
        done = run(command, timeout=600, check=False)
        archives = list(Path(work).glob("*.deb"))
        if not archives:
            raise ClusterError(f"apt-get could not fetch {PACKAGE}:\n{tail(done.stderr)}")
        run(["dpkg-deb", "--extract", archives[0], Path(work) / "root"])
        try:
            (Path(work) / "root").rename(folder)
        except OSError:  # somebody else was quicker
            if not folder.is_dir():
                raise


def scraping(cluster: Cluster, directory: Path, seconds: int = 5) -> Config:
    """The configuration with which every real node's kubelet is scraped, through the API server, as the cluster's administrator."""
    view = json.loads(_kubectl(cluster, "config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    server, user = view["clusters"][0]["cluster"], view["users"][0]["user"]
    job: Config = {
        "job_name": "kubelet",
        "scheme": "https",
        "metric_relabel_configs": [{"source_labels": ["__name__"], "regex": KEPT, "action": "keep"}],
        "relabel_configs": [{"source_labels": ["node"], "target_label": "__metrics_path__", "replacement": f"/api/v1/nodes/${{1}}/proxy{PATH}"}],
        "static_configs": [{"targets": [server["server"].removeprefix("https://")], "labels": {"node": node}} for node in _nodes(cluster)],
        "tls_config": {"ca_file": _file(directory, "ca.crt", server["certificate-authority-data"])},
    }
    if "token" in user:
        job["authorization"] = {"credentials": user["token"]}
    else:
        job["tls_config"]["cert_file"] = _file(directory, "client.crt", user["client-certificate-data"])
        job["tls_config"]["key_file"] = _file(directory, "client.key", user["client-key-data"])
    return {"global": {"scrape_interval": f"{seconds}s", "scrape_timeout": f"{seconds}s"}, "scrape_configs": [job]}


def _nodes(cluster: Cluster) -> list[str]:
    """The nodes that have a kubelet: not those that are only simulated."""
    listed = json.loads(_kubectl(cluster, "get", "nodes", "-o", "json"))["items"]
    return [one["metadata"]["name"] for one in listed if "kwok.x-k8s.io/node" not in one["metadata"].get("annotations", {})]


def _kubectl(cluster: Cluster, *words: str) -> str:
    return run([cluster.kubectl, f"--kubeconfig={cluster.kubeconfig}", *words]).stdout


def _file(directory: Path, name: str, encoded: str) -> str:
    write_private(directory / name, base64.b64decode(encoded))
    return str(directory / name)


@contextmanager
def serve(directory: Path, config: Mapping[str, Any] | None = None, host: str = "127.0.0.1", arguments: Sequence[str] = ()) -> Iterator[str]:
    """Start Prometheus and give its URL; it is stopped, and what it stored removed, at the end.

    directory: for its files; blocks that lie in directory/data are served. arguments: further ones of its command line.
    Raises ClusterError when it does not start.
    """
    program = programs()["prometheus"]
    data, log = directory / "data", directory / "prometheus.log"
    write_private(directory / "prometheus.yml", json.dumps(config or {}))
    with socket.socket() as free:
        free.bind((host, 0))
        port = free.getsockname()[1]
    url = f"http://{host}:{port}"
    command = ["timeout", "--kill-after=5", LONGEST, str(program), f"--config.file={directory}/prometheus.yml", f"--storage.tsdb.path={data}"]
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={host}:{port}", "--storage.tsdb.retention.time=10y", "--log.level=warn", *arguments],
            cwd=directory,
            env={"PATH": os.environ.get("PATH", ""), "HOME": str(directory)},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
    try:
        complaint = wait_until(lambda: _complaint(process, url), READY_SECONDS, 0.05)
        if process.poll() is not None:
            complaint = f"it ended with status {process.returncode}"
        if complaint:
            raise ClusterError(f"Prometheus did not start: {complaint}\n{tail_of(log)}")
        yield url
    finally:
        process.terminate()  # timeout hands it on
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(data, ignore_errors=True)


def _complaint(process: subprocess.Popen[bytes], url: str) -> str:
    if process.poll() is not None:
        return ""  # there is nothing to wait for
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(f"{url}/-/ready", timeout=2) as answer:
            return "" if answer.status == 200 else f"HTTP status {answer.status}"
    except (urllib.error.URLError, OSError) as error:
        return str(error)


def blocks(directory: Path, lines: Iterable[str]) -> float:
    """Write samples (lines of OpenMetrics, with times, in their order) as blocks into directory/data; returns the seconds that it took."""
    source = directory / "samples.txt"
    _text(source, lines)
    begun = time.monotonic()
    _build(source, directory / "data")
    source.unlink()
    return time.monotonic() - begun


def cached_blocks(directory: Path, lines: Iterable[str], key: str = "") -> bool:
    """The same, with blocks that are kept in the cache; returns whether they had to be built.

    They are kept under a digest of the lines, or of ``key``, which then stands for them: it names all that they depend on, and they are not read
    where it is known. Times in the lines must not depend on the time of the run.
    """
    cache = paths().cache / "samples"
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as work:
        source = Path(work) / "samples.txt"
        digest = hashlib.sha256(key.encode()).hexdigest() if key else _text(source, lines)
        kept = cache / digest
        built = not kept.is_dir()
        if built:
            if key:
                _text(source, lines)
            _build(source, Path(work) / "data")
            try:
                (Path(work) / "data").rename(kept)
            except OSError:  # somebody else was quicker
                if not kept.is_dir():
                    raise
    shutil.copytree(kept, directory / "data", dirs_exist_ok=True)
    return built


def _text(source: Path, lines: Iterable[str]) -> str:
    """Write the lines, and what ends them; returns a digest of them."""
    digest = hashlib.sha256()
    with source.open("w", encoding="utf-8") as stream:
        for line in lines:
            digest.update(f"{line}\n".encode())
            stream.write(f"{line}\n")
        stream.write("# EOF\n")
    return digest.hexdigest()


def _build(source: Path, data: Path) -> None:
    """The text is read once for every block, so that few long blocks are many times quicker than many of the usual two hours."""
    run([programs()["promtool"], "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=8760h", "--quiet", source, data], timeout=900)
