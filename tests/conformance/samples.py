"""The sample programs of a document, word for word, and the replies that they print.

Only host, port and key are changed. The programs run as a reader would run them; nothing stands
between them and the server.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..engines import require

SEEDS = Path(__file__).parent / "seeds"

# console.log cuts what is nested deeper than two levels; this makes it print all, each on one line.
UNCUT = """\
Object.assign(require('util').inspect.defaultOptions, {
  depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Infinity, compact: true
});
"""


@dataclass(frozen=True)
class Sample:
    """One program of a document.

    Attributes
    ----------
    language
        As its fenced block names it: python, javascript or bash.
    """

    language: str
    text: str

    def pointed_at(self, address: str, key: str) -> str:
        """Return its text with host, port and key changed and nothing else."""
        changed = self.text.replace("localhost:8000", address).replace("your-api-key", key)
        assert changed.count(address) and changed.count(key)
        return changed

    def replies(self, address: str, key: str, folder: Path) -> list[Any]:
        """Run it against the server at `address` and return what it printed, one item a reply."""
        return Sample(self.language, self.pointed_at(address, key)).printed(folder)

    def printed(self, folder: Path) -> list[Any]:
        """Run it as it is and return what it printed, one item a reply."""
        command, suffix, parse = _HOW[self.language]
        file = folder / f"sample{suffix}"
        file.write_text(self.text, encoding="utf-8")
        done = subprocess.run(
            [*command(folder), str(file)], capture_output=True, text=True, timeout=90, check=False
        )
        assert done.returncode == 0, f"the {self.language} sample failed:\n{done.stderr}"
        return parse(done.stdout)


def samples(seed: str) -> list[Sample]:
    """Return the programs of the document `seed`, in its order."""
    text = (SEEDS / f"{seed}.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|javascript|bash)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [Sample(language, block) for language, block in blocks]


def http_sample(seed: str, first_line: str) -> tuple[str, str, bytes]:
    """Method, path and body of a request that a document writes out."""
    text = (SEEDS / f"{seed}.txt").read_text(encoding="utf-8")
    blocks = re.findall(r"^```http\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (block,) = [each for each in blocks if each.startswith(first_line + "\n")]
    head, _, body = block.partition("\n\n")
    lines = head.splitlines()
    assert lines[1:] in ([], ["Content-Type: application/json"])
    method, path = lines[0].split()
    return method, path, body.encode()


def _python(folder: Path) -> list[str]:
    return [sys.executable]


def _node(folder: Path) -> list[str]:
    node = require.program("node", "node")
    preload = folder / "uncut.cjs"
    preload.write_text(UNCUT)
    return [node, "--require", str(preload)]


def _bash(folder: Path) -> list[str]:
    require.program("docker", "curl")
    return ["bash", "-eu"]


def _from_python(printed: str) -> list[Any]:
    return [ast.literal_eval(line) for line in printed.splitlines()]


def _from_node(printed: str) -> list[Any]:
    as_json = "console.log(JSON.stringify(eval('(' + process.argv[1] + ')')))"
    node = require.program("node", "node")
    return [
        json.loads(
            subprocess.run(
                [node, "-e", as_json, line], capture_output=True, text=True, check=True, timeout=30
            ).stdout
        )
        for line in printed.splitlines()
    ]


def _from_curl(printed: str) -> list[Any]:
    replies, decoder, rest = [], json.JSONDecoder(), printed.strip()
    while rest:
        reply, end = decoder.raw_decode(rest)
        replies.append(reply)
        rest = rest[end:].strip()
    return replies


_How = tuple[Callable[[Path], list[str]], str, Callable[[str], list[Any]]]
_HOW: dict[str, _How] = {
    "python": (_python, ".py", _from_python),
    "javascript": (_node, ".mjs", _from_node),
    "bash": (_bash, ".sh", _from_curl),
}
