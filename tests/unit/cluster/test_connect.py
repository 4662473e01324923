# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Connection options: which value wins, what becomes of it, and which input is refused by name."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.connect import connect, effective, forget
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput

CHOICES: list[tuple[str, dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ("nothing", {}, {}, {}),
    ("unset options", {"host": None, "context": "", "impersonate_groups": [], "proxy_headers": {}}, {}, {}),
    ("an option", {"context": "prod"}, {}, {"context": "prod"}),
    ("a variable", {}, {"K8S_AUTH_CONTEXT": "prod"}, {"context": "prod"}),
    ("an option wins", {"context": "a"}, {"K8S_AUTH_CONTEXT": "b"}, {"context": "a"}),
    ("an empty option does not", {"context": ""}, {"K8S_AUTH_CONTEXT": "b"}, {"context": "b"}),
    ("an empty variable is none", {}, {"K8S_AUTH_CONTEXT": ""}, {}),
    ("false is a value", {"validate_certs": False}, {"K8S_AUTH_VERIFY_SSL": "true"}, {"validate_certs": False}),
    ("verify: no", {}, {"K8S_AUTH_VERIFY_SSL": "No"}, {"validate_certs": False}),
    ("verify: 0", {}, {"K8S_AUTH_VALIDATE_CERTS": "0"}, {"validate_certs": False}),
    ("verify: yes", {}, {"K8S_AUTH_VERIFY_SSL": "yes"}, {"validate_certs": True}),
    (
        "kubernetes.core's other names",
        {},
        {"K8S_AUTH_SSL_CA_CERT": "/ca", "K8S_AUTH_CERT_FILE": "/c", "K8S_AUTH_KEY_FILE": "/k"},
        {"ca_cert": "/ca", "client_cert": "/c", "client_key": "/k"},
    ),
    ("groups from a variable", {}, {"K8S_AUTH_IMPERSONATE_GROUPS": "dev,ops,"}, {"impersonate_groups": ["dev", "ops"]}),
    ("proxy headers", {"proxy_headers": {"basic_auth": "a:b", "user_agent": None}}, {}, {"proxy_headers": {"basic_auth": "a:b"}}),
    ("proxy headers from variables", {}, {"K8S_AUTH_PROXY_HEADERS_USER_AGENT": "x"}, {"proxy_headers": {"user_agent": "x"}}),
    ("a stray variable", {}, {"K8S_AUTH_PROXY_HEADERS": "x", "K8S_AUTH_NOTHING": "y"}, {}),
]


@pytest.mark.parametrize("what, options, environment, expected", CHOICES, ids=[row[0] for row in CHOICES])
def test_which_value_wins(what: str, options: dict[str, Any], environment: dict[str, str], expected: dict[str, Any]) -> None:
    assert effective(options, environment) == expected


def kubeconfig(server: str = "https://127.0.0.1:6443/", **user: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "one",
        "clusters": [{"name": "one", "cluster": {"server": server}}, {"name": "two", "cluster": {"server": "https://two:6443"}}],
        "users": [{"name": "u", "user": user or {"token": "from-file"}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": "u"}} for name in ("one", "two")],
    }


def written(directory: Path, document: Any) -> str:
    path = directory / "kubeconfig"
    path.write_text(document if isinstance(document, str) else yaml.safe_dump(document), encoding="utf-8")
    return str(path)


def test_a_kubeconfig_by_path_by_variable_and_as_a_dictionary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, kubeconfig())
    monkeypatch.setenv("HOME", str(tmp_path))
    for options in ({"kubeconfig": path}, {"kubeconfig": "~/kubeconfig"}, {"kubeconfig": kubeconfig()}):
        api = connect(options)
        assert api.server == "https://127.0.0.1:6443" and api.headers == [("Authorization", "Bearer from-file")]
    monkeypatch.setenv("K8S_AUTH_KUBECONFIG", path)
    assert connect({}).server == "https://127.0.0.1:6443"
    assert connect({"context": "two"}).server == "https://two:6443"


def test_options_win_over_the_kubeconfig(tmp_path: Path) -> None:
    api = connect({"kubeconfig": written(tmp_path, kubeconfig()), "host": "https://three:1/", "impersonate_user": "ann", "impersonate_groups": ["dev"]})
    assert api.server == "https://three:1"
    assert api.headers == [("Authorization", "Bearer from-file"), ("Impersonate-User", "ann"), ("Impersonate-Group", "dev")]
    assert connect({"kubeconfig": kubeconfig(), "api_key": "mine"}).headers == [("Authorization", "Bearer mine")]


def test_host_and_credentials_need_no_kubeconfig() -> None:
    assert connect({"host": "https://h:1", "api_key": "t"}).headers == [("Authorization", "Bearer t")]
    basic = base64.b64encode(b"ann:pw").decode()
    assert connect({"host": "https://h:1", "username": "ann", "password": "pw"}).headers == [("Authorization", f"Basic {basic}")]


def test_a_certificate_authority_is_kept_for_engines(tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_bytes(b"-----BEGIN CERTIFICATE-----\n")
    assert connect({"host": "https://h:1", "api_key": "t", "ca_cert": str(ca)}).ca_data == ca.read_bytes()
    assert connect({"host": "https://h:1", "api_key": "t"}).ca_data is None


def test_a_proxy_gets_its_headers() -> None:
    api = connect({"host": "http://h:1", "api_key": "t", "proxy": "http://127.0.0.1:3128", "proxy_headers": {"proxy_basic_auth": "ann:pw"}})
    assert api.pool.proxy_headers["proxy-authorization"] == f"Basic {base64.b64encode(b'ann:pw').decode()}"


BAD: list[tuple[str, Any, dict[str, Any], str]] = [
    ("no such file", None, {"kubeconfig": "/nonexistent/kubeconfig"}, "The kubeconfig /nonexistent/kubeconfig cannot be used: ConfigException:"),
    ("not YAML", "{a: [", {}, "cannot be used: "),
    ("empty", "", {}, "cannot be used: "),
    ("a list", "[]", {}, "cannot be used: "),
    ("no contexts", {"apiVersion": "v1", "kind": "Config"}, {}, "cannot be used: "),
    ("an unknown context", kubeconfig(), {"context": "three"}, "cannot be used with context three: ConfigException:"),
    ("a dictionary without clusters", None, {"kubeconfig": {"kind": "Config"}}, "The kubeconfig given as a dictionary cannot be used: "),
]


@pytest.mark.parametrize("what, content, options, message", BAD, ids=[row[0] for row in BAD])
def test_a_kubeconfig_that_cannot_be_used(tmp_path: Path, what: str, content: Any, options: dict[str, Any], message: str) -> None:
    given = {"kubeconfig": written(tmp_path, content)} if content is not None else {}
    with pytest.raises(BadInput) as caught:
        connect({**given, **options})
    assert message in str(caught.value) and "Give a readable one with the option kubeconfig (K8S_AUTH_KUBECONFIG)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_login_program_is_run(tmp_path: Path) -> None:
    program = tmp_path / "login"
    program.write_text(
        '#!/bin/sh\necho \'{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"from-program"}}\'\n', encoding="utf-8"
    )
    program.chmod(0o755)
    login = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(program), "interactiveMode": "Never"}
    assert connect({"kubeconfig": kubeconfig(exec=login)}).headers == [("Authorization", "Bearer from-program")]


def test_no_kubeconfig_at_all() -> None:
    with pytest.raises(BadInput, match="The kubeconfig ~/.kube/config cannot be used"):
        connect({})


@pytest.mark.parametrize("option", ["ca_cert", "client_cert", "client_key"])
def test_files_that_cannot_be_read_are_named(option: str) -> None:
    with pytest.raises(
        BadInput, match=f"{option} /nonexistent/file cannot be read. Give a readable file with the option {option} \\(K8S_AUTH_{option.upper()}\\)"
    ):
        connect({"host": "https://h:1", "api_key": "t", option: "/nonexistent/file"})


def test_keys_from_a_kubeconfig_do_not_stay_on_disk() -> None:
    data = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n").decode()
    document = kubeconfig()
    document["clusters"][0]["cluster"]["certificate-authority-data"] = data
    api = connect({"kubeconfig": document})
    path = Path(api.pool.connection_pool_kw["ca_certs"])
    assert path.exists()
    forget()
    assert not path.exists()
    forget()
