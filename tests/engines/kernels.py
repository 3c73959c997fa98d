"""Kernels of their own processes, and what their cells put out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from jupyter_client.manager import start_new_kernel


class Kernel:
    """A kernel that finds the server by itself, and what its cells put out."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.manager, self.client = start_new_kernel(kernel_name="python3", env=environ)

    def begin(self, code: str) -> str:
        ident: str = self.client.execute(code)
        return ident

    def messages(self, ident: str, seconds: float = 60) -> Iterator[dict[str, Any]]:
        """Yield what a cell puts out, until it has ended."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            message = self.client.get_iopub_msg(timeout=seconds)
            if message["parent_header"].get("msg_id") != ident:
                continue
            if message["content"].get("execution_state") == "idle":
                return
            yield message
        raise TimeoutError("the cell has not ended")

    def run(self, code: str) -> list[dict[str, Any]]:
        return list(self.messages(self.begin(code)))

    def stop(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.context.destroy(linger=0)


def texts(messages: list[dict[str, Any]], stream: str = "stdout") -> str:
    return "".join(
        m["content"]["text"]
        for m in messages
        if m["msg_type"] == "stream" and m["content"]["name"] == stream
    )


def errors(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [m["content"] for m in messages if m["msg_type"] == "error"]
