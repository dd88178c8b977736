"""Records the picture of the terminal in the README: ``pip install pyte && python .readme/record.py``.

The command runs in a terminal of 80 columns; the picture has its screen halfway and at its end.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import sys
import tempfile
import termios
import time
from pathlib import Path

import pyte
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COMMAND = ["bulkseed", "apply", "manifests/quickstart.jsonl", "--endpoint", "embedded"]
COLUMNS, LINES = 80, 16
HALFWAY = 12.0  # seconds; the run takes 30


def main() -> None:
    """Run the command in a folder of its own and write the picture."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    started, halfway = time.monotonic(), []
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(_folder())
        os.environ.update(TERM="xterm-256color", COLUMNS=str(COLUMNS))
        os.execvp(str(Path(sys.executable).with_name(COMMAND[0])), COMMAND)  # noqa: S606  # no shell is wanted
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    while True:
        try:
            output = os.read(terminal, 65536)
        except OSError:  # the command has ended
            break
        stream.feed(output)
        if not halfway and time.monotonic() - started > HALFWAY:
            halfway = _lines(screen)
    os.waitpid(pid, 0)
    prompt = Text.assemble(("$ ", "bold green"), " ".join(COMMAND))
    console = Console(record=True, width=COLUMNS, file=open(os.devnull, "w"), force_terminal=True)  # noqa: SIM115, PTH123  # closed by the end of the process
    for line in (prompt, *halfway, Text("…", style="dim"), *_lines(screen)):
        console.print(line, no_wrap=True)
    # Rich names a web font; the picture must not ask a network for it.
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="bulkseed"), flags=re.DOTALL)
    (HERE / "apply.svg").write_text(picture, encoding="utf-8")


def _folder() -> str:
    folder = tempfile.mkdtemp()
    (Path(folder) / "manifests").symlink_to(HERE.parent / "manifests")
    return folder


def _lines(screen: pyte.Screen) -> list[Text]:
    lines = []
    for row in range(LINES):
        line = Text()
        for column in range(COLUMNS):
            cell = screen.buffer[row][column]
            colour = cell.fg if cell.fg != "default" else None
            if colour and len(colour) == 6 and all(c in "0123456789abcdef" for c in colour):
                colour = f"#{colour}"
            style = " ".join(filter(None, ["bold" if cell.bold else "", colour or ""]))
            line.append(cell.data, style=style or None)
        line.rstrip()
        if line.plain:
            lines.append(line)
    return lines


if __name__ == "__main__":
    main()
