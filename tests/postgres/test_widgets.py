"""`DatabasesPanel`, `TimeTravel` and the worked example, against a real cluster."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat as untyped_nbformat
import pytest
from nbclient import NotebookClient

from jupyter_ext.client import Client
from jupyter_ext.notebook import DatabasesPanel, TimeTravel

from ..engines.scratch import wait_until
from .conftest import Desk
from .test_databases import run

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

nbformat: Any = untyped_nbformat

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "03-postgres.ipynb"


@pytest.fixture(scope="module")
def client(desk: Desk) -> Iterator[Client]:
    desk.user("looker").close()
    with Client(desk.server.url, desk.server.user_key("looker"), timeout=60) as made:
        yield made


@pytest.fixture
def no_threads() -> Iterator[None]:
    """A panel that was closed leaves none."""
    yield
    wait_until(
        lambda: not [t for t in threading.enumerate() if t.name.startswith("jupyter_ext")],
        "the panels' threads to end",
    )


def execute(desk: Desk, notebook: Any) -> list[Any]:
    made = NotebookClient(
        notebook,
        timeout=90,
        kernel_name="python3",
        resources={"metadata": {"path": desk.server.folder}},
    )
    made.execute(env=desk.server.environ)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_the_worked_example(desk: Desk) -> None:
    cells = execute(desk, nbformat.read(NOTEBOOK, as_version=4))
    outputs = "\n".join(json.dumps(cell.outputs) for cell in cells)
    for said in (
        "Made notebook_example",
        "leads to notebook_example",
        "Took backup-",
        "as notebook_example.before-",
        "notebook_example is back at",
        "[(1, 0.71), (2, 0.84), (3, 0.97)]",
        "application/vnd.jupyter.widget-view+json",
        "Deleted notebook_example, notebook_example.before-",
    ):
        assert said in outputs, said
    assert "postgresql://" not in outputs
    left = [each["name"] for each in desk.admin.get("databases").json()["databases"]]
    assert not [name for name in left if name.startswith("notebook_example")]


@pytest.mark.usefixtures("no_threads")
def test_databases_come_and_go_by_buttons(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    for name in ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSFILE"):
        monkeypatch.setenv(name, "before")
    panel: Any = DatabasesPanel(client)
    assert "No databases yet" in panel._list.children[0].value
    form = panel._create
    form._send.click()
    assert "This is needed." in form.fields["name"]._problem.value
    form.fields["name"].control.value = "n" * 64
    form._send.click()
    wait_until(lambda: "64 bytes" in form.fields["name"]._problem.value, "what is wrong")
    form.fields["name"].control.value = "by-button"
    form._send.click()
    wait_until(lambda: "by-button" in panel._rows, "its row", 30)
    row = panel._rows["by-button"]
    assert "by-button" in panel.table()._repr_html_()

    row._open.click()
    assert "leads to by-button" in row._said.value
    assert "postgresql://" not in row._said.value
    client.databases.create("from elsewhere")
    wait_until(lambda: "from elsewhere" in panel._rows, "what others make")
    row._delete.click()
    question, sure, keep = row._buttons.children
    assert "Delete by-button?" in question.value
    keep.click()
    assert "by-button" in panel._rows
    row._delete.click()
    row._buttons.children[1].click()
    wait_until(lambda: "by-button" not in panel._rows, "its end")
    client.databases.delete("from elsewhere")
    panel.close()


@pytest.mark.usefixtures("no_threads")
def test_back_by_the_time_line(client: Client) -> None:
    url = client.databases.create("past").connection_url
    run(url, "CREATE TABLE log (n int)", "INSERT INTO log VALUES (1)")
    panel: Any = TimeTravel(client)
    assert "No backups yet" in panel._drawing.value
    assert panel._restore.layout.display == "none"
    panel._backup.click()
    wait_until(lambda: "Took backup-" in panel._said.value, "the backup", 60)
    wait_until(lambda: "<svg" in panel._drawing.value, "the time line")
    assert "full, " in panel._drawing.value
    assert panel._databases.value == ("past",)
    time.sleep(1.1)
    run(url, "INSERT INTO log VALUES (2)")
    time.sleep(1.1)
    moment = datetime.now(UTC).replace(microsecond=0)
    time.sleep(1.1)
    run(url, "DROP TABLE log")

    panel._moment.value = moment - timedelta(days=400)
    wait_until(lambda: "role=" in panel._plan.value and "alert" in panel._plan.value, "a refusal")
    assert panel._restore.disabled
    wait_until(lambda: panel._admin is False, "who looks")
    assert panel._whole.layout.display == "none"
    panel._slider.value = 0
    panel._slider.value = panel._slider.max
    assert abs((panel._moment.value - datetime.now(UTC)).total_seconds()) < 5
    panel._moment.value = moment
    wait_until(lambda: not panel._restore.disabled, "what would happen")
    assert "past.before-" in panel._plan.value
    panel._databases.value = ()
    assert panel._restore.disabled
    panel._databases.value = ("past",)
    wait_until(lambda: not panel._restore.disabled, "what would happen")
    panel._restore.click()
    wait_until(lambda: "past is back at" in panel._said.value, "the restore", 60)
    assert run(url, "SELECT n FROM log ORDER BY n") == [(1,), (2,)]
    assert "backup-" in repr(panel.table())
    panel.close()


@pytest.mark.usefixtures("no_threads")
def test_an_administrator_takes_everybody_back(desk: Desk, client: Client) -> None:
    url = client.databases.create("everybody").connection_url
    run(url, "CREATE TABLE log (n int)", "INSERT INTO log VALUES (1)")
    with Client(desk.server.url, desk.server.key(), timeout=60) as mine:
        mine.backups.create()
        time.sleep(1.1)
        moment = datetime.now(UTC).replace(microsecond=0)
        time.sleep(1.1)
        run(url, "DROP TABLE log")
        panel: Any = TimeTravel(mine)
        wait_until(lambda: panel._whole.layout.display is None, "the choice of all")
        panel._moment.value = moment
        panel._whole.value = True
        assert panel._databases.disabled
        wait_until(lambda: panel._agreement.layout.display is None, "what would happen")
        assert "the whole cluster; all sessions in there end" in panel._plan.value
        assert "in the folder" in panel._plan.value
        assert "Everybody&#x27;s databases go back" in panel._agreement.children[0].value

        # Nothing but the word lets it begin, and for just what was read.
        panel._word.value = "yes"
        assert panel._restore.disabled
        panel._go_back()
        panel._word.value = " Restore "
        assert not panel._restore.disabled
        panel._whole.value = False
        assert panel._restore.disabled
        assert panel._agreement.layout.display == "none"
        panel._whole.value = True
        assert panel._restore.disabled
        wait_until(lambda: not panel._restore.disabled, "what would happen")
        panel._restore.click()
        assert panel._word.value == ""
        said = "The whole cluster is back at"
        wait_until(lambda: said in panel._said.value, "the restore", 90)
        assert run(url, "SELECT n FROM log") == [(1,)]
        wait_until(lambda: len(panel._timeline.options) == 2, "the timeline that it began")
        assert panel._timeline.value == max(panel._timeline.options)
        assert panel._restore.disabled
        panel.close()
