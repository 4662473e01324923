# Copyright: (c) 2026, aiops.k8s contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The certificates of the built-in cluster: who signed what, for which names, for how long."""

from __future__ import annotations

import datetime
import ipaddress
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from tests.cluster import pki

NOW = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pki")
    pki.build(path, NOW)
    return path


def load(folder: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((folder / f"{name}.crt").read_bytes())


@pytest.mark.parametrize("name", sorted(pki.LEAVES))
def test_leaf_is_signed_by_its_own_authority_only(folder: Path, name: str) -> None:
    certificate = load(folder, name)
    for authority in pki.AUTHORITIES:
        issuer = load(folder, authority)
        if authority == pki.LEAVES[name].authority:
            certificate.verify_directly_issued_by(issuer)
        else:
            with pytest.raises(ValueError):
                certificate.verify_directly_issued_by(issuer)


@pytest.mark.parametrize("name", sorted(name for name, leaf in pki.LEAVES.items() if leaf.serves))
def test_server_certificates_hold_for_every_name_they_serve(folder: Path, name: str) -> None:
    leaf = pki.LEAVES[name]
    store = Store([load(folder, leaf.authority)])
    for value in leaf.serves:
        subject = pki.general_name(value)
        assert isinstance(subject, (x509.DNSName, x509.IPAddress))
        verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(subject)
        assert len(verifier.verify(load(folder, name), [])) == 2


def test_api_server_is_known_by_the_addresses_that_clients_use(folder: Path) -> None:
    names = load(folder, "kube-apiserver").extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "10.250.0.1", "10.96.0.1"}
    assert "kubernetes.default.svc.cluster.local" in names.get_values_for_type(x509.DNSName)


def test_clients_may_not_serve_and_servers_may_not_log_in(folder: Path) -> None:
    for name, leaf in pki.LEAVES.items():
        usage = load(folder, name).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        wanted = ExtendedKeyUsageOID.SERVER_AUTH if leaf.serves else ExtendedKeyUsageOID.CLIENT_AUTH
        assert list(usage) == [wanted], name


def test_identities_are_those_that_kubernetes_expects(folder: Path) -> None:
    def identity(name: str) -> tuple[str, list[str]]:
        subject = load(folder, name).subject
        common = subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
        return str(common), [str(a.value) for a in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]

    assert identity("node-client") == ("system:node:node-1", ["system:nodes"])
    assert identity("admin-client") == ("kubernetes-admin", ["system:masters"])
    assert identity("proxy-client") == ("system:kube-proxy", [])


def test_keys_are_private_and_certificates_end_after_thirty_days(folder: Path) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.key")}
    assert modes == {0o600}
    assert pki.expires(folder) == NOW + datetime.timedelta(days=30)


@pytest.mark.parametrize(
    ("days", "soon"), [(0, False), (28.9, False), (29.1, True), (31, True)], ids=["new", "fine", "last day", "over"]
)
def test_expires_soon(folder: Path, days: float, soon: bool) -> None:
    assert pki.expires_soon(folder, NOW + datetime.timedelta(days=days)) is soon


def test_no_certificates_count_as_expired(tmp_path: Path) -> None:
    assert pki.expires_soon(tmp_path)
    (tmp_path / "broken.crt").write_text("not a certificate")
    assert pki.expires_soon(tmp_path)


def test_general_name_tells_addresses_from_names() -> None:
    assert pki.general_name("10.0.0.1") == x509.IPAddress(ipaddress.ip_address("10.0.0.1"))
    assert pki.general_name("localhost") == x509.DNSName("localhost")
