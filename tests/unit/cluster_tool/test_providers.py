# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which provider is tried, and what is said about the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import builtin, model, providers
from tests.cluster.console import ClusterError
from tests.cluster.settings import Paths


def reasons(wanted: providers.Wish, docker: str = "", kind: bool = True) -> dict[str, str]:
    return providers.passed_over(wanted, lambda: docker, lambda: kind)


def test_option_wins_over_environment() -> None:
    env = {"AIOPS_TEST_KUBECONFIG": "/env"}
    assert providers.wish("auto", "/option", env).kubeconfig == "/option"
    assert providers.wish("auto", "", env).kubeconfig == "/env"
    assert providers.wish("auto", "", {}).kubeconfig == ""


def test_auto_without_anything_leaves_the_built_in_cluster() -> None:
    found = reasons(providers.Wish(), kind=False)
    assert found == {
        "kubeconfig": "neither --kubeconfig nor AIOPS_TEST_KUBECONFIG is set",
        "kind": "kind is not on PATH",
        "builtin": "",
    }


def test_a_given_kubeconfig_is_the_only_one_tried() -> None:
    found = reasons(providers.Wish(kubeconfig="/k"))
    assert found == {"kubeconfig": "", "kind": "a kubeconfig was given", "builtin": "a kubeconfig was given"}


def test_docker_decides_about_kind() -> None:
    assert reasons(providers.Wish())["kind"] == ""
    assert reasons(providers.Wish(), docker="Docker does not answer: no daemon")["kind"].endswith("no daemon")


def test_docker_is_not_asked_when_it_does_not_matter() -> None:
    def never() -> str:
        raise AssertionError("asked")

    providers.passed_over(providers.Wish("builtin"), never, lambda: True)
    providers.passed_over(providers.Wish(), never, lambda: False)


@pytest.mark.parametrize("name", providers.ORDER)
def test_a_provider_asked_for_excludes_the_others(name: str) -> None:
    found = reasons(providers.Wish(name, "/k" if name == model.GIVEN else ""))
    assert [provider for provider, why in found.items() if not why] == [name]
    assert all(f"--provider {name}" in why for provider, why in found.items() if provider != name)


def cluster(provider: str, folder: Path) -> model.Cluster:
    return model.Cluster(provider, "", "", "", "", "", "", str(folder), "", "")


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.setattr(providers, "docker_complaint", lambda: "")
    monkeypatch.setattr(providers, "find_program", lambda name: Path("/bin") / name)
    return Paths(tmp_path / "state", tmp_path / "run", tmp_path / "cache")


def test_failing_kind_goes_on_and_says_why(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(_paths: Paths) -> model.Cluster:
        raise ClusterError("unable to apply caps")

    monkeypatch.setattr(providers, "_kind", fail)
    monkeypatch.setattr(builtin, "up", lambda where: cluster(model.BUILTIN, where.state))
    assert providers.up(paths, providers.Wish()).provider == model.BUILTIN
    assert "provider kind: failed, going on: unable to apply caps" in capsys.readouterr().out
    with pytest.raises(ClusterError, match="unable to apply caps"):
        providers.up(paths, providers.Wish(model.KIND))


def test_what_up_returns_is_what_running_finds(paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "_given", lambda where, _: cluster(model.GIVEN, where.state))
    made = providers.up(paths, providers.Wish(kubeconfig="/k"))
    assert model.running(paths) == made
    assert (paths.cluster.stat().st_mode & 0o777) == 0o600


def test_missing_kubeconfig_is_named(paths: Paths) -> None:
    with pytest.raises(ClusterError, match="there is no kubeconfig at /nowhere"):
        providers.up(paths, providers.Wish(kubeconfig="/nowhere"))


def test_a_folder_of_somebody_else_is_never_claimed(paths: Paths) -> None:
    paths.state.mkdir()
    (paths.state / "thesis.tex").touch()
    with pytest.raises(ClusterError, match="was not made by this tool"):
        model.claim(paths)
    assert [path.name for path in paths.state.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize(
    ("key", "complaint", "ending", "says"),
    [
        ("a", "", False, ""),
        ("a", "etcd: not running", False, "not healthy (etcd: not running)"),
        ("b", "", False, "other components (b, this checkout needs a)"),
        ("a", "", True, "certificates end"),
    ],
)
def test_a_running_cluster_is_replaced_only_for_a_reason(key: str, complaint: str, ending: bool, says: str) -> None:
    assert says in builtin.replace_because({"key": key}, "a", complaint, ending)
    assert bool(says) == bool(builtin.replace_because({"key": key}, "a", complaint, ending))


@pytest.mark.parametrize(
    ("text", "line"), [("", "no output"), ("a\n b \n\n", "b"), ("x" * 300, "x" * 200)], ids=["none", "last", "long"]
)
def test_last_line(text: str, line: str) -> None:
    assert providers.last_line(text) == line


def test_a_claimed_folder_is_known_as_ours_later(paths: Paths) -> None:
    model.claim(paths)
    (paths.state / "kubeconfig").touch()
    model.check_ours(paths)
    model.claim(paths)
    assert (paths.state.stat().st_mode & 0o777) == 0o700
