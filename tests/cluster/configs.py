# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The configuration files of the built-in cluster, as text made from templates and the certificates."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any

import yaml

from . import images
from .console import write_private
from .pki import TOOL_USER
from .settings import (
    CNI_NETWORK,
    DNS_SERVICE,
    DOMAIN,
    NAME,
    NODE_ADDRESS,
    POD_BRIDGE,
    POD_CIDR,
    PORTS,
    SERVER,
    TEMPLATES,
    Paths,
)

# kubeconfig -> the client certificate in it
KUBECONFIGS = {
    "admin": "admin-client",
    "kube-controller-manager": "controller-manager-client",
    "kube-scheduler": "scheduler-client",
    "kube-proxy": "proxy-client",
    "kubelet": "node-client",
}
NETNS_OPTION = "netns_mounts_under_state_dir"  # containerd 1.6.9 and later


def render(name: str, values: Mapping[str, object]) -> str:
    """The template `name` with each $word replaced.

    Raises KeyError when a word has no value.
    """
    return Template((TEMPLATES / name).read_text()).substitute(values)


def kubeconfig(server: str, authority: bytes, certificate: bytes, key: bytes, name: str = NAME) -> str:
    """A kubeconfig that stands by itself: the certificates (PEM) are inside."""

    def inline(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": inline(authority)}}],
        "users": [
            {"name": name, "user": {"client-certificate-data": inline(certificate), "client-key-data": inline(key)}}
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    return yaml.safe_dump(document, sort_keys=False)


def cni_network(state: Path) -> str:
    """The pod network: a bridge, addresses kept in the state folder, host ports."""
    bridge = {
        "type": "bridge",
        "bridge": POD_BRIDGE,
        "isGateway": True,
        "ipMasq": False,  # network.py has one rule for all pods: nothing per pod to lose in a crash
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "dataDir": str(state / "cni"),
            "ranges": [[{"subnet": POD_CIDR}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": CNI_NETWORK, "plugins": [bridge, ports]}, indent=2)


def values(paths: Paths, cni_bin: Path, containerd_defaults: str) -> dict[str, object]:
    """What the templates may name. `containerd_defaults` is what `containerd config default` prints."""
    known = NETNS_OPTION in containerd_defaults
    return {
        "name": NAME,
        "state": paths.state,
        "runtime": paths.runtime,
        "config": paths.config,
        "pki": paths.pki,
        "cni_bin": cni_bin,
        "netns_option": f"{NETNS_OPTION} = true" if known else f"# {NETNS_OPTION}: this containerd has no such option",
        "node_address": NODE_ADDRESS,
        "domain": DOMAIN,
        "dns_service": DNS_SERVICE,
        "kubelet_port": PORTS["kubelet"],
        "kubelet_health_port": PORTS["kubelet health"],
        "tool_user": TOOL_USER,
        "pause_image": images.reference("pause"),
    }


def write(paths: Paths, cni_bin: Path, containerd_defaults: str) -> None:
    """Write every configuration file and kubeconfig; the certificates must be there."""
    known = values(paths, cni_bin, containerd_defaults)
    for name in ("containerd.toml", "kubelet.yaml", "audit-policy.yaml"):
        write_private(paths.config / name, render(name, known))
    write_private(paths.config / "cni" / "10-bridge.conflist", cni_network(paths.state))
    authority = (paths.pki / "ca.crt").read_bytes()
    for name, client in KUBECONFIGS.items():
        certificate, key = ((paths.pki / f"{client}.{kind}").read_bytes() for kind in ("crt", "key"))
        target = paths.kubeconfig if name == "admin" else paths.config / f"{name}.kubeconfig"
        write_private(target, kubeconfig(SERVER, authority, certificate, key))


def addons(pki: Path) -> str:
    """The manifests of CoreDNS and metrics-server, the latter with its certificate."""

    def encoded(name: str) -> str:
        return base64.b64encode((pki / name).read_bytes()).decode()

    return render(
        "addons.yml.in",
        {
            "domain": DOMAIN,
            "dns_service": DNS_SERVICE,
            "coredns_image": images.reference("coredns"),
            "metrics_image": images.reference("metrics-server"),
            "metrics_crt": encoded("metrics-server.crt"),
            "metrics_key": encoded("metrics-server.key"),
            "ca_crt": encoded("ca.crt"),
        },
    )
