"""The code that makes a call, in other languages: what an SDK's documentation would show for it.

No sample holds a secret: the access key and each secret parameter come from environment variables, and a
sample stops before anything is sent when one of them is not set.
"""

from __future__ import annotations

from collections.abc import Callable

from bulkseed.wire.samples import generic, python, shell
from bulkseed.wire.samples.sketch import Sketch

SAMPLES: dict[str, Callable[[Sketch], str]] = {
    "curl": shell.curl,
    "Python": python.sync,
    "Python, asyncio": python.asynchronous,
    "TypeScript": generic.typescript,
    "Go": generic.go,
    "Java": generic.java,
    "PHP": generic.php,
    "C#": generic.csharp,
    "manifest line": shell.manifest_line,
}
"""Name → the sample. curl, Python, TypeScript and Go are run in the tests; Java, PHP and C# are not."""
