"""What a server says at its start of configuration that can't be meant so."""

from __future__ import annotations

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
