"""The widget against a real server and engine; its buttons are clicked as a browser does it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_ext.client import Client
from jupyter_ext.notebook import ContainersPanel

from ..engines.images import push_layers
from ..engines.jupyter import JupyterServer
from ..engines.registry import Registry
from ..engines.scratch import wait_until

pytestmark = pytest.mark.docker

FOREVER = "sleep 600"


@pytest.fixture
def client(running_server: JupyterServer) -> Iterator[Client]:
    token = running_server.home / "unused"
    with Client(running_server.url, running_server.key("panel"), token_file=token) as made:
        for left in made.containers.list():
            made.containers.delete(left.id, force=True)
        yield made


@pytest.fixture
def panel(client: Client) -> Iterator[Any]:
    made = ContainersPanel(client)
    yield made
    made.close()


def threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("jupyter_ext containers")]


def row(panel: Any, name: str) -> Any:
    found = [r for r in panel._rows.values() if r.thing["name"] == name]
    return found[0] if found else None


def appears(panel: Any, name: str, status: str) -> Any:
    wait_until(
        lambda: row(panel, name) is not None and row(panel, name).thing["status"] == status,
        f"{name} {status}",
    )
    return row(panel, name)


def buttons(row: Any) -> dict[str, Any]:
    return {
        (one.description or one.tooltip.split(" ")[0]): one
        for one in row._buttons.children
        if hasattr(one, "click")
    }


def fill(form: Any, **texts: str) -> None:
    for name, text in texts.items():
        form.fields[name].control.value = text


def test_a_container_lives_and_dies_by_buttons(panel: Any, client: Client) -> None:
    assert "No containers yet" in panel._list.children[0].value
    panel._toggle(panel._create)
    assert panel._create.shown
    fill(panel._create, image="busybox:latest", name="by-button", command=FOREVER, mem="32m")
    panel._create._send.click()
    made = appears(panel, "by-button", "running")
    wait_until(lambda: not panel._create.shown, "the form to close")
    assert "by-button" in made._text.value
    assert set(buttons(made)) == {"Stop", "Restart", "Logs", "Delete"}
    buttons(made)["Stop"].click()
    appears(panel, "by-button", "exited")
    wait_until(lambda: "Start" in buttons(made), "the button to start it")
    buttons(made)["Start"].click()
    appears(panel, "by-button", "running")
    wait_until(lambda: not buttons(made)["Delete"].disabled, "the buttons")
    buttons(made)["Delete"].click()
    assert set(buttons(made)) == {"Delete", "Keep"}
    buttons(made)["Keep"].click()
    assert client.containers.get("by-button").status == "running"
    buttons(made)["Delete"].click()
    buttons(made)["Delete"].click()
    wait_until(lambda: row(panel, "by-button") is None, "the row to go")
    wait_until(lambda: "No containers yet" in panel._list.children[0].value, "the empty state")


def test_what_others_do_is_seen_without_asking(panel: Any, client: Client) -> None:
    wait_until(lambda: panel._feed.state.engine.get("available") is True, "the feed")
    made = client.containers.create(name="elsewhere", image="busybox", command=FOREVER)
    appears(panel, "elsewhere", "running")
    client.containers.stop(made.id)
    appears(panel, "elsewhere", "exited")
    client.containers.delete(made.id)
    wait_until(lambda: row(panel, "elsewhere") is None, "the row to go")


def test_use_is_drawn(panel: Any, client: Client) -> None:
    client.containers.create(name="drawn", image="busybox", command=FOREVER)
    made = appears(panel, "drawn", "running")
    wait_until(lambda: "<polyline" in made._charts.value, "two samples")
    assert "CPU" in made._charts.value
    assert "Memory" in made._charts.value


def test_wrong_fields_are_told_beside_them(panel: Any) -> None:
    form = panel._create
    panel._toggle(form)
    fill(form, name="", image="", ports="x", mem="much")
    form._send.click()
    for name in ("name", "image", "ports", "mem"):
        assert form.fields[name]._problem.value, name
    # What only the server knows comes to the same places.
    fill(form, name="a b", image="busybox", ports="", mem="")
    form._send.click()
    wait_until(lambda: form.fields["name"]._problem.value, "the server's answer")
    assert form.fields["ports"]._problem.value == ""
    assert form.shown


def test_an_image_is_pulled_with_its_layers_shown(
    panel: Any, registry: Registry, client: Client
) -> None:
    name = push_layers(registry.address, "panel/pulled", sizes=(1 << 20,) * 2)
    drawn: list[str] = []
    panel._pull.said.observe(lambda change: drawn.append(change["new"]), "value")
    panel._toggle(panel._pull)
    fill(panel._pull, name=name)
    panel._pull._send.click()
    wait_until(lambda: not panel._pull.shown, "the pull")
    assert any("<progress" in html for html in drawn)
    tags = [tag for image in client.images.list() for tag in image.tags]
    assert name in tags
    wait_until(lambda: any(name in r._text.value for r in panel._images.values()), "its row")


def test_what_can_not_be_pulled_says_why(panel: Any) -> None:
    panel._toggle(panel._pull)
    fill(panel._pull, name="")
    panel._pull._send.click()
    assert panel._pull.fields["name"]._problem.value
    fill(panel._pull, name="127.0.0.1:1/nothing:latest")
    panel._pull._send.click()
    wait_until(lambda: panel._pull.said.value and not panel._pull._send.disabled, "the refusal")
    assert panel._pull.shown


def test_logs_follow_and_are_escaped(panel: Any, client: Client) -> None:
    script = "echo '<script>alert(1)</script>'; while true; do echo tick; sleep 0.1; done"
    client.containers.create(name="loud", image="busybox", command=["sh", "-c", script])
    made = appears(panel, "loud", "running")
    buttons(made)["Logs"].click()
    wait_until(lambda: panel._log_text.value.count("tick") > 5, "five ticks")
    assert "&lt;script&gt;" in panel._log_text.value
    assert "<script>" not in panel._log_text.value
    assert panel._log_box.layout.display == "flex"
    panel._leave_logs()
    assert panel._log_box.layout.display == "none"


def test_a_failing_action_is_told_in_the_row(panel: Any, client: Client) -> None:
    made = client.containers.create(name="gone", image="busybox", command=FOREVER)
    shown = appears(panel, "gone", "running")
    client.containers.delete(made.id, force=True)
    wait_until(lambda: row(panel, "gone") is None, "the row to go")
    panel._rows[made.id] = shown
    shown.act("stop")
    wait_until(lambda: "No container" in shown._said.value, "the message")


def test_it_is_a_table_where_widgets_do_not_render(panel: Any, client: Client) -> None:
    client.containers.create(name="shown", image="busybox", command=FOREVER)
    appears(panel, "shown", "running")
    bundle = panel._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in bundle
    assert "shown" in bundle["text/plain"]
    assert "<td" in bundle["text/html"]


def test_closing_ends_its_thread_and_connection(client: Client) -> None:
    before = len(threads())
    panel = ContainersPanel(client)
    assert len(threads()) == before + 1
    panel.close()
    assert len(threads()) == before
    panel.close()
    assert client.system.status().status  # the client is its owner's to close


def test_no_server_is_said_in_the_panel(make_server: Any) -> None:
    lonely = make_server()
    with Client(lonely.url, lonely.key("lonely")) as client:
        panel = ContainersPanel(client)
        wait_until(lambda: "Docker" in panel._banner.value, "the banner")
        bundle = panel._repr_mimebundle_()
        assert "Docker" in bundle["text/plain"]
        panel.close()
