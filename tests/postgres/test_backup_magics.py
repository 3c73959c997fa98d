"""``%backup`` in a real kernel: a table is dropped, and comes back."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator

import pytest

from ..engines.kernels import Kernel, errors, texts
from .conftest import Desk
from .test_magics import Notebook

pytestmark = pytest.mark.postgres

MAKE = """
import psycopg
with psycopg.connect() as connection:
    connection.execute("CREATE TABLE t AS SELECT generate_series(1, 5) AS n")
with psycopg.connect() as connection:
    good = connection.execute("SELECT clock_timestamp()").fetchone()[0].isoformat()
    connection.execute("DROP TABLE t")
"""
COUNT = """
with psycopg.connect() as connection:
    print(connection.execute("SELECT count(*) FROM t").fetchone()[0])
"""


@pytest.fixture(scope="module")
def notebook(desk: Desk) -> Iterator[Notebook]:
    client = desk.user("traveller")
    key = client.headers["X-API-Key"]
    kernel = Kernel({**desk.server.environ, "PIG_API_KEY": key})
    assert errors(kernel.run("%load_ext jupyter_ext")) == []
    yield Notebook(kernel, client, [])
    kernel.stop()
    client.close()


def test_a_dropped_table_comes_back(notebook: Notebook) -> None:
    assert "No backups yet" in notebook.text("%backup")
    notebook.text("%database create mine\n%database use mine")
    assert re.search(r"Took backup-\d{8}: full", notebook.text("%backup create"))
    time.sleep(1.1)
    notebook.text(MAKE)
    assert 'relation "t" does not exist' in str(errors(notebook.run(COUNT)))

    # What would happen is read before anything happens.
    asked = notebook.run("%backup restore --to {good}")
    assert "mine.before-" in texts(asked, "stderr")
    assert "add --yes" in str(errors(asked))
    dry = notebook.text("plan = %backup restore --to {good} --dry-run\nprint(plan['databases'])")
    assert "['mine']" in dry
    assert 'relation "t" does not exist' in str(errors(notebook.run(COUNT)))

    assert "mine is back at" in notebook.text("%backup restore --to {good} --yes")
    assert notebook.text(COUNT) == "5\n"


def test_what_goes_wrong_is_one_line(notebook: Notebook) -> None:
    assert "%backup list" in notebook.error("%backup verify nix")
    assert "administrator" in notebook.error("%backup restore --all --yes")
    assert "10m" in notebook.error("%backup restore --to teatime")
    assert "add --yes" in notebook.error("%backup delete nix")
    [backup] = json.loads(notebook.text("%backup list --json"))
    assert backup["databases"] == ["mine"]
    assert "administrator" in notebook.error(f"%backup delete --yes {backup['id']}")
