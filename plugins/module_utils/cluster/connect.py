# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

"""From kubernetes.core's connection options to an open connection.

The options, their names and their ``K8S_AUTH_*`` fallbacks are kubernetes.core's own; kubeconfig files, exec plug-ins and
in-cluster service accounts are read by the official client's loader. The requests themselves go through urllib3 as plain
JSON: the client's typed classes cost a second to import and several times the parsing time on big lists.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Mapping

from ansible_collections.aiops.k8s.plugins.module_utils.cluster.api import Api
from ansible_collections.aiops.k8s.plugins.module_utils.errors import BadInput, library

# option of kubernetes.core -> attribute of the client's Configuration
_DIRECT = {
    "host": "host",
    "username": "username",
    "password": "password",
    "validate_certs": "verify_ssl",
    "ca_cert": "ssl_ca_cert",
    "client_cert": "cert_file",
    "client_key": "key_file",
    "proxy": "proxy",
    "no_proxy": "no_proxy",
}
_ENVIRONMENT_ALIAS = {"validate_certs": "VERIFY_SSL", "ca_cert": "SSL_CA_CERT", "client_cert": "CERT_FILE", "client_key": "KEY_FILE"}
CONNECTION_OPTIONS = (*_DIRECT, "kubeconfig", "context", "api_key", "proxy_headers", "impersonate_user", "impersonate_groups")
_PARALLEL = 16  # connections that are kept open to the server
_FALSE = ("0", "false", "no")
_FILES = {
    "ca_cert": "ssl_ca_cert",
    "client_cert": "cert_file",
    "client_key": "key_file",
}  # option -> attribute: read when a request is sent


def effective(options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """The connection options that are set, by option or by ``K8S_AUTH_*`` variable; an option wins."""
    chosen: dict[str, Any] = {}
    for name in CONNECTION_OPTIONS:
        value = options.get(name)
        if name == "proxy_headers":
            value = _proxy_headers(value or {}, environment)
        elif value in (None, "", [], {}):
            value = environment.get(f"K8S_AUTH_{name.upper()}") or environment.get(f"K8S_AUTH_{_ENVIRONMENT_ALIAS.get(name, name)}")
            if isinstance(value, str) and name == "validate_certs":
                value = value.lower() not in _FALSE
            if isinstance(value, str) and name == "impersonate_groups":
                value = [group for group in value.split(",") if group]
        if value not in (None, "", [], {}):
            chosen[name] = value
    return chosen


def _proxy_headers(given: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    names = ("proxy_basic_auth", "basic_auth", "user_agent")
    values = {name: given.get(name) or environment.get(f"K8S_AUTH_PROXY_HEADERS_{name.upper()}") for name in names}
    return {name: str(value) for name, value in values.items() if value}


def connect(options: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> Api:
    """Open a connection.

    options: connection options of kubernetes.core, unset ones None or absent.
    environment: where K8S_AUTH_* variables are looked for; this process's own unless given.
    Raises BadInput when the options or the kubeconfig cannot be used; nothing is sent yet.
    """
    chosen = effective(options, os.environ if environment is None else environment)
    configuration = _load(chosen)
    for option, attribute in _DIRECT.items():
        if option in chosen:
            setattr(configuration, attribute, chosen[option])
    if "proxy_headers" in chosen:
        configuration.proxy_headers = library("urllib3").make_headers(**chosen["proxy_headers"])
    for option, attribute in _FILES.items():
        path = getattr(configuration, attribute)
        if path and not os.access(path, os.R_OK):
            raise BadInput(
                f"{option} {path} cannot be read.",
                f"Give a readable file with the option {option} (K8S_AUTH_{option.upper()}), or correct the kubeconfig that names it.",
            )
    configuration.host = str(configuration.host).rstrip("/")
    configuration.connection_pool_maxsize = _PARALLEL
    pool = library("kubernetes.client.rest").RESTClientObject(configuration).pool_manager
    return Api(configuration.host, pool, _headers(configuration, chosen), ca_data=_ca_data(configuration.ssl_ca_cert))


def forget() -> None:
    """Remove the files that the loader wrote the kubeconfig's certificates and keys into.

    It does so itself when Python ends, but a worker of Ansible ends without that.
    """
    loader = sys.modules.get("kubernetes.config.kube_config")
    if loader is not None:
        loader._cleanup_temp_files()


def _load(chosen: Mapping[str, Any]) -> Any:
    client, config = library("kubernetes.client"), library("kubernetes.config")
    configuration = client.Configuration()
    direct = "host" in chosen and (
        "api_key" in chosen or {"client_cert", "client_key"} <= set(chosen) or {"username", "password"} <= set(chosen)
    )
    if direct:
        return configuration
    source, context = chosen.get("kubeconfig"), chosen.get("context")
    try:
        if isinstance(source, dict):
            config.load_kube_config_from_dict(source, context=context, client_configuration=configuration)
        elif source or context or not os.environ.get("KUBERNETES_SERVICE_HOST"):
            path = os.path.expanduser(source) if source else None
            config.load_kube_config(path, context=context, client_configuration=configuration, persist_config=False)
        else:
            config.load_incluster_config(client_configuration=configuration)
    except Exception as error:  # the loader raises whatever its YAML, TLS and exec helpers raise
        where = source if isinstance(source, str) else os.environ.get("KUBECONFIG", "~/.kube/config")
        raise BadInput(
            f"The kubeconfig {where if not isinstance(source, dict) else 'given as a dictionary'} cannot be used"
            f"{f' with context {context}' if context else ''}: {type(error).__name__}: {' '.join(str(error).split())[:300]}.",
            "Give a readable one with the option kubeconfig (K8S_AUTH_KUBECONFIG) and a context that it holds.",
        ) from error
    return configuration


def _headers(configuration: Any, chosen: Mapping[str, Any]) -> list[tuple[str, str]]:
    headers: list[tuple[str, str]] = []
    if "api_key" in chosen:
        headers.append(("Authorization", f"Bearer {chosen['api_key']}"))
    elif chosen.get("username") and chosen.get("password"):
        headers.append(("Authorization", str(configuration.get_basic_auth_token())))
    else:
        headers += [("Authorization", setting["value"]) for setting in configuration.auth_settings().values() if setting.get("value")]
    if "impersonate_user" in chosen:
        headers.append(("Impersonate-User", chosen["impersonate_user"]))
    headers += [("Impersonate-Group", group) for group in chosen.get("impersonate_groups", [])]
    return headers


def _ca_data(path: str | None) -> bytes | None:
    if not path:
        return None
    with open(path, "rb") as file:
        return file.read()
