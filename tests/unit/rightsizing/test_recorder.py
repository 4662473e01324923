# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""The recorder: what a run stores, that nothing stored is ever lost, which files are refused, and the history that comes out of it."""

from __future__ import annotations

import datetime
import math
import os
import random
import resource
import shutil
import signal
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api, ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.usage import MetricsMissing
from ansible_collections.aiops.k8s.plugins.module_utils.errors import AiopsError, BadInput
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing import recorder_file as files, recorder_pack
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder import record
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_history import history
from ansible_collections.aiops.k8s.plugins.module_utils.rightsizing.recorder_store import PERIOD, Ending, Pod, opened

from tests.unit.cluster.web import Answer, Asked, Web, serve, status

BEGIN = 1_795_000_000 // PERIOD * PERIOD
DAY, MI = 86400, 2**20
CLUSTER = "11111111-aaaa"
PODS, METRICS = "/api/v1/pods", "/apis/metrics.k8s.io/v1beta1/pods"


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "usage.db")


# --- the store, written as runs write it


def pod(name: str = "web-5d4f8c-abcde", at: int = BEGIN, cpu: int = 250_000, memory: int = 100 * MI, **more: Any) -> Pod:
    revision = more.pop("revision", name.rpartition("-")[0])
    made = Pod("shop", name, f"uid-{name}", f"ReplicaSet/{revision}", revision, BEGIN, at, {"app": (cpu, memory)}, {"app": 0}, [])
    return made._replace(**more)


def fill(path: str, times: range, make: Callable[[int], list[Pod]], tend: bool = True) -> None:
    with opened(path, write=True, cluster=CLUSTER) as store:
        store._connection.execute("PRAGMA synchronous=OFF")  # hundreds of runs, and no power that fails
        for at in times:
            store.add(at, make(at))
        if tend:
            store.tend(times[-1], 15, 10**9)


