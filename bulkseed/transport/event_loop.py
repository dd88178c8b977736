"""Which event loop carries connections: uvloop where the `fast` extra is installed, else asyncio's own."""

from __future__ import annotations

import os
from importlib.util import find_spec


def loop_options() -> dict[str, bool]:
    """Return the options with which `anyio` starts the loop; `BULKSEED_NO_UVLOOP` is asyncio's own."""
    return {"use_uvloop": find_spec("uvloop") is not None and not os.environ.get("BULKSEED_NO_UVLOOP")}
