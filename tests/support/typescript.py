"""Programs in TypeScript: compiled by the strict compiler, in CI only, where its packages are installed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.programs import program

PACKAGES = ("@alicloud/pop-core@1", "typescript@5", "@types/node@20")


def compile_all(programs: Sequence[str], folder: Path) -> list[list[str]]:
    """Compile programs; return the command that runs each."""
    node, npm = program("node", "nodejs"), program("npm", "npm")
    if os.environ.get("CI") != "true":
        pytest.skip("clients of others are installed from their registries in CI only")
    install = [npm, "install", "--silent", "--prefix", str(folder), *PACKAGES]
    subprocess.run(install, cwd=folder, check=True, stdout=subprocess.DEVNULL)
    names = [f"call{number}" for number in range(len(programs))]
    for name, code in zip(names, programs, strict=True):
        (folder / f"{name}.ts").write_text(code)
    compiler = [node, "node_modules/typescript/lib/tsc.js", "--strict", "--esModuleInterop"]
    compiler += ["--module", "commonjs", "--target", "es2020", "--types", "node"]
    compiler += [f"{name}.ts" for name in names]
    done = subprocess.run(compiler, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return [[node, f"{name}.js"] for name in names]
