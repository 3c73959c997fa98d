"""What a server says at its start of configuration that can't be meant so."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from .engines import jupyter


@pytest.mark.parametrize(
    ("trait", "value", "said"),
    [
        ("rate_limits", {"piglt": {"amount": 1}}, "nothing is called 'piglt'"),
        ("rate_limits", {"piglet": {"amount": "many"}}, "amount of piglet can't be 'many'"),
        ("rate_limits", {"piglet": 100}, "piglet can't be 100"),
        ("rate_limit_storage", "memcached://127.0.0.1", "neither memory:// nor redis://"),
    ],
)
def test_a_trait_that_can_not_be_meant_so_is_named(trait: str, value: object, said: str) -> None:
    with jupyter.jupyter_server(
        # Waits for Jupyter alone: of ours nothing is served.
        extension=False,
        more_extensions=("jupyter_ext",),
        config={"JupyterExt": {trait: value}},
    ) as server:
        (line,) = [line for line in server.log.splitlines() if "error linking extension" in line]
        assert f"JupyterExt.{trait}: " in line
        assert said in line


def test_the_products_own_file_fills_the_traits_and_jupyters_counts_more(tmp_path: Path) -> None:
    (tmp_path / "piglet.yml").write_text(
        "system:\n  admin_username: ann\n  admin_password: of-the-file\n  password_lenght: 9\n"
    )
    with jupyter.jupyter_server(
        home=tmp_path, config={"JupyterExt": {"admin_password": "of-jupyter"}}
    ) as server:
        assert "piglet.yml: system.password_lenght means nothing" in server.log
        answers = {
            password: httpx.post(
                f"{server.url}api/v1/auth/login", json={"username": "ann", "password": password}
            ).status_code
            for password in ("of-the-file", "of-jupyter")
        }
    assert answers == {"of-the-file": 401, "of-jupyter": 200}


def test_a_value_of_the_file_that_can_not_be_meant_so_is_named(tmp_path: Path) -> None:
    (tmp_path / "piglet.yml").write_text("system:\n  registration: often\n")
    with jupyter.jupyter_server(
        extension=False, more_extensions=("jupyter_ext",), home=tmp_path
    ) as server:
        (line,) = [line for line in server.log.splitlines() if "error linking extension" in line]
        assert "registration" in line
        assert "often" in line
