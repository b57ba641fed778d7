"""The C extensions of the tests (tests/live/extension/*.c), built for an interpreter."""
from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

from .pythons import REPOSITORY, Interpreter


class CannotBuild(Exception):
    """The reason, for a skip."""


@functools.lru_cache(maxsize=None)
def _built(interpreter: Interpreter, name: str) -> Path | str:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return "no C compiler"
    if not (interpreter.include_dir / "Python.h").exists():
        return f"no Python.h of {interpreter.label}"
    folder = REPOSITORY / "build" / "extension" / interpreter.label
    folder.mkdir(parents=True, exist_ok=True)
    source = REPOSITORY / "tests/live/extension" / f"{name}.c"
    wanted = folder / f"{name}.so"
    # Another test may have it mapped: it is not replaced without need.
    if wanted.exists() and wanted.stat().st_mtime > source.stat().st_mtime:
        return folder
    includes = ["-I", str(interpreter.include_dir)]
    if interpreter.root is not None:
        # Debian's pyconfig.h includes one below the folder of the machine's headers.
        includes += ["-idirafter", interpreter.root + "/usr/include"]
    with tempfile.TemporaryDirectory(dir=folder) as work:
        made = Path(work) / f"{name}.so"
        done = subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-g", "-Wall", *includes, "-o", str(made),
                               str(source)],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"the extension does not build for {interpreter.label}: {done.stderr[-2000:]}"
        made.rename(wanted)
    return folder


def extension_path(interpreter: Interpreter, name: str = "seeded") -> Path:
    """The folder that holds the extension for this interpreter, to be put on sys.path."""
    built = _built(interpreter, name)
    if isinstance(built, str):
        raise CannotBuild(built)
    return built
