# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""Who the engine is in the cluster."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ansible_collections.aiops.k8s.plugins.module_utils.cluster import connect as connecting
from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import ApiError, Unreachable
from ansible_collections.aiops.k8s.plugins.module_utils.engine.identity import Identity, nobody, of_service_account
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput


class _Api:
    server, ca_data = "https://cluster:6443", b"PEM"

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[tuple[str, str, Any]] = []

    def request(self, method: str, path: str, query: Any = None, body: Any = None, timeout: float = 0) -> Any:
        self.sent.append((method, path, body))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _ask(monkeypatch: pytest.MonkeyPatch, answer: Any, **options: Any) -> tuple[Identity, _Api]:
    api = _Api(answer)

    def connect(_options: Any) -> _Api:
        if isinstance(answer, BadInput):
            raise answer
        return api

    monkeypatch.setattr(connecting, "connect", connect)
    return of_service_account(options, {"namespace": "aiops", "name": "reader"}, 5), api


def test_the_kubeconfig_has_the_token_and_the_cluster_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    identity, api = _ask(monkeypatch, {"status": {"token": "short-lived"}}, api_key="the caller's own")
    assert api.sent == [(
        "POST", "/api/v1/namespaces/aiops/serviceaccounts/reader/token",
        {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}},
    )]
    kubeconfig = json.loads(identity.kubeconfig)
    assert identity.name == "system:serviceaccount:aiops:reader" and identity.token == "short-lived"
    assert kubeconfig["clusters"][0]["cluster"] == {"server": "https://cluster:6443", "certificate-authority-data": base64.b64encode(b"PEM").decode()}
    assert kubeconfig["users"][0]["user"] == {"token": "short-lived"}
    assert "caller" not in identity.kubeconfig


def test_options_of_the_way_to_the_cluster_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    identity, _api = _ask(monkeypatch, {"status": {"token": "t"}}, validate_certs=False, proxy="http://proxy:1")
    cluster = json.loads(identity.kubeconfig)["clusters"][0]["cluster"]
    assert cluster == {"server": "https://cluster:6443", "insecure-skip-tls-verify": True, "proxy-url": "http://proxy:1"}


@pytest.mark.parametrize(("answer", "reason"), [
    (ApiError(404, "NotFound", "x", "POST"), "it does not exist"),
    (ApiError(403, "Forbidden", "x", "POST"), "may not create serviceaccounts/token"),
    (ApiError(401, "Unauthorized", "x", "POST"), "not accepted"),
    (ApiError(500, "InternalError", "x", "POST"), "500"),
    (Unreachable("no answer"), "no answer"),
    (BadInput("no kubeconfig"), "no kubeconfig"),
    ({"status": {}}, "holds none"),
    ([], "holds none"),
])
def test_without_a_token_the_engine_is_nobody(monkeypatch: pytest.MonkeyPatch, answer: Any, reason: str) -> None:
    identity, _api = _ask(monkeypatch, answer)
    assert (identity.name, identity.token) == ("none", "") and reason in identity.reason and "aiops/reader" in identity.reason


def test_nobody_has_no_cluster_to_go_to() -> None:
    kubeconfig = json.loads(nobody("because").kubeconfig)
    assert kubeconfig["clusters"][0]["cluster"] == {"server": "https://127.0.0.1:1"} and kubeconfig["users"][0]["user"] == {}
