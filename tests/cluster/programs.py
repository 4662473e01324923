# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The programs that make up the built-in cluster: their command lines and where each one tells that it is well."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .pki import SERVICE_ACCOUNT
from .settings import NODE, NODE_ADDRESS, POD_CIDR, PORTS, SERVICE_CIDR, Paths


@dataclass(frozen=True)
class Daemon:
    """One program: its command line, and the URL that answers 200 when it is well ("" : its socket is asked)."""

    argv: tuple[str, ...]
    health: str = ""


def daemons(paths: Paths, etcd: Path, containerd: Path, binaries: Path) -> dict[str, Daemon]:
    """Name -> program, in the order of starting. `binaries` is the folder with kube-apiserver and so on."""
    pki, config = paths.pki, paths.config
    clients, peers = f"https://127.0.0.1:{PORTS['etcd clients']}", f"http://127.0.0.1:{PORTS['etcd peers']}"

    def served(name: str) -> tuple[str, ...]:
        return f"--tls-cert-file={pki}/{name}.crt", f"--tls-private-key-file={pki}/{name}.key"

    def loopback(name: str) -> tuple[str, ...]:
        own = f"{config}/{name}.kubeconfig"
        return (
            f"--kubeconfig={own}",
            f"--authentication-kubeconfig={own}",
            f"--authorization-kubeconfig={own}",
            "--bind-address=127.0.0.1",
            f"--secure-port={PORTS[name]}",
            "--leader-elect=false",
            # thousands of simulated pods must not wait for a client-side limit
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
            *served(name),
        )

    return {
        "containerd": Daemon((str(containerd), f"--config={config}/containerd.toml")),
        "etcd": Daemon(
            (
                str(etcd),
                "--name=default",
                f"--data-dir={paths.state}/etcd",
                f"--listen-client-urls={clients}",
                f"--advertise-client-urls={clients}",
                f"--listen-peer-urls={peers}",
                f"--initial-advertise-peer-urls={peers}",
                f"--initial-cluster=default={peers}",
                f"--listen-metrics-urls=http://127.0.0.1:{PORTS['etcd health']}",
                "--client-cert-auth",
                f"--trusted-ca-file={pki}/etcd-ca.crt",
                f"--cert-file={pki}/etcd.crt",
                f"--key-file={pki}/etcd.key",
                "--unsafe-no-fsync",  # nothing of a test cluster has to survive a power cut
            ),
            health=f"http://127.0.0.1:{PORTS['etcd health']}/health",
        ),
        "kube-apiserver": Daemon(
            (
                f"{binaries}/kube-apiserver",
                "--bind-address=0.0.0.0",  # loopback and the node's address; network.py keeps others out
                f"--secure-port={PORTS['API server']}",
                f"--advertise-address={NODE_ADDRESS}",
                *served("kube-apiserver"),
                f"--cert-dir={paths.state}/apiserver",
                f"--client-ca-file={pki}/ca.crt",
                f"--etcd-servers={clients}",
                f"--etcd-cafile={pki}/etcd-ca.crt",
                f"--etcd-certfile={pki}/etcd-client.crt",
                f"--etcd-keyfile={pki}/etcd-client.key",
                f"--service-cluster-ip-range={SERVICE_CIDR}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={pki}/{SERVICE_ACCOUNT}.pub",
                f"--service-account-signing-key-file={pki}/{SERVICE_ACCOUNT}.key",
                "--authorization-mode=Node,RBAC",
                "--enable-admission-plugins=NodeRestriction",
                "--allow-privileged",
                # logs and exec
                "--kubelet-preferred-address-types=InternalIP",
                f"--kubelet-certificate-authority={pki}/ca.crt",
                f"--kubelet-client-certificate={pki}/kubelet-client.crt",
                f"--kubelet-client-key={pki}/kubelet-client.key",
                # aggregated APIs
                "--enable-aggregator-routing",
                f"--proxy-client-cert-file={pki}/front-proxy-client.crt",
                f"--proxy-client-key-file={pki}/front-proxy-client.key",
                f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
                "--requestheader-allowed-names=front-proxy-client",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-username-headers=X-Remote-User",
                # blocking: a request's line is in the file before its answer is sent
                f"--audit-policy-file={config}/audit-policy.yaml",
                f"--audit-log-path={paths.audit_log}",
                "--audit-log-mode=blocking",
                "--audit-log-maxsize=4096",
            ),
            health=f"https://127.0.0.1:{PORTS['API server']}/readyz",
        ),
        "kube-controller-manager": Daemon(
            (
                f"{binaries}/kube-controller-manager",
                *loopback("kube-controller-manager"),
                f"--service-account-private-key-file={pki}/{SERVICE_ACCOUNT}.key",
                "--use-service-account-credentials",
                f"--root-ca-file={pki}/ca.crt",
                f"--cluster-signing-cert-file={pki}/ca.crt",
                f"--cluster-signing-key-file={pki}/ca.key",
                f"--cluster-cidr={POD_CIDR}",
                f"--flex-volume-plugin-dir={paths.state}/volume-plugins",
                # autoscaling within a test's patience
                "--horizontal-pod-autoscaler-sync-period=5s",
                "--horizontal-pod-autoscaler-initial-readiness-delay=5s",
                "--horizontal-pod-autoscaler-cpu-initialization-period=20s",
            ),
            health=f"https://127.0.0.1:{PORTS['kube-controller-manager']}/healthz",
        ),
        "kube-scheduler": Daemon(
            (f"{binaries}/kube-scheduler", *loopback("kube-scheduler")),
            health=f"https://127.0.0.1:{PORTS['kube-scheduler']}/healthz",
        ),
        "kubelet": Daemon(
            (
                f"{binaries}/kubelet",
                f"--config={config}/kubelet.yaml",
                f"--kubeconfig={config}/kubelet.kubeconfig",
                f"--hostname-override={NODE}",
                f"--node-ip={NODE_ADDRESS}",
                f"--root-dir={paths.state}/kubelet",
                f"--cert-dir={paths.state}/kubelet/pki",
            ),
            health=f"http://127.0.0.1:{PORTS['kubelet health']}/healthz",
        ),
        "kube-proxy": Daemon(
            (
                f"{binaries}/kube-proxy",
                f"--kubeconfig={config}/kube-proxy.kubeconfig",
                f"--hostname-override={NODE}",
                "--proxy-mode=iptables",
                f"--cluster-cidr={POD_CIDR}",
                f"--nodeport-addresses=127.0.0.0/8,{NODE_ADDRESS}/32",
                f"--healthz-bind-address=127.0.0.1:{PORTS['kube-proxy health']}",
                f"--metrics-bind-address=127.0.0.1:{PORTS['kube-proxy metrics']}",
                # leave the machine's connection tracking as it is
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ),
            health=f"http://127.0.0.1:{PORTS['kube-proxy health']}/healthz",
        ),
    }


# Started by containerd, one per pod; `down` knows it by its name and our folder in its arguments
SHIM = "containerd-shim-runc-v2"
