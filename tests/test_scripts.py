"""The scripts behind the two commands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from .engines import jupyter, scratch

ROOT = jupyter.ROOT
SCRIPTS = ROOT / "scripts"

APT = """\
#!/bin/sh
echo "$*" >>"$APT_CALLS"
case "$*" in
  *install*) cp "$POLICY_RC_D" "$APT_CALLS.policy"; exit ${APT_FAILS:-0} ;;
esac
"""


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An apt-get that only writes down its calls, on a machine that lacks every package."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, text in {
        "apt-get": APT,
        "dpkg-query": "#!/bin/sh\nexit 1\n",
        "sudo": '#!/bin/sh\n[ "$1" = -n ] && shift\nexec "$@"\n',
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("APT_CALLS", str(tmp_path / "calls"))
    monkeypatch.setenv("POLICY_RC_D", str(tmp_path / "policy-rc.d"))
    return tmp_path


def packages(*names: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SCRIPTS / "packages.sh", *names],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=30,
        check=False,
    )


def made_by_make() -> None:
    """Skip the test where the checkout was not set up by `make`: it would take minutes."""
    if not (ROOT / ".make" / "python").exists():
        pytest.skip("this checkout was not set up by make")


def test_packages_start_no_service_while_they_are_installed(apt: Path) -> None:
    done = packages("postgresql", "docker.io")

    assert done.returncode == 0, done.stderr
    update, install = (apt / "calls").read_text().splitlines()
    assert update.endswith("update")
    assert install.endswith("install --no-install-recommends postgresql docker.io") or (
        "install" in install and install.endswith("postgresql docker.io")
    )
    assert "exit 101" in (apt / "calls.policy").read_text()
    assert not (apt / "policy-rc.d").exists()


def test_policy_of_the_machine_stays(apt: Path) -> None:
    (apt / "policy-rc.d").write_text("#!/bin/sh\nexit 0\n")

    assert packages("postgresql").returncode == 0
    assert (apt / "policy-rc.d").read_text() == "#!/bin/sh\nexit 0\n"


def test_failed_installation_says_so_and_leaves_no_policy(
    apt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APT_FAILS", "100")

    done = packages("postgresql")

    assert done.returncode != 0
    assert "could not install postgresql" in done.stderr
    assert not (apt / "policy-rc.d").exists()


def test_every_script_is_valid_bash() -> None:
    for script in SCRIPTS.glob("*.sh"):
        subprocess.run(["bash", "-n", script], check=True)
        assert script.name == "lib.sh" or os.access(script, os.X_OK), script


def test_second_set_up_finds_nothing_to_do() -> None:
    made_by_make()

    done = subprocess.run(
        [SCRIPTS / "setup.sh", "run"], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stderr
    # It says what it does.
    assert done.stderr == ""


@pytest.mark.timeout(180)
def test_make_run_starts_jupyterlab_where_no_engine_answers(tmp_path: Path) -> None:
    made_by_make()
    port = scratch.free_port()
    with scratch.scratch_folder("run") as folder:
        environ = jupyter.environment(folder)
        environ["DOCKER_HOST"] = f"unix://{folder}/no-engine.sock"
        arguments = (
            f"--port={port} --no-browser --IdentityProvider.token=t --ServerApp.root_dir={tmp_path}"
        )
        log_file = folder / "log"
        with log_file.open("wb") as log:
            process = subprocess.Popen(
                ["make", "run", f"ARGS={arguments}"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            url = f"http://127.0.0.1:{port}/"
            scratch.wait_until(lambda: _answers(url, process, log_file), "JupyterLab", 90)
            headers = {"Authorization": "token t"}
            status = httpx.get(url + "api/v1/status", headers=headers, trust_env=False).json()
            assert httpx.get(url + "lab", headers=headers, trust_env=False).status_code == 200
        finally:
            scratch.stop(process)
        printed = log_file.read_text(errors="replace")
    assert status["status"] == "degraded"
    assert "docker" in [problem["service"] for problem in status["problems"]]
    assert f"http://127.0.0.1:{port}/lab" in printed
    for name in ("Docker", "GPU", "libvirt", "PostgreSQL"):
        assert name in printed


def _answers(url: str, process: subprocess.Popen[bytes], log: Path) -> bool:
    assert process.poll() is None, log.read_text(errors="replace")
    try:
        return httpx.get(url + "api", trust_env=False, timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def test_stop_ends_no_other_program_that_has_the_number(scratch_home: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as other:
        try:
            (scratch_home / "docker").mkdir(parents=True)
            (scratch_home / "docker" / "dockerd.pid").write_text(str(other.pid))
            done = subprocess.run(
                [sys.executable, SCRIPTS / "engine.py", "stop"],
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                capture_output=True,
                text=True,
                check=False,
            )
            assert "No engine" in done.stderr
            assert other.poll() is None
        finally:
            other.kill()
