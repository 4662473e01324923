# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificate authorities and certificates of the built-in cluster: a table of who gets which, and their making."""

from __future__ import annotations

import datetime
import ipaddress
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .console import write_private
from .settings import API_SERVICE, DOMAIN, NODE, NODE_ADDRESS

VALID = datetime.timedelta(days=30)
EXPIRES_SOON = datetime.timedelta(days=1)
BACKDATED = datetime.timedelta(minutes=5)  # for clocks that are a little apart
TOOL_USER = "system:test-cluster"
SERVICE_ACCOUNT = "service-account"  # the key that signs service account tokens

# Aggregated API requests and etcd have their own authorities: a certificate made for a user or a node of the cluster
# must be worth nothing there.
AUTHORITIES = {"ca": "aiops-k8s-ca", "front-proxy-ca": "aiops-k8s-front-proxy-ca", "etcd-ca": "aiops-k8s-etcd-ca"}

LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Leaf:
    """One certificate: who signs it, whom it names, and the names and addresses it serves (none for a client)."""

    authority: str
    common_name: str
    organization: str = ""
    serves: tuple[str, ...] = ()


LEAVES: dict[str, Leaf] = {
    # servers
    "kube-apiserver": Leaf(
        "ca",
        "kube-apiserver",
        serves=(
            *LOOPBACK,
            NODE_ADDRESS,
            API_SERVICE,
            NODE,
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            f"kubernetes.default.svc.{DOMAIN}",
        ),
    ),
    "kubelet": Leaf("ca", f"system:node:{NODE}", "system:nodes", (NODE_ADDRESS, NODE)),
    "kube-controller-manager": Leaf("ca", "kube-controller-manager", serves=LOOPBACK),
    "kube-scheduler": Leaf("ca", "kube-scheduler", serves=LOOPBACK),
    "metrics-server": Leaf(
        "ca",
        "metrics-server",
        serves=("metrics-server", "metrics-server.kube-system", "metrics-server.kube-system.svc"),
    ),
    "etcd": Leaf("etcd-ca", "etcd", serves=LOOPBACK),
    # clients
    "etcd-client": Leaf("etcd-ca", "kube-apiserver-etcd-client"),
    "front-proxy-client": Leaf("front-proxy-ca", "front-proxy-client"),
    "kubelet-client": Leaf("ca", "kube-apiserver-kubelet-client", "system:masters"),
    "admin-client": Leaf("ca", "kubernetes-admin", "system:masters"),
    "tool-client": Leaf("ca", TOOL_USER, "system:masters"),  # this tool's own looking, left out of the audit log
    "controller-manager-client": Leaf("ca", "system:kube-controller-manager"),
    "scheduler-client": Leaf("ca", "system:kube-scheduler"),
    "proxy-client": Leaf("ca", "system:kube-proxy"),
    "node-client": Leaf("ca", f"system:node:{NODE}", "system:nodes"),
}


@dataclass(frozen=True)
class Pair:
    """A certificate with its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    def certificate_pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        return _key_pem(self.key)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _subject(common_name: str, organization: str = "") -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _key_usage(*, authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def new_authority(common_name: str, now: datetime.datetime) -> Pair:
    """A self-signed certificate authority that is valid from about `now` (aware) for VALID."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _subject(common_name)
    certificate = (
        _builder(name, name, key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(authority=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Pair(certificate, key)


def general_name(value: str) -> x509.GeneralName:
    """An address or a DNS name as it stands in a certificate."""
    try:
        return x509.IPAddress(ipaddress.ip_address(value))
    except ValueError:
        return x509.DNSName(value)


def issue(leaf: Leaf, authority: Pair, now: datetime.datetime) -> Pair:
    """The certificate that `leaf` describes, signed by `authority`: a server's if it serves names, else a client's."""
    key = ec.generate_private_key(ec.SECP256R1())
    usage = ExtendedKeyUsageOID.SERVER_AUTH if leaf.serves else ExtendedKeyUsageOID.CLIENT_AUTH
    signer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = (
        _builder(_subject(leaf.common_name, leaf.organization), authority.certificate.subject, key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(authority=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
    )
    if leaf.serves:
        names = x509.SubjectAlternativeName([general_name(value) for value in leaf.serves])
        builder = builder.add_extension(names, critical=False)
    return Pair(builder.sign(authority.key, hashes.SHA256()), key)


def build(directory: Path, now: datetime.datetime | None = None) -> None:
    """Write a fresh set: NAME.crt and NAME.key (0600) of every authority and leaf, and the service account key pair."""
    moment = now or datetime.datetime.now(datetime.timezone.utc)
    authorities = {name: new_authority(common_name, moment) for name, common_name in AUTHORITIES.items()}
    leaves = {name: issue(leaf, authorities[leaf.authority], moment) for name, leaf in LEAVES.items()}
    for name, pair in {**authorities, **leaves}.items():
        write_private(directory / f"{name}.crt", pair.certificate_pem())
        write_private(directory / f"{name}.key", pair.key_pem())
    signer = ec.generate_private_key(ec.SECP256R1())
    public = signer.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(directory / f"{SERVICE_ACCOUNT}.key", _key_pem(signer))
    write_private(directory / f"{SERVICE_ACCOUNT}.pub", public)


def expires(directory: Path) -> datetime.datetime | None:
    """When the first certificate in `directory` ends, or None when there are none or one cannot be read."""
    try:
        ends = [
            x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc for path in directory.glob("*.crt")
        ]
    except (OSError, ValueError):
        return None
    return min(ends, default=None)


def expires_soon(directory: Path, now: datetime.datetime | None = None) -> bool:
    """Whether a cluster on these certificates should be replaced rather than reused."""
    end = expires(directory)
    return end is None or end - (now or datetime.datetime.now(datetime.timezone.utc)) < EXPIRES_SOON
