"""Certificates for engines behind TLS, good for an hour."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


class Certificates:
    """An authority, and keys that it vouches for, as the docker command wants them.

    Parameters
    ----------
    addresses
        Of the servers that have the key, or their names.
    """

    def __init__(self, folder: Path, *addresses: str) -> None:
        self._addresses = addresses or ("127.0.0.1",)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        authority = x509.BasicConstraints(ca=True, path_length=None)
        self._pem = self._sign(self._name, self._key, authority)
        self.server = self.make(folder / "server", ExtendedKeyUsageOID.SERVER_AUTH)
        self.client = self.make(folder / "client", ExtendedKeyUsageOID.CLIENT_AUTH)

    @property
    def options(self) -> tuple[str, ...]:
        """Options of a `dockerd` that has the server's key and wants to see the client's."""
        return (
            "--tlsverify",
            *("--tlscacert", str(self.server / "ca.pem")),
            *("--tlscert", str(self.server / "cert.pem")),
            *("--tlskey", str(self.server / "key.pem")),
        )

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        *extensions: x509.ExtensionType,
    ) -> bytes:
        now = datetime.datetime.now(datetime.UTC)
        authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(authority, critical=False)
            .add_extension(own, critical=False)
        )
        for extension in extensions:
            critical = isinstance(extension, x509.BasicConstraints)
            builder = builder.add_extension(extension, critical=critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def make(self, folder: Path, usage: x509.ObjectIdentifier) -> Path:
        """Make a folder with a key of its own."""
        folder.mkdir()
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, folder.name)])
        addresses = [_general_name(each) for each in self._addresses]
        pem = self._sign(
            subject, key, x509.ExtendedKeyUsage([usage]), x509.SubjectAlternativeName(addresses)
        )
        (folder / "ca.pem").write_bytes(self._pem)
        (folder / "cert.pem").write_bytes(pem)
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        (folder / "key.pem").chmod(0o600)
        return folder


def _general_name(address: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(address))
    except ValueError:
        return x509.DNSName(address)
