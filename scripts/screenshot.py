"""Take docs/images/panel.png: JupyterLab with the panel, on an engine of its own.

The images are all busybox under names that readers know, since nothing is pulled for it.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import Page, sync_playwright  # noqa: E402

from tests.engines import images, require, scratch  # noqa: E402
from tests.engines.dockerd import Dockerd  # noqa: E402
from tests.engines.jupyter import JupyterServer, jupyter_server  # noqa: E402

FILE = ROOT / "docs" / "images" / "panel.png"
SECONDS = 620
"""That the lines of CPU and memory, which show ten minutes, are let grow."""

SERVES = (
    "mkdir /www; echo ok >/www/index.html; httpd -p 80 -h /www; n=0; "
    "while :; do n=$((n+1)); wget -qO /dev/null http://127.0.0.1/; "
    "echo $(date +%T) GET /index.html 200; "
    "[ $((n % 100)) -lt 50 ] && sleep 0.3 || sleep 1.5; done"
)
BUSY = (
    "a=; n=0; while :; do n=$((n+1)); i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; "
    "[ $((n % 40)) = 0 ] && a= || a=$a$(head -c 99999 /dev/zero | tr '\\0' x); sleep 2; done"
)
TRAINS = (
    "for n in 1 2 3 4 5 6; do echo epoch $n: loss 0.$((64 / n)) accuracy 0.$((94 + n)); done; "
    "echo saved model.pt"
)

CONTAINERS = [
    ("train", "pytorch/pytorch:2.9", TRAINS, None),
    ("cache", "redis:7", BUSY, 6379),
    ("web", "nginx:latest", SERVES, 80),
]


def main() -> None:
    """Set the scene and take the picture."""
    with Dockerd() as docker:
        for number, (_, image, _, _) in enumerate(CONTAINERS):
            images.load_busybox(docker, image, changes=(f"LABEL number={number}", "ENV PATH=/bin"))
        with jupyter_server(docker_host=docker.url, lab=True) as server:
            make_containers(server)
            write_notebook(server.folder / "demo.ipynb")
            take(server)


def make_containers(server: JupyterServer) -> None:
    """Make what the picture shows."""
    with server.client() as client:
        for name, image, script, port in CONTAINERS:
            body = {"name": name, "image": image, "command": ["sh", "-c", script], "mem": 256}
            if port:
                body["ports"] = {f"{port}/tcp": scratch.free_port()}
            client.post("/containers", json=body).raise_for_status()


def write_notebook(file: Path) -> None:
    """Write the notebook that stands beside the panel."""
    cells = [
        "%load_ext jupyter_ext",
        "%container list",
        '%%container web\necho "inside $(hostname)"; ls -l /www; free -m | head -2',
        "%container logs train",
    ]
    notebook = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3 (ipykernel)"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "metadata": {},
                "execution_count": None,
                "outputs": [],
                "source": text,
            }
            for number, text in enumerate(cells)
        ],
    }
    file.write_text(json.dumps(notebook))


def take(server: JupyterServer) -> None:
    """Open the notebook and the logs beside the panel, wait, and take the picture."""
    program = require.program("browser", "chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=False)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, device_scale_factor=2)
        page.goto(f"{server.url}lab/tree/demo.ipynb?token={server.token}&reset")
        page.locator("#jupyterlab-splash").wait_for(state="detached")
        page.locator('.jp-SideBar [data-id="jupyter-ext-compute"]').click()
        widen(page)
        run_all(page)
        page.get_by_role("button", name="Logs of web").click()
        below(page, "web – logs")
        # JupyterLab's question about news is not part of the picture.
        page.get_by_role("button", name="No", exact=True).click()
        time.sleep(SECONDS)
        FILE.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=FILE)
        browser.close()


def run_all(page: Page) -> None:
    """Run the notebook's cells."""
    page.locator("#jp-main-statusbar").get_by_text("Python 3 (ipykernel) | Idle").wait_for()
    page.locator(".jp-Notebook .cm-content").first.click()
    for _ in range(4):
        page.keyboard.press("Shift+Enter")
        page.wait_for_timeout(1500)


def below(page: Page, label: str) -> None:
    """Drag a tab to the lower part of the main area."""
    page.locator(".lm-DockPanel-tabBar .lm-TabBar-tab").filter(has_text=label).hover()
    page.mouse.down()
    for y in (300, 500, 700, 760, 765):
        page.mouse.move(800, y, steps=5)
    page.mouse.up()


def widen(page: Page) -> None:
    """Drag the panel's edge."""
    box = page.locator("#jupyter-ext-compute").bounding_box()
    if box is not None:
        edge = box["x"] + box["width"] + 1
        page.mouse.move(edge, 400)
        page.mouse.down()
        page.mouse.move(370, 400, steps=5)
        page.mouse.up()


if __name__ == "__main__":
    main()
