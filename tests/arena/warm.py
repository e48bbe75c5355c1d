"""A process that has imported everything: a command line comes in, a child that runs it at once goes out, so that a
test which kills a hundred of them does not wait for a hundred imports. Each is a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import NamedTuple

PARENT = """
import json, os, sys, traceback
import tradearena.agents.llm, tradearena.analysis.cells, tradearena.arena.experiment, tradearena.cli.report
import tradearena.store.recovery
from tradearena.cli import main
if sys.argv[1] == "litellm":
    from tradearena.agents import gateway
    gateway.load()
    import openai.resources  # which a first request would load
print("ready", flush=True)
for line in sys.stdin:
    before, arguments, out = json.loads(line)
    child = os.fork()
    if child:
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
        continue
    for number, name in ((1, f"{out}.out"), (2, f"{out}.err")):
        os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv, code = ["tradearena", *arguments], 0
    try:
        exec(before)
        main()
    except SystemExit as end:
        code = end.code or 0
    except BaseException:
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
"""


class Ended(NamedTuple):
    """How a child ended: its exit code, or minus the signal that killed it."""

    code: int
    out: str
    err: str


class Warm:
    """The parent. Use as a context manager; one child at a time."""

    def __init__(self, folder, *, litellm=False, **variables):
        self.folder, self.child = folder, 0
        paths = os.pathsep.join([str(folder), *sys.path])
        self.process = subprocess.Popen(
            [sys.executable, "-c", PARENT, "litellm" if litellm else ""], cwd=folder, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": paths, **variables},
        )  # fmt: skip

    def __enter__(self):
        assert self.process.stdout.readline() == "ready\n"
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def start(self, *arguments, before=""):
        """Begin a command; `before` is run ahead of it, in the child."""
        self.process.stdin.write(json.dumps([before, [str(each) for each in arguments], "child"]) + "\n")
        self.process.stdin.flush()
        self.child = int(self.process.stdout.readline())

    def kill(self):
        """With SIGKILL, wherever it is, if it has not ended."""
        with suppress(ProcessLookupError):
            os.kill(self.child, signal.SIGKILL)

    def end(self):
        """Wait for the child."""
        status = int(self.process.stdout.readline())
        said = [(self.folder / f"child.{name}").read_text() for name in ("out", "err")]
        return Ended(os.waitstatus_to_exitcode(status), *said)

    def run(self, *arguments, before=""):
        """A whole command."""
        self.start(*arguments, before=before)
        return self.end()
