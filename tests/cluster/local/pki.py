"""The certificates of one cluster: one authority, and what it signs for servers and clients."""

from __future__ import annotations

import datetime as dt
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from pathlib import Path

_LIFETIME = dt.timedelta(days=365)
_CLOCK_SKEW = dt.timedelta(hours=1)


class Authority:
    """Signs certificates into one folder, as `<name>.crt` and `<name>.key`.

    They carry key identifiers and key usages, without which Python 3.13 and newer refuse them (RFC 5280 §4.2.1).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "riskbus local cluster")])
        usage = _key_usage(digital_signature=True, key_cert_sign=True)
        builder = _builder(self._name, self._name, self._key.public_key(), self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._save("ca", self._key, builder.add_extension(usage, critical=True).sign(self._key, hashes.SHA256()))

    def client(self, name: str, user: str, group: str) -> None:
        """Sign a client certificate; Kubernetes reads CN as the user and O as the group."""
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, user), x509.NameAttribute(NameOID.ORGANIZATION_NAME, group)]
        self._issue(name, subject, [], ExtendedKeyUsageOID.CLIENT_AUTH)

    def server(self, name: str, names: list[str], addresses: list[str]) -> None:
        """Sign a server certificate for DNS names and IP addresses."""
        alternatives: list[x509.GeneralName] = [x509.DNSName(n) for n in names]
        alternatives += [x509.IPAddress(ipaddress.ip_address(a)) for a in addresses]
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)]
        self._issue(name, subject, alternatives, ExtendedKeyUsageOID.SERVER_AUTH)

    def key_pair(self, name: str) -> None:
        """Make a bare key pair, `<name>.key` and `<name>.pub`: service account tokens are signed with one."""
        key = ec.generate_private_key(ec.SECP256R1())
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        (self._folder / f"{name}.pub").write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
        self._save_key(name, key)

    def _issue(
        self,
        name: str,
        subject: list[x509.NameAttribute[str]],
        alternatives: list[x509.GeneralName],
        purpose: x509.ObjectIdentifier,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _builder(x509.Name(subject), self._name, key.public_key(), self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        builder = builder.add_extension(_key_usage(digital_signature=True), critical=True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        if alternatives:
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        self._save(name, key, builder.sign(self._key, hashes.SHA256()))

    def _save(self, name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        (self._folder / f"{name}.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        self._save_key(name, key)

    def _save_key(self, name: str, key: ec.EllipticCurvePrivateKey) -> None:
        form, plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        (self._folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, issuer_key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - _CLOCK_SKEW).not_valid_after(now + _LIFETIME)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key)
    return builder.add_extension(identifier, critical=False)


def _key_usage(*, digital_signature: bool, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