def subject(name: str = "web", kind: str = "Deployment", revision: str = "web-5d4f8c", alive: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    pods = [{"metadata": {"name": one, "uid": f"uid-{one}"}} for one in alive]
    pattern = f"{revision}-[a-z0-9]{{5}}" if kind == "Deployment" else f"{name}-[0-9]+"
    described = {"name": revision, "since": float(BEGIN), "pattern": pattern, "others": ""}
    found = {
        "key": f"{kind}/shop/{name}",
        "workload": {},
        "pods": pods,
        "all_pods": pods,
        "revision": described,
        "hash_in_names": kind == "Deployment",
    }
    return {**found, **more}


def workload(path: str, now: float, one: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    one = one or subject(alive=("web-5d4f8c-abcde",))
    return history(path, [one], {"history_days": 8, **options}, now)["workloads"][one["key"]]  # type: ignore[no-any-return]


def usage(path: str, now: float, **options: Any) -> dict[str, Any]:
    return workload(path, now, **options)["containers"]["app"]["web-5d4f8c-abcde"]  # type: ignore[no-any-return]


def test_packing_loses_nothing() -> None:
    numbers = random.Random(3)
    for count in (1, 2, 3, 240):
        times = sorted(numbers.sample(range(BEGIN, BEGIN + PERIOD), count))
        cpu = [numbers.choice((0, 1, 250_000, recorder_pack.MOST_CPU)) for _one in times]
        memory = [numbers.choice((0, 4096, 2**40, 2**62)) for _one in times]
        blob = recorder_pack.packed(BEGIN, times, cpu, memory)
        found = recorder_pack.unpacked(BEGIN, blob)
        assert (found[0], list(found[1]), found[2]) == (times, cpu, memory)
    with pytest.raises(ValueError, match="incorrect|incomplete|invalid"):
        recorder_pack.unpacked(BEGIN, blob[:-3])


@pytest.mark.parametrize("tend", [True, False])
def test_a_history(path: str, tend: bool) -> None:
    numbers, drawn = random.Random(4), dict[int, tuple[int, int]]()

    def make(at: int) -> list[Pod]:
        drawn[at] = (numbers.randrange(10**6), numbers.randrange(10**9))
        return [pod(at=at, cpu=drawn[at][0], memory=drawn[at][1])]

    fill(path, range(BEGIN, BEGIN + 2 * PERIOD + 1200, 60), make, tend)
    now = BEGIN + 2 * PERIOD + 1200.0
    found = history(path, [subject(alive=("web-5d4f8c-abcde",))], {"history_days": 8}, now)
    assert (found["sample_seconds"], found["step_seconds"], found["to"] - found["from"]) == (60.0, 300.0, 8 * DAY)
    assert found["not_evaluated"][0]["what"] == "CPU throttling" and "Peaks between two samples" in found["notes"][0]
    assert found["queries"][0]["series"] == 1 and found["queries"][0]["samples"] == len(drawn)
    one = found["workloads"]["Deployment/shop/web"]
    assert one["first_seen"] == BEGIN and one["pods_seen"] == 1 and one["restarts"] == one["ooms"] == one["rollouts"] == one["notes"] == []
    stats = one["containers"]["app"]["web-5d4f8c-abcde"]
    cpu, memory = [used[0] / 1e6 for used in drawn.values()], [used[1] for used in drawn.values()]
    for name, values in (("cpu", cpu), ("memory", memory)):
        for key, part in (("p50", 50), ("p95", 95), ("p99", 99), ("max", 100)):
            assert stats[name][key] == pytest.approx(float(numpy.percentile(values, part)), rel=1e-9)
        assert stats[name]["samples"] == len(drawn) and stats[name]["coverage"] == 1.0
    means, highest = stats["cpu_series"], stats["memory_series"]
    assert means["begin"] == highest["begin"] == BEGIN and means["step"] == 300.0 and stats["throttled"] is None
    assert list(means["values"]) == pytest.approx([sum(cpu[index : index + 5]) / 5 for index in range(0, len(cpu), 5)])
    assert list(highest["values"]) == [max(memory[index : index + 5]) for index in range(0, len(cpu), 5)]


def test_a_window_within_the_store(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + 3 * PERIOD, 300), lambda at: [pod(at=at, memory=at)])
    now = BEGIN + 2.5 * PERIOD
    found = usage(path, now, history_days=PERIOD / DAY)["memory"]
    assert (found["from"], found["to"], found["samples"]) == (BEGIN + 1.5 * PERIOD, now, PERIOD // 300 + 1) and found["max"] == now


def test_gaps_are_not_covered(path: str) -> None:
    """Half of a day is missing, and it is said; a grid has no value there."""
    fill(path, range(BEGIN, BEGIN + DAY // 4, 240), lambda at: [pod(at=at)])
    fill(path, range(BEGIN + 3 * DAY // 4, BEGIN + DAY + 1, 240), lambda at: [pod(at=at)])
    found = usage(path, BEGIN + DAY)
    assert found["memory"]["coverage"] == pytest.approx(0.5, abs=0.01)
    assert sum(map(math.isnan, found["memory_series"]["values"])) == pytest.approx(DAY / 2 / 300, abs=2)
    notes = " ".join(history(path, [subject()], {}, BEGIN + DAY)["notes"])
    assert "Runs are missing: 1 gaps, 12 h" in notes and "The store begins 24 h before the end of the window of 192 h" in notes


def test_a_store_with_less_than_a_day(path: str) -> None:
    """The pod is older than the store: most of its life is not covered."""
    fill(path, range(BEGIN + DAY, BEGIN + DAY + 3600, 60), lambda at: [pod(at=at)])
    assert usage(path, BEGIN + DAY + 3600)["memory"]["coverage"] == pytest.approx(1 / 25, abs=0.01)


def test_a_recorder_that_stopped(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + DAY, 300), lambda at: [pod(at=at)])
    with opened(path, write=True) as store:
        store.add_failure(BEGIN + DAY + 300, "The API server does not answer.")
    found = history(path, [subject(alive=("web-5d4f8c-abcde",))], {}, BEGIN + 2 * DAY)
    assert any("The last run that succeeded was 24 h 5 min ago" in one for one in found["notes"])
    assert any("1 of 289 runs failed, the last one: The API server does not answer." in one for one in found["notes"])
    assert usage(path, BEGIN + 2 * DAY)["cpu"]["coverage"] == pytest.approx(0.5, abs=0.01), "the pod lives, and nobody measured it"
    gone = workload(path, BEGIN + 2 * DAY, subject())["containers"]["app"]["web-5d4f8c-abcde"]
    assert gone["cpu"]["coverage"] == 1.0, "a pod that is gone ended with its last sample"


def test_revisions_of_a_deployment(path: str) -> None:
    """Names of other workloads that begin alike are none of its pods."""
    old, new, alike = "web-66666-aaaaa", "web-5d4f8c-abcde", "web-api-5d4f8c-zzzzz"
    middle = BEGIN + PERIOD
    fill(path, range(BEGIN, BEGIN + 2 * PERIOD, 300), lambda at: [pod(old if at < middle else new, at), pod(alike, at)])
    found = workload(path, BEGIN + 2 * PERIOD)
    assert set(found["containers"]["app"]) == {new} and found["first_seen"] == middle and found["rollouts"] == [middle - 300]
    every = workload(path, BEGIN + 2 * PERIOD, all_revisions=True)
    assert set(every["containers"]["app"]) == {old, new} and every["first_seen"] == middle and every["pods_seen"] == 2


def test_a_stateful_pod_that_came_back(path: str) -> None:
    """The same name, and pods of one revision, one after the other; those of the revision before do not count."""

    def make(at: int) -> list[Pod]:
        number = (at - BEGIN) // PERIOD
        revision = "db-old" if number == 0 else "db-new"
        return [
            pod("db-0", at, memory=(5 - number) * MI, owner="StatefulSet/db", revision=revision, uid=f"u{number}", created=BEGIN + number * PERIOD)
        ]

    fill(path, range(BEGIN, BEGIN + 3 * PERIOD, 60), make)
    found = workload(path, BEGIN + 3 * PERIOD, subject("db", "StatefulSet", "db-new"))
    memory = found["containers"]["app"]["db-0"]["memory"]
    assert memory["samples"] == 2 * PERIOD // 60 and memory["max"] == 4 * MI and memory["coverage"] == pytest.approx(1, abs=0.01)
    assert found["rollouts"] == [BEGIN + PERIOD - 60] and found["first_seen"] == BEGIN + PERIOD


def test_restarts_and_kills(path: str) -> None:
    kill = Ending("app", BEGIN + 100, "OOMKilled", 20 * MI)
    crash = Ending("app", BEGIN + 290, "Error", 40 * MI)
    looks = [({"app": 1}, [kill]), ({"app": 1}, [kill]), ({"app": 4}, [kill, crash]), ({"app": 5}, [])]
    with opened(path, write=True, cluster=CLUSTER) as store:
        for index, (restarts, endings) in enumerate(looks):
            store.add(BEGIN + index * 120, [pod(at=BEGIN + index * 120, restarts=restarts, endings=endings)])
    found = workload(path, BEGIN + 3600)
    where = {"pod": "web-5d4f8c-abcde", "container": "app"}
    assert found["ooms"] == [{**where, "at": BEGIN + 100, "limit": 20 * MI}]
    assert [(one["at"] - BEGIN, one["count"], one["reason"]) for one in found["restarts"]] == [(100, 1, "OOMKilled"), (290, 3, "Error"), (360, 1, "")]


def test_a_workload_that_the_store_does_not_know(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + 600, 60), lambda at: [pod(at=at)])
    found = workload(path, BEGIN + 600, subject("gone", revision="gone-1"))
    assert found["containers"] == {} and found["first_seen"] is None and found["notes"] == ["the store has no samples of its pods in this window"]


def test_a_clock_that_was_set_back(path: str) -> None:
    """Samples of a time that has not come yet are left out until it has; those that come late find their place."""
    fill(path, range(BEGIN + DAY, BEGIN + DAY + 3600, 60), lambda at: [pod(at=at, memory=MI)])
    fill(path, range(BEGIN, BEGIN + 3600, 60), lambda at: [pod(at=at, memory=2 * MI)])
    early = history(path, [subject()], {}, BEGIN + 3600)
    assert any("60 runs have times after now" in one for one in early["notes"])
    assert early["workloads"]["Deployment/shop/web"]["containers"]["app"]["web-5d4f8c-abcde"]["memory"]["samples"] == 60
    late = history(path, [subject()], {}, BEGIN + 2 * DAY)
    assert any("Time went back 1 times" in one for one in late["notes"])
    assert late["workloads"]["Deployment/shop/web"]["containers"]["app"]["web-5d4f8c-abcde"]["memory"]["samples"] == 120


def test_late_samples_join_their_period(path: str) -> None:
    """Before the next run packs them, and after it; what was stored first stays."""
    fill(path, range(BEGIN, BEGIN + PERIOD, 120), lambda at: [pod(at=at)])
    with opened(path, write=True) as store:
        store.tend(BEGIN + 2 * PERIOD, 15, 10**9)
        store.add(BEGIN + 2 * PERIOD, [pod(at=BEGIN + 60, memory=7), pod("web-5d4f8c-fghij", BEGIN + 60)])
        store.add(BEGIN + 2 * PERIOD, [pod(at=BEGIN + 120, memory=9)])
    before = usage(path, BEGIN + 2 * PERIOD)
    with opened(path, write=True) as store:
        store.tend(BEGIN + 2 * PERIOD, 15, 10**9)
        assert store._one("SELECT count(*) FROM fresh") == 0
    after = usage(path, BEGIN + 2 * PERIOD)
    assert before["memory"]["samples"] == after["memory"]["samples"] == PERIOD // 120 + 1
    assert after["memory_series"]["values"][0] == 100 * MI and sorted(after) == sorted(before)


def test_retention_and_bound(path: str) -> None:
    numbers = random.Random(5)
    fill(
        path,
        range(BEGIN, BEGIN + 4 * DAY, 600),
        lambda at: [
            pod("old-1-aaaaa", min(at, BEGIN + DAY)),
            *(pod(f"web-5d4f8c-{one}", at, numbers.randrange(10**6), numbers.randrange(10**9)) for one in range(10)),
        ],
    )
    with opened(path, write=True) as store:
        for _run in range(4):  # some of it in each run
            said = store.tend(BEGIN + 4 * DAY, 2, 10**9)
        assert said == [] and store._one("SELECT min(period) FROM packed") == BEGIN + 2 * DAY
        assert {one.pod[:6] for one in store.series(["shop"], 0)} == {"web-5d"} and store.summary()["from"] == BEGIN + 2 * DAY
        used = store._used()
        [sentence] = store.tend(BEGIN + 4 * DAY, 2, used - 8192)
        assert "reached max_mb" in sentence and "the oldest samples were deleted" in sentence
        assert BEGIN + 2 * DAY < store._one("SELECT min(period) FROM packed") <= BEGIN + 3 * DAY and store._used() <= used - 8192
        size = os.path.getsize(path)
        store.tend(BEGIN + 4 * DAY, 2, 1000)
        assert os.path.getsize(path) < size, "what is free in the file goes back to the disk"
        with pytest.raises(files.StoreFull, match=r"more than max_mb \(0 MB\) with the last hours alone. Nothing was recorded. Raise max_mb"):
            store.room(1000)


# --- files that are refused, and what happens to what they hold


def apart(work: Callable[[], object], limit: int = 0, user: int = 0) -> str:
    """What a process of its own says that fails with an error of ours; "" where it succeeds. ``limit``: largest file that it may write."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            if limit:
                signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            if user:
                os.setuid(user)
            work()
        except AiopsError as error:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        except BaseException as error:
            os.write(writer, f"! {error!r}".encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text


def test_a_file_of_ones_own(path: str) -> None:
    with opened(path, write=True, cluster=CLUSTER):
        pass
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.listdir(os.path.dirname(path)) == ["usage.db"]
    deep = f"{path}.d/more/usage.db"
    with opened(deep, write=True, cluster=CLUSTER):
        assert os.stat(os.path.dirname(deep)).st_mode & 0o777 == 0o700


def linked(path: str) -> None:
    Path(f"{path}.real").touch(0o600)
    os.symlink(f"{path}.real", path)


def hard_linked(path: str) -> None:
    Path(path).touch(0o600)
    os.link(path, f"{path}.too")


def journal(path: str) -> None:
    Path(path).touch(0o600)
    os.symlink("/etc/hostname", f"{path}-journal")


def other_database(path: str) -> None:
    sqlite3.connect(path).execute("CREATE TABLE mine (a)").connection.close()
    os.chmod(path, 0o600)


def other_version(path: str) -> None:
    with opened(path, write=True) as store:
        store._connection.execute("PRAGMA user_version = 7")


def text(path: str) -> None:
    Path(path).write_text("not a database, " * 100)
    os.chmod(path, 0o600)


def readable(path: str) -> None:
    Path(path).touch()
    os.chmod(path, 0o644)


def cut(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + 2 * PERIOD, 60), lambda at: [pod(at=at), pod("a-1-aaaaa", at)])
    os.truncate(path, os.path.getsize(path) // 2)


def without_tables(path: str) -> None:
    with opened(path, write=True) as store:
        store._connection.execute("DROP TABLE fresh")


def rotten(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + PERIOD, 60), lambda at: [pod(at=at)])
    with opened(path, write=True) as store:
        store.tend(BEGIN + 2 * PERIOD, 15, 10**9)
        store._connection.execute("UPDATE packed SET samples = substr(samples, 1, 20)")
        store.add(BEGIN + PERIOD, [pod(at=BEGIN + 30)])


REFUSED: dict[str, tuple[Callable[[str], object], type[Exception], str]] = {
    "a link": (linked, files.StoreUnsafe, "is a symbolic link"),
    "two names": (hard_linked, files.StoreUnsafe, "not a regular file with one name"),
    "a pipe": (os.mkfifo, files.StoreUnsafe, "not a regular file"),
    "others may read": (readable, files.StoreUnsafe, "Others may read or write.*chmod 600"),
    "a journal": (journal, files.StoreUnsafe, "usage.db-journal is not a file of this user"),
    "anybody may write the directory": (
        lambda path: os.chmod(os.path.dirname(path), 0o1777),
        files.StoreUnsafe,
        "Anybody may write in the directory",
    ),
    "another database": (other_database, files.StoreOfAnotherSchema, "is a database of something else"),
    "another version": (other_version, files.StoreOfAnotherSchema, "has the schema 7; this version of the collection knows 1"),
    "no database": (text, files.StoreDamaged, "is not a database"),
    "cut off": (cut, files.StoreDamaged, "is damaged: database disk image is malformed"),
    "without its tables": (without_tables, files.StoreDamaged, "is damaged: it lacks the tables fresh"),
    "a rotten blob": (rotten, files.StoreDamaged, "is damaged: the samples of series 1 from"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_file_that_is_refused(path: str, case: str) -> None:
    """By writers and readers; and it is left as it is."""
    make, error, says = REFUSED[case]
    make(path)
    before = Path(path).read_bytes() if os.path.isfile(path) else b""

    def write() -> None:
        with opened(path, write=True, cluster=CLUSTER) as store:
            store.tend(BEGIN + 3 * PERIOD, 15, 10**9)
            store.add(BEGIN + 3 * PERIOD, [pod(at=BEGIN + 3 * PERIOD)])

    with pytest.raises(error, match=says):
        write()
    assert before == (Path(path).read_bytes() if os.path.isfile(path) else b"")
    if os.path.lexists(path):
        with pytest.raises(error, match=says):
            history(path, [subject()], {}, BEGIN + 3 * PERIOD)


def test_nothing_there(path: str) -> None:
    with pytest.raises(
        files.StoreMissing, match="There is no store .*usage.db. Record into it first, from cron: ansible-playbook aiops.k8s.record_usage"
    ):
        history(path, [subject()], {}, BEGIN)
    with pytest.raises(files.StoreMissing):
        history(f"{path}/deep/usage.db", [subject()], {}, BEGIN)
    Path(path).touch(0o600)
    with pytest.raises(files.StoreEmpty, match="is empty"):
        history(path, [subject()], {}, BEGIN)
    with opened(path, write=True, cluster=CLUSTER) as store:
        store.add_failure(BEGIN, "no")
    with pytest.raises(files.StoreEmpty, match="No run has measured anything"):
        history(path, [subject()], {}, BEGIN)


def test_a_directory_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(files.StoreUnsafe, match="link of the store is a symbolic link"), opened(str(tmp_path / "link" / "usage.db"), write=True):
        pass


def test_another_cluster(path: str) -> None:
    fill(path, range(BEGIN, BEGIN + 60, 60), lambda at: [pod(at=at)])
    for write in (True, False):
        with pytest.raises(files.StoreOfAnotherCluster, match=f"of the cluster {CLUSTER}, and this is other"), opened(
            path, write=write, cluster="other"
        ):
            pass


@pytest.fixture
def open_directory() -> Iterator[str]:
    """One that another user reaches."""
    folder = tempfile.mkdtemp(dir="/var/tmp")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_file_of_another_user_and_one_that_cannot_be_written(open_directory: str) -> None:
    if os.geteuid():
        pytest.skip("needs root, to be somebody else")
    path, nobody = f"{open_directory}/usage.db", 65534
    fill(path, range(BEGIN, BEGIN + 60, 60), lambda at: [pod(at=at)])
    assert apart(lambda: fill(path, range(1), lambda at: []), user=nobody).startswith(
        f"StoreUnsafe: The store {path} belongs to somebody else (uid 0)"
    )
    os.chown(path, nobody, 0)
    assert apart(lambda: fill(path, range(1), lambda at: []), user=nobody).startswith(f"StoreReadOnly: The store {path} cannot be written")
    assert apart(lambda: history(path, [subject()], {}, BEGIN + 60), user=nobody) == "", "reading needs no right to write"
    assert apart(lambda: opened(f"{open_directory}/new.db", write=True).__enter__(), user=nobody).startswith("StoreReadOnly: The store ")


def test_a_run_that_is_killed_or_finds_the_disk_full(path: str) -> None:
    """What was stored before is there afterwards, whole, and the next run goes on."""
    fill(path, range(BEGIN, BEGIN + 600, 60), lambda at: [pod(at=at)])
    before = usage(path, BEGIN + 600)["memory"]["samples"]
    many = [pod(f"web-5d4f8c-{index:05d}", BEGIN + 600) for index in range(500)]

    def killed() -> None:
        with opened(path, write=True) as store, store._transaction() as sql:
            sql.execute("PRAGMA cache_size = 5")  # so that the file itself is half written by then
            store._series_of(many)
            os.kill(os.getpid(), signal.SIGKILL)

    apart(killed)
    assert os.path.exists(f"{path}-journal") and usage(path, BEGIN + 600)["memory"]["samples"] == before
    said = apart(lambda: fill(path, range(BEGIN + 600, BEGIN + 601, 60), lambda at: many), limit=os.path.getsize(path) + 16384)
    assert said.startswith(f"StoreFull: The store {path} cannot ") and said.endswith("What was stored before is unchanged."), said
    assert usage(path, BEGIN + 600)["memory"]["samples"] == before
    fill(path, range(BEGIN + 600, BEGIN + 660, 60), lambda at: many)
    assert workload(path, BEGIN + 660)["pods_seen"] == 501 and os.listdir(os.path.dirname(path)) == ["usage.db"]


def test_two_runs_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take turns; one that has to wait for too long says so. A reader sees what was there."""
    fill(path, range(BEGIN, BEGIN + 60, 60), lambda at: [pod(at=at)])
    monkeypatch.setattr(files, "WAIT", 0.05)
    with opened(path, write=True) as store, store._transaction():
        with pytest.raises(files.StoreBusy, match="is held by another run, for more than 10 s: database is locked. Let one run end"):
            fill(path, range(BEGIN + 60, BEGIN + 120, 60), lambda at: [pod(at=at)])
        assert usage(path, BEGIN + 60)["cpu"]["samples"] == 1
    monkeypatch.undo()
    children = []
    for offset in (0, 1):
        child = os.fork()
        if not child:
            fill(path, range(BEGIN + 60 + offset, BEGIN + 60 + 40, 2), lambda at: [pod(at=at)], tend=False)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    assert usage(path, BEGIN + 120)["cpu"]["samples"] == 41
    with opened(path) as reading:
        assert reading.summary()["runs"] == 41


# --- runs


class Time:
    """Passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0

    def monotonic(self) -> float:
        return self.passed

    def time(self) -> float:
        return BEGIN + self.passed

    def sleep(self, seconds: float, /) -> None:
        self.passed += seconds


def stamp(at: float) -> str:
    return datetime.datetime.fromtimestamp(at, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def live(name: str, owner: tuple[str, str], labels: dict[str, str] | None = None, count: int = 0, **state: Any) -> dict[str, Any]:
    references = [{"kind": owner[0], "name": owner[1], "controller": True, "uid": "o"}]
    metadata = {
        "namespace": "shop",
        "name": name,
        "uid": f"uid-{name}",
        "creationTimestamp": stamp(BEGIN - DAY),
        "ownerReferences": references,
        "labels": labels,
    }
    container = {"name": "app", "env": [{"name": "PASSWORD", "value": "hunter2"}], "resources": {"limits": {"memory": "20Mi"}}}
    return {
        "metadata": metadata,
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "containerStatuses": [{"name": "app", "restartCount": count, **state}]},
    }


def metric(name: str, at: float, cpu: str = "250m", memory: str = "100Mi") -> dict[str, Any]:
    containers = [{"name": "app", "usage": {"cpu": cpu, "memory": memory}}]
    return {"metadata": {"namespace": "shop", "name": name}, "timestamp": stamp(at), "window": "15s", "containers": containers}


ENDED = {"finishedAt": stamp(BEGIN - 60), "reason": "OOMKilled", "exitCode": 137}
LIVE = [
    live("web-5d4f8c-abcde", ("ReplicaSet", "web-5d4f8c"), {"password": "hunter2"}),
    live("db-0", ("StatefulSet", "db"), {"controller-revision-hash": "db-7d8f9c"}),
    live("agent-abcde", ("DaemonSet", "agent"), {"controller-revision-hash": "7d8f9c"}),
    live("looping-1-abcde", ("ReplicaSet", "looping-1"), count=3, lastState={"terminated": ENDED}),
]


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as running:
        running.routes["GET /api/v1/namespaces/kube-system"] = Answer(200, {"metadata": {"name": "kube-system", "uid": CLUSTER}})
        running.routes[f"GET {PODS}"] = Answer(200, {"metadata": {}, "items": LIVE})
        running.routes[f"GET {METRICS}"] = measurements(Time())
        yield running


def measurements(clock: Time, away: tuple[float, float] = (0, 0)) -> Callable[[Asked], Answer]:
    def answer(asked: Asked) -> Answer:
        if away[0] <= clock.passed < away[1]:
            return status(503, "ServiceUnavailable")
        at = BEGIN + clock.passed // 15 * 15 - 10
        return Answer(
            200, {"items": [metric("web-5d4f8c-abcde", at), metric("db-0", at, "1234567n", "1000"), metric("agent-abcde", at, "0", "51200Ki")]}
        )

    return answer


@pytest.fixture
def api(web: Web) -> Api:
    return connect({"host": web.address, "api_key": "t0ken"}, {})


def options(path: str, **more: Any) -> dict[str, Any]:
    return {"store": path, "namespaces": [], "duration": 0, "interval": 60, "retention_days": 15, "max_mb": 512, **more}


def run(path: str, api: Api, clock: Time | None = None, **more: Any) -> dict[str, Any]:
    shown, check = more.pop("progress", None), more.pop("check", False)
    return record(options(path, **more), lambda: api, clock=clock or Time(), progress=shown, check_mode=check)


def test_a_run(path: str, web: Web, api: Api) -> None:
    found = run(path, api)
    assert found["changed"] and found["recorded"] == {"looks": 1, "pods": 3, "containers": 3, "samples": 3} and found["warnings"] == []
    assert found["store"] == {"path": path, "size_bytes": os.path.getsize(path), "from": BEGIN, "to": BEGIN, "runs": 1}
    assert found["coverage"] == {"pods_running": 4, "pods_measured": 3, "missing": ["1 running pods were not measured: shop/looping-1-abcde"]}
    with opened(path, cluster=CLUSTER) as store:
        rows = {one.pod: one for one in store.series(["shop"], 0)}
        [ending] = store.endings([rows["looping-1-abcde"].id], 0, BEGIN)
    assert {name: (one.owner, one.revision) for name, one in rows.items()} == {
        "web-5d4f8c-abcde": ("ReplicaSet/web-5d4f8c", "web-5d4f8c"),
        "db-0": ("StatefulSet/db", "db-7d8f9c"),
        "agent-abcde": ("DaemonSet/agent", "agent-7d8f9c"),
        "looping-1-abcde": ("ReplicaSet/looping-1", "looping-1"),
    }
    assert ending[1:] == (BEGIN - 60, "OOMKilled", 20 * MI, 1), "of a pod that metrics-server leaves out"
    memory, cpu = usage(path, BEGIN)["memory"], usage(path, BEGIN)["cpu"]
    assert (memory["p50"], memory["from"], cpu["max"]) == (100 * MI, BEGIN - 10, 0.25)
    data = Path(path).read_bytes()
    assert b"hunter2" not in data and b"password" not in data.lower(), "no environment, no labels"
    again = run(path, api)
    assert again["recorded"]["samples"] == 0 and again["store"]["runs"] == 2, "the same measurements"
    assert {asked.path for asked in web.asked} == {PODS, METRICS, "/api/v1/namespaces/kube-system"} and {asked.method for asked in web.asked} == {
        "GET"
    }


def test_going_on_for_a_while(path: str, web: Web, api: Api) -> None:
    """Each look is stored at once; one that fails for now is stored as that."""
    clock, seen = Time(), list[tuple[float, float, str]]()
    web.routes[f"GET {METRICS}"] = measurements(clock, away=(30, 60))
    found = run(path, api, clock, duration=90, interval=15, progress=lambda *one: seen.append(one))
    assert found["recorded"] == {"looks": 5, "pods": 3, "containers": 3, "samples": 15} and found["store"]["runs"] == 5
    assert [one[0] for one in seen] == [0, 15, 30, 45, 60, 75, 90] and seen[-1][2] == "3 pods measured" and "does not answer" in seen[2][2]
    with opened(path) as store:
        assert [ok for _at, ok, _why in store.runs(0, BEGIN + 90)] == [1, 1, 0, 0, 1, 1, 1]


def test_check_mode(path: str, web: Web, api: Api) -> None:
    found = run(path, api, check=True, namespaces=["shop"], duration=3600)
    assert found["would"] == f"It would measure the pods of shop every 60 s for 60 min, and create the store {path}."
    assert not os.path.exists(path) and [asked.path for asked in web.asked] == ["/api/v1/namespaces/kube-system"]
    run(path, api)
    before = Path(path).read_bytes()
    assert "of all namespaces once, and add that to the store" in run(path, api, check=True)["would"] and Path(path).read_bytes() == before


@pytest.mark.parametrize(
    ("answer", "error", "says"),
    [
        (status(404, "NotFound"), MetricsMissing, "does not serve metrics.k8s.io.*Install metrics-server"),
        (status(503, "ServiceUnavailable"), MetricsMissing, "metrics.k8s.io does not answer.*Check metrics-server"),
        (status(403, "Forbidden"), ApiError, "GET pods of metrics.k8s.io in the cluster.*Grant list on pods"),
        (Answer(0), Unreachable, "does not answer GET"),
    ],
)
def test_metrics_that_cannot_be_had(path: str, web: Web, api: Api, answer: Answer, error: type[Exception], says: str) -> None:
    run(path, api)
    web.routes[f"GET {METRICS}"] = answer
    with pytest.raises(error, match=says):
        run(path, api)
    with opened(path) as store:
        assert [ok for _at, ok, _why in store.runs(0, BEGIN)] == [1, 0] and store.runs(0, BEGIN)[1][2]


def test_a_cluster_that_cannot_be_told_from_others(path: str, web: Web, api: Api) -> None:
    web.routes["GET /api/v1/namespaces/kube-system"] = status(403, "Forbidden")
    with pytest.raises(ApiError, match="GET namespace kube-system.*Grant get on it: its uid tells clusters apart"):
        run(path, api)
    assert not os.path.exists(path)


def test_another_cluster_is_not_mixed_in(path: str, web: Web, api: Api) -> None:
    run(path, api)
    web.routes["GET /api/v1/namespaces/kube-system"] = Answer(200, {"metadata": {"uid": "other"}})
    for check in (False, True):
        with pytest.raises(files.StoreOfAnotherCluster):
            run(path, api, check=check)


def test_some_namespaces(path: str, web: Web, api: Api) -> None:
    web.routes["GET /api/v1/namespaces/shop/pods"] = Answer(200, {"metadata": {}, "items": LIVE[:1]})
    web.routes["GET /apis/metrics.k8s.io/v1beta1/namespaces/shop/pods"] = measurements(Time())
    for prefix in ("/api/v1", "/apis/metrics.k8s.io/v1beta1"):
        web.routes[f"GET {prefix}/namespaces/bank/pods"] = status(403, "Forbidden")
    found = run(path, api, namespaces=["shop", "bank"])
    assert found["recorded"]["samples"] == 1
    assert len(found["warnings"]) == 1 and "Namespace bank was not recorded: " in found["warnings"][0]
    with pytest.raises(BadInput, match="None of the namespaces could be recorded. Namespace bank"):
        run(path, api, namespaces=["bank", "bank"])


def test_clocks(path: str, web: Web, api: Api) -> None:
    """This machine is ten minutes behind the API server, whose time counts; one node is an hour ahead of it."""
    api._note_time = lambda date: None  # type: ignore[method-assign]
    api.clock_skew = -600.0
    items = [metric("web-5d4f8c-abcde", BEGIN + 590), metric("db-0", BEGIN + 4200)]
    web.routes[f"GET {METRICS}"] = Answer(200, {"items": items})
    found = run(path, api)
    assert found["store"]["to"] == BEGIN + 600 and found["recorded"]["samples"] == 1
    assert found["warnings"] == ["The clock of this machine is 10 min behind the API server's, whose time is recorded."]
    assert any("1 measurements have times more than 5 min after now" in one for one in found["coverage"]["missing"])
    api.clock_skew = 0.0
    [warning] = run(path, api)["warnings"]
    assert warning.startswith("1 earlier runs in the store have times after now: a clock was set back.")


def test_measurements_that_are_not_of_this_pod_or_not_whole(path: str, web: Web, api: Api) -> None:
    odd = [
        metric("web-5d4f8c-abcde", BEGIN - 2 * DAY),  # of an earlier pod of this name
        {**metric("db-0", BEGIN), "timestamp": "yesterday"},
        metric("agent-abcde", BEGIN, memory="much"),
        metric("no-such-pod", BEGIN),
    ]
    web.routes[f"GET {METRICS}"] = Answer(200, {"items": odd})
    found = run(path, api)
    assert (
        found["recorded"] == {"looks": 1, "pods": 0, "containers": 0, "samples": 0}
        and "4 running pods were not measured" in found["coverage"]["missing"][0]
    )


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"interval": 1}, "interval is 1. Give a number from 5 to 3600"),
        ({"retention_days": 0}, "retention_days is 0"),
        ({"max_mb": 0}, "max_mb is 0"),
        ({"duration": -1}, "duration is -1"),
        ({"store": "/tmp"}, "store is '/tmp'. Give the path of a file"),
    ],
)
def test_options(path: str, api: Api, wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        run(wrong.pop("store", path), api, **wrong)
