# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""What users get: the built collection, installed without a network, with its playbooks, its documentation and the result
documents that its schema promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.cluster import Cluster
from tests.integration.staging import Kubectl, hungry, namespace, reasons
from tests.integration.support import QUICK, ROOT, SCHEMA, Ansible, environment, result_of, wait

MODULES = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py") if path.stem != "__init__")
PLAYBOOKS = sorted(path.stem for path in (ROOT / "playbooks").glob("*.yml"))
FORBIDDEN = re.compile(
    r"(^|/)(\.git|\.github|\.venv|\.build|\.ansible|\.cache|\.[a-z]+_cache|__pycache__|history|tests/cluster|tests/output)(/|$)"
    r"|\.(pyc|tar\.gz|pem|key)$|kubeconfig$"
)
NEEDED = (
    "README.md",
    "LICENSE",
    "CHANGELOG.rst",
    "MANIFEST.json",
    "meta/runtime.yml",
    "requirements.txt",
    "docs/reference/result.schema.json",
    "plugins/action/change.py",
)


def run(words: Sequence[str], cwd: Path, **variables: str) -> str:
    done = subprocess.run(
        list(words), cwd=cwd, env=environment(**variables), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The collection as a directory without what git ignores."""
    target = tmp_path_factory.mktemp("copy") / "ansible_collections" / "aiops" / "k8s"
    run(["make", "--no-print-directory", "copy", f"COPY={target}"], ROOT)
    return target


@pytest.fixture(scope="module")
def tarball(copy: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("built")
    run(["ansible-galaxy", "collection", "build", "--output-path", str(target)], copy)
    (built,) = target.glob("aiops-k8s-*.tar.gz")
    return built


@pytest.fixture(scope="module")
def installed(tarball: Path, copy: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """{what it was installed from: the collections path}."""
    sources, found = {"tarball": tarball, "directory": copy}, {}
    for name, source in sources.items():
        found[name] = tmp_path_factory.mktemp(f"from-{name}")
        run(
            ["ansible-galaxy", "collection", "install", "--offline", "--no-deps", "--collections-path", str(found[name]), str(source)],
            tmp_path_factory.getbasetemp(),
            ANSIBLE_COLLECTIONS_PATH=str(found[name]),
        )
    return found


def test_the_tarball_holds_the_collection_and_nothing_else(tarball: Path) -> None:
    with tarfile.open(tarball) as archive:
        names = [entry.name.removeprefix("./") for entry in archive.getmembers()]
        assert [entry.name for entry in archive.getmembers() if entry.issym() or entry.islnk()] == []
    assert [name for name in names if FORBIDDEN.search(name)] == []
    assert [name for name in NEEDED if name not in names] == []
    assert [f"plugins/modules/{name}.py" for name in MODULES if f"plugins/modules/{name}.py" not in names] == []
    assert tarball.stat().st_size < 2 * 2**20, "something big has slipped in"


def test_nothing_in_it_names_this_machine(tarball: Path) -> None:
    words = (str(ROOT), os.uname().nodename)
    with tarfile.open(tarball) as archive:
        files = {entry.name: archive.extractfile(entry) for entry in archive.getmembers() if entry.isfile()}
        texts = {name: file.read().decode("utf-8", "replace") for name, file in files.items() if file}
    assert [(name, word) for name, text in texts.items() for word in words if len(word) > 4 and word in text] == []


@pytest.mark.parametrize("source", ["tarball", "directory"])
def test_the_playbooks_are_found(installed: dict[str, Path], tmp_path: Path, source: str) -> None:
    run(
        ["ansible-playbook", *(f"aiops.k8s.{name}" for name in PLAYBOOKS), "--syntax-check"],
        tmp_path,
        ANSIBLE_COLLECTIONS_PATH=str(installed[source]),
    )


def test_every_module_is_documented(installed: dict[str, Path], tmp_path: Path) -> None:
    names = [f"aiops.k8s.{name}" for name in MODULES]
    path = {"ANSIBLE_COLLECTIONS_PATH": str(installed["tarball"])}
    documented = json.loads(run(["ansible-doc", "--type", "module", "--json", *names], tmp_path, **path))
    assert sorted(documented) == names
    for name, parts in documented.items():
        assert parts["doc"]["short_description"] and parts["examples"].strip() and parts["return"], name
        assert str(installed["tarball"]) in parts["doc"]["filename"]
    text = run(["ansible-doc", "--type", "module", *names], tmp_path, **path)
    assert all(name.upper() in text.upper() for name in names) and "ERROR" not in text


def test_every_role_is_documented(installed: dict[str, Path], tmp_path: Path) -> None:
    roles = sorted(f"aiops.k8s.{path.name}" for path in (ROOT / "roles").iterdir())
    documented = json.loads(run(["ansible-doc", "--type", "role", "--json", *roles], tmp_path, ANSIBLE_COLLECTIONS_PATH=str(installed["tarball"])))
    assert sorted(documented) == roles and all(one["entry_points"]["main"]["description"] for one in documented.values())


# --- a whole operation with the installed collection, and the document of each of its runs -------------------------------


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    with namespace(cluster, "install") as one:
        one.apply(hungry(cluster, "web"))
        wait("a failing pod", lambda: any("OOMKilled" in reasons(pod) for pod in one.pods().get("web", [])))
        yield one


def test_an_operation_and_its_result_documents(installed: dict[str, Path], kubectl: Kubectl, tmp_path: Path) -> None:
    jsonschema.Draft202012Validator.check_schema(json.loads(SCHEMA.read_text(encoding="utf-8")))
    ansible = Ansible(tmp_path, **QUICK)

    def documented(playbook: str, fails: bool = False, **options: Any) -> dict[str, Any]:
        file = tmp_path / "result.json"
        file.unlink(missing_ok=True)
        done = ansible(playbook, variables={"ANSIBLE_COLLECTIONS_PATH": str(installed["tarball"])}, result_file=str(file), **options)
        assert (done.status != 0) == fails, done.output
        assert str(ROOT) not in done.output, "it ran from the checkout"
        document = result_of(file)
        assert document["workflow"] == playbook and bool(document["error"]) == fails
        return document

    here: dict[str, Any] = {"namespace": kubectl.namespace, "snapshot_file": str(tmp_path / "snapshot.json")}
    assert documented("records")["records"] == []
    assert documented("resume")["records"] == []
    assert documented("diagnose", fails=True, namespace="nowhere")["findings"] == []
    healthy = documented("diagnose", namespace="kube-public")
    assert healthy["findings"] == [] and healthy["cluster"]["uid"]
    found = documented("diagnose", **here)
    assert found["record"]["state"] == "proposed" and found["plan"]["changes"] and [one["code"] for one in found["findings"]] == ["OOMKilled"]
    replayed = documented("diagnose", replay=str(tmp_path / "snapshot.json"), records_dir=str(tmp_path / "replayed"))
    assert [one["code"] for one in replayed["findings"]] == ["OOMKilled"] and replayed["plan"]["changes"][0]["dry_run"] == "local"
    decision: dict[str, Any] = {"record": "0001", "decision": "approve"}
    assert "digest" in documented("approve", fails=True, **decision)["error"]
    assert "never approved" in documented("execute", fails=True, record="0001")["error"]
    assert documented("approve", digest=found["record"]["digest"], **decision)["record"]["state"] == "approved"
    assert documented("execute", record="0001", watch="defer")["record"]["state"] == "validated"
    wait("the end of the watch", lambda: documented("resume")["records"] and ansible.state("0001") == "closed", seconds=30)
    assert documented("records", record="0001")["record"]["state"] == "closed"
    (ansible.records / "0001.jsonl").write_text("", encoding="utf-8")
    assert documented("records", fails=True)["records"][0]["state"] == "damaged"
