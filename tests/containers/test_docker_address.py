"""The engine is found as the `docker` command finds it."""

from __future__ import annotations

import hashlib
import json
import ssl
from pathlib import Path

import pytest

from jupyter_ext.containers import docker_address
from jupyter_ext.containers.docker_address import EngineAddress, find_address
from jupyter_ext.errors import InvalidRequest

from ..engines.certificates import Certificates


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # The machine's own engine must not be found where a test says that there is none.
    monkeypatch.setattr(docker_address, "SYSTEM_SOCKET", str(tmp_path / "system.sock"))
    return tmp_path


def environment(home: Path, **more: str) -> dict[str, str]:
    return {"HOME": str(home), "XDG_RUNTIME_DIR": str(home / "run"), **more}


def make_context(home: Path, name: str, host: str, *, skip_verify: bool = False) -> Path:
    key = hashlib.sha256(name.encode()).hexdigest()
    meta = home / ".docker" / "contexts" / "meta" / key
    meta.mkdir(parents=True)
    endpoint = {"Host": host, "SkipTLSVerify": skip_verify}
    about = {"Name": name, "Metadata": {}, "Endpoints": {"docker": endpoint}}
    (meta / "meta.json").write_text(json.dumps(about))
    return home / ".docker" / "contexts" / "tls" / key / "docker"


def test_a_named_address_wins(home: Path) -> None:
    env = environment(home, DOCKER_HOST="tcp://10.0.0.1:2375")
    assert find_address("unix:///own.sock", env).url == "unix:///own.sock"


def test_docker_host_comes_next(home: Path) -> None:
    make_context(home, "far", "ssh://me@far")
    env = environment(home, DOCKER_HOST="tcp://10.0.0.1:2375", DOCKER_CONTEXT="far")
    found = find_address("", env)
    assert (found.kind, found.host, found.port, found.tls) == ("tcp", "10.0.0.1", 2375, False)


def test_docker_host_with_tls(home: Path) -> None:
    env = environment(home, DOCKER_HOST="tcp://10.0.0.1", DOCKER_TLS_VERIFY="1")
    found = find_address("", env)
    assert (found.port, found.tls, found.verify) == (2376, True, True)
    assert found.certificates == home / ".docker"
    other = find_address("", {**env, "DOCKER_CERT_PATH": "/certs", "DOCKER_TLS_VERIFY": ""})
    assert (other.certificates, other.verify) == (Path("/certs"), False)


def test_the_named_context(home: Path) -> None:
    certificates = make_context(home, "far", "tcp://far:2376")
    certificates.mkdir(parents=True)
    found = find_address("", environment(home, DOCKER_CONTEXT="far"))
    assert (found.url, found.certificates, found.verify) == ("tcp://far:2376", certificates, True)


def test_the_current_context(home: Path) -> None:
    make_context(home, "far", "ssh://me@far:2222", skip_verify=True)
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": "far"}))
    found = find_address("", environment(home))
    assert (found.kind, found.host, found.port, found.local) == ("ssh", "far", 2222, False)


def test_the_default_context_is_the_system_socket(home: Path) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": "default"}))
    assert find_address("", environment(home)).path == str(home / "system.sock")


def test_a_rootless_socket_where_the_system_has_none(home: Path) -> None:
    (home / "run").mkdir()
    (home / "run" / "docker.sock").touch()
    assert find_address("", environment(home)).path == str(home / "run" / "docker.sock")
    (home / "system.sock").touch()
    assert find_address("", environment(home)).path == str(home / "system.sock")


def test_nothing_there_still_names_the_usual_socket(home: Path) -> None:
    found = find_address("", environment(home))
    assert (found.path, found.local) == (str(home / "system.sock"), True)


@pytest.mark.parametrize("text", ["{", "[]", '{"currentContext": 5}'])
def test_a_broken_configuration_is_no_context(home: Path, text: str) -> None:
    (home / ".docker").mkdir()
    (home / ".docker" / "config.json").write_text(text)
    assert find_address("", environment(home)).kind == "unix"


def test_an_unknown_context_is_said(home: Path) -> None:
    with pytest.raises(InvalidRequest, match="docker context ls"):
        find_address("", environment(home, DOCKER_CONTEXT="nowhere"))


@pytest.mark.parametrize(
    ("text", "url"), [("/run/d.sock", "unix:///run/d.sock"), ("far:2375", "tcp://far:2375")]
)
def test_short_forms(home: Path, text: str, url: str) -> None:
    assert find_address(text, environment(home)).url == url


def test_an_unknown_scheme_is_said(home: Path) -> None:
    with pytest.raises(InvalidRequest, match="npipe"):
        find_address("npipe:////./pipe/docker", environment(home))


@pytest.fixture
def trusting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certificates:
    """Certificates of an authority beside one that the whole system trusts."""
    (tmp_path / "system").mkdir()
    system = Certificates(tmp_path / "system")
    monkeypatch.setenv("SSL_CERT_FILE", str(system.client / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "nowhere"))
    assert ssl.create_default_context().cert_store_stats()["x509_ca"] == 1
    return Certificates(tmp_path)


def test_only_the_authority_of_the_folder_is_trusted(trusting: Certificates) -> None:
    folder = trusting.client
    context = EngineAddress("tcp://far:2376", folder).ssl_context()
    own = ssl.PEM_cert_to_DER_cert((folder / "ca.pem").read_text())
    assert context.get_ca_certs(binary_form=True) == [own]
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_without_the_folders_authority_nobody_is_trusted_in_its_place(
    trusting: Certificates,
) -> None:
    address = EngineAddress("tcp://far:2376", trusting.client)
    (trusting.client / "ca.pem").write_text("")
    with pytest.raises(OSError):
        address.ssl_context()
    (trusting.client / "ca.pem").unlink()
    with pytest.raises(OSError, match=r"ca\.pem"):
        address.ssl_context()
    # Whoever checks nothing needs none.
    unchecked = EngineAddress("tcp://far:2376", trusting.client, verify=False).ssl_context()
    assert unchecked.verify_mode == ssl.CERT_NONE


def test_a_context_without_an_authority_is_checked_by_the_systems(
    home: Path, trusting: Certificates
) -> None:
    folder = make_context(home, "far", "tcp://far:2376")
    folder.mkdir(parents=True)
    found = find_address("", environment(home, DOCKER_CONTEXT="far"))
    assert found.ssl_context().cert_store_stats()["x509_ca"] == 1
    (folder / "ca.pem").write_bytes((trusting.client / "ca.pem").read_bytes())
    found = find_address("", environment(home, DOCKER_CONTEXT="far"))
    own = ssl.PEM_cert_to_DER_cert((folder / "ca.pem").read_text())
    assert found.ssl_context().get_ca_certs(binary_form=True) == [own]
