"""TLS by setting: both files or neither, and files that a server can use, told before it starts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from everloop.errors import ConfigurationError
from everloop.settings import Settings, read_settings

NEEDED = {"EVERLOOP_DATABASE": "postgresql://h/d", "EVERLOOP_MLFLOW": "http://h"}


def private_key(folder: Path, name: str, passphrase: bytes | None = None) -> tuple[ec.EllipticCurvePrivateKey, Path]:
    key, path = ec.generate_private_key(ec.SECP256R1()), folder / name
    coded = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, coded))
    return key, path


def certificate(folder: Path, key: ec.EllipticCurvePrivateKey) -> Path:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, datetime.now(UTC), datetime.now(UTC) + timedelta(days=1))
    path = folder / "certificate.pem"
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    return path


def settings(**files: Path) -> Settings:
    return read_settings(NEEDED | {f"EVERLOOP_TLS_{name.upper()}": str(path) for name, path in files.items()})


def test_without_tls_settings_the_service_speaks_plain_http() -> None:
    assert settings().tls() is None
    assert read_settings(NEEDED | {"EVERLOOP_TLS_KEY": "", "EVERLOOP_TLS_CERTIFICATE": ""}).tls() is None


def test_a_certificate_and_its_key_are_given_to_the_server(tmp_path: Path) -> None:
    key, key_file = private_key(tmp_path, "key.pem")
    chain = certificate(tmp_path, key)
    assert settings(certificate=chain, key=key_file).tls() == (chain, key_file)


@pytest.mark.parametrize(("given", "missing"), [("certificate", "EVERLOOP_TLS_KEY"), ("key", "EVERLOOP_TLS_CERTIFICATE")])
def test_one_without_the_other_is_refused_when_the_settings_are_read(given: str, missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"EVERLOOP_TLS_{given.upper()} is set and {missing} is not"):
        settings(**{given: Path("/a.pem")})


@pytest.mark.parametrize(("name", "other"), [("certificate", "key"), ("key", "certificate")])
def test_an_unreadable_file_is_named_by_the_part_that_serves(name: str, other: str, tmp_path: Path) -> None:
    there, absent = tmp_path / "there.pem", tmp_path / "absent.pem"
    there.write_text("")
    found = settings(**{name: absent, other: there})
    with pytest.raises(ConfigurationError, match=rf"EVERLOOP_TLS_{name.upper()} is {absent}, .*No such file"):
        found.tls()


def test_files_that_are_no_pair_are_refused_without_asking_for_a_passphrase(tmp_path: Path) -> None:
    key, _ = private_key(tmp_path, "key.pem")
    chain = certificate(tmp_path, key)
    _, other = private_key(tmp_path, "other.pem")
    _, coded = private_key(tmp_path, "coded.pem", b"secret")
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no PEM at all")
    for pair in (
        {"certificate": chain, "key": other},
        {"certificate": chain, "key": coded},
        {"certificate": nothing, "key": other},
    ):
        with pytest.raises(ConfigurationError, match="are no pair"):
            settings(**pair).tls()
