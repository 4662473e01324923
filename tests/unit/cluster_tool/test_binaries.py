# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which binaries are built, how they are named in the cache, and what images are made of them."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from tests.cluster import binaries, builtin, images
from tests.cluster.console import ClusterError
from tests.cluster.settings import Paths, paths

GO_MOD = """\
module x

require (
\tk8s.io/kubernetes v1.34.4
\tgithub.com/coredns/coredns v1.13.1
\thelm.sh/helm/v3 v3.19.5 // indirect
)
replace k8s.io/kubernetes-not => k8s.io/kubernetes-not v0.1.0
"""


def test_versions_come_from_go_mod_and_the_table() -> None:
    assert binaries.versions(GO_MOD) == {
        "kubecluster": "v1.34.4",
        "coredns": "v1.13.1",
        "metrics-server": "v0.9.0",
        "helm": "v3.19.5",
        "kwok": "v0.8.0",
    }


def test_a_module_that_is_not_required_is_named() -> None:
    with pytest.raises(ClusterError, match="does not require example.org/x"):
        binaries.module_version(GO_MOD, "example.org/x")


def test_fingerprint_depends_on_names_contents_and_settings_only() -> None:
    base = binaries.fingerprint([("a", b"1"), ("b", b"2")], ["s"])
    assert base == binaries.fingerprint([("b", b"2"), ("a", b"1")], ["s"])
    others = [
        binaries.fingerprint([("a", b"1"), ("b", b"3")], ["s"]),
        binaries.fingerprint([("a", b"1"), ("c", b"2")], ["s"]),
        binaries.fingerprint([("a", b"1"), ("b", b"2")], ["t"]),
        binaries.fingerprint([("a", b"1b2"), ("b", b"")], ["s"]),
    ]
    assert len({base, *others}) == 5
    assert len(base) == 12


def test_keys_show_the_kubernetes_version_and_do_not_depend_on_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    first = builtin.key()
    assert first.startswith(f"{binaries.key()}-") and first.startswith("v1.")
    monkeypatch.setenv("AIOPS_CACHE_DIR", "/elsewhere")
    monkeypatch.setenv("AIOPS_CLUSTER_STATE", "/elsewhere")
    assert builtin.key() == first


def test_key_changes_with_a_version(monkeypatch: pytest.MonkeyPatch) -> None:
    first = binaries.key()
    monkeypatch.setitem(binaries.BINARIES, "kwok", binaries.Program("p", "m", 1, version="v0.9.9"))
    assert binaries.key() != first


def test_build_commands() -> None:
    known = binaries.versions(GO_MOD)
    build, settings = binaries.build_command("kubecluster", Path("/out"), known)
    assert build[:2] == ["go", "build"] and build[-3:] == ["-o", "/out/kubecluster", "./cmd/kubecluster"]
    assert "gitVersion=v1.34.4" in build[build.index("-ldflags") + 1]
    assert settings == {"CGO_ENABLED": "0"}
    install, settings = binaries.build_command("kwok", Path("/out"), known)
    assert install[:2] == ["go", "install"] and install[-1] == "sigs.k8s.io/kwok/cmd/kwok@v0.8.0"
    assert settings == {"CGO_ENABLED": "0", "GOBIN": "/out"}


def test_missing_go_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "find_program", lambda name: None)
    where = Paths(tmp_path / "s", tmp_path / "r", tmp_path / "c")
    with pytest.raises(ClusterError, match="install Go"):
        binaries.ensure(where, ["coredns"])
    with pytest.raises(ClusterError, match="no such program: nonsense"):
        binaries.ensure(where, ["nonsense"])


def test_cache_folder_follows_the_environment() -> None:
    assert paths({"AIOPS_CACHE_DIR": "/c", "HOME": "/h"}).cache == Path("/c")
    assert paths({"XDG_CACHE_HOME": "/x", "HOME": "/h"}).cache == Path("/x/aiops-k8s")
    assert paths({"HOME": "/h"}).cache == Path("/h/.cache/aiops-k8s")


def elf(*kinds: int) -> bytes:
    """The headers of a 64-bit ELF program with program headers of these types."""
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    header[32:40] = (64).to_bytes(8, "little")
    header[54:56] = (56).to_bytes(2, "little")
    header[56:58] = len(kinds).to_bytes(2, "little")
    return bytes(header) + b"".join(kind.to_bytes(4, "little") + bytes(52) for kind in kinds)


@pytest.mark.parametrize(
    ("program", "static"), [(elf(1, 2), True), (elf(6, 3, 1), False), (b"#!/bin/sh\n", False), (b"", False)]
)
def test_is_static(program: bytes, static: bool) -> None:
    assert images.is_static(program) is static


def test_archive_is_deterministic_and_consistent() -> None:
    base = images.base_layer(b"busybox", ["sh", "busybox", "ls"])
    programs = {name: images.program_layer(name, name.encode()) for name in ("coredns", "metrics-server")}
    made = images.archive(base, programs, "amd64")
    assert made == images.archive(images.base_layer(b"busybox", ["ls", "sh"]), programs, "amd64")
    with tarfile.open(fileobj=io.BytesIO(made)) as tar:
        content = {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]
    manifest = json.loads(content["manifest.json"])
    assert [entry["RepoTags"] for entry in manifest] == [[f"localhost/{name}:local"] for name in images.IMAGES]
    for entry in manifest:
        config = json.loads(content[entry["Config"]])
        digests = [f"sha256:{hashlib.sha256(content[layer]).hexdigest()}" for layer in entry["Layers"]]
        assert config["rootfs"]["diff_ids"] == digests
        assert config["architecture"] == "amd64"


def test_base_layer_has_links_users_and_a_writable_tmp() -> None:
    with tarfile.open(fileobj=io.BytesIO(images.base_layer(b"x", ["sh"]))) as tar:
        assert tar.getmember("bin/sh").linkname == "busybox"
        assert tar.getmember("tmp").mode == 0o1777
        assert tar.getmember("bin/busybox").mode == 0o755
        assert "nobody:x:65534" in tar.extractfile("etc/passwd").read().decode()  # type: ignore[union-attr]
