"""The picture in README.md: runs `tradearena run` in an empty folder, and draws what it printed as SVG.

    python docs/examples/picture.py        rewrites docs/images/run.svg

The folder's own path is cut from the file name; nothing else is touched. No font is fetched when the picture is shown.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

COLUMNS = 92
PICTURE = Path(__file__).resolve().parents[1] / "images" / "run.svg"
RUN = [sys.executable, "-c", "from tradearena.cli import main; main()", "run"]


def printed() -> str:
    """What the command prints on a terminal, styles included."""
    with TemporaryDirectory() as folder:
        terminal = {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS), "TERM": "xterm-256color"}
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **terminal}
        done = subprocess.run(RUN, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.replace(f"{Path(folder).resolve()}{os.sep}", "")


def draw(text: str) -> str:
    """The text in a terminal window."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print("[bold green]$[/] [bold]tradearena run[/]")
    for line in text.rstrip().splitlines():
        console.print(Text.from_ansi(line.rstrip()), soft_wrap=True)
    drawn = console.export_svg(title="tradearena", unique_id="tradearena-run")
    offline = re.sub(r"@font-face \{.*?\}\s*", "", drawn, flags=re.DOTALL)
    return offline.replace("Fira Code", "ui-monospace, SFMono-Regular, Menlo, Consolas")


if __name__ == "__main__":
    PICTURE.write_text(draw(printed()), encoding="utf-8")
    print(PICTURE)
