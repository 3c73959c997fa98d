"""An image with Python and Tornado, made of this machine's own, that serves `foreign.py`."""

from __future__ import annotations

import hashlib
import io
import os
import re
import subprocess
import sys
import sysconfig
import tarfile
from pathlib import Path

import tornado

from .dockerd import Dockerd
from .images import cache_folder

SERVER = Path(__file__).with_name("foreign.py")
LEFT_OUT = re.compile(
    r"(^|/)(site-packages|dist-packages|test|tests|idlelib|lib2to3|ensurepip|tkinter|turtledemo"
    r"|config-[^/]*|__pycache__)(/|$)"
)


def load_foreign_server(engine: Dockerd, tag: str) -> str:
    """Import it into an engine and return the image's id."""
    program = Path(sys.executable).resolve()
    changes = (f'CMD ["{program}", "/server.py"]', f"ENV PYTHONHOME={sys.base_prefix}")
    words = [word for change in changes for word in ("--change", change)]
    return engine.docker("import", *words, "-", tag, stdin=_tar(program).read_bytes())


def _tar(program: Path) -> Path:
    marks = f"{sys.version} {sys.base_prefix} {tornado.version}".encode() + SERVER.read_bytes()
    path = cache_folder() / f"foreign-{hashlib.sha256(marks).hexdigest()[:16]}.tar"
    if path.exists():
        return path
    stdlib = Path(sysconfig.get_paths()["stdlib"])
    modules = sorted((stdlib / "lib-dynload").glob("*.so"))
    building = path.with_suffix(f".{os.getpid()}")
    with tarfile.open(building, "w") as tar:
        for folder in ("tmp", "proc", "sys", "dev", "etc"):
            info = tarfile.TarInfo(folder)
            info.type, info.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(info)
        tar.add(stdlib, filter=_wanted)
        tar.add(Path(tornado.__file__).parent, str(stdlib / "tornado"), filter=_wanted)
        for file in {program, *_libraries([program, *modules])}:
            tar.add(file.resolve(), str(file))
        server = SERVER.read_bytes()
        info = tarfile.TarInfo("server.py")
        info.size = len(server)
        tar.addfile(info, io.BytesIO(server))
    building.replace(path)
    return path


def _wanted(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
    below = info.name.partition("/lib/python")[2]
    return None if LEFT_OUT.search(below or info.name.rpartition("/tornado")[2]) else info


def _libraries(files: list[Path]) -> set[Path]:
    """Every shared library that files need, and the loader, by the names that they ask for."""
    said = subprocess.run(["ldd", *map(str, files)], capture_output=True, text=True, check=False)
    found = re.findall(r"(?:=> |^\s+)(/\S+) \(", said.stdout, re.MULTILINE)
    return {Path(name) for name in found}
