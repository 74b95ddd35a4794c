"""Kill tools at random moments: `python -m ops_pipeline_tests.faults.kills SEED KILLS COMMANDS.json`.

Each is forked from this process, which has imported all that they need and connected nowhere: what is killed is a
tool at its work, not an interpreter that starts. Prints how many were killed and how many came to their end first.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import duckdb  # noqa: F401 - the children need not import it

from ops_pipeline import definitions  # noqa: F401
from ops_pipeline.cli.main import main
from ops_pipeline.report import report_page  # noqa: F401

_LONGEST_SECONDS = 0.7


def _forked(command: list[str]) -> int:
    pid = os.fork()
    if pid:
        return pid
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os._exit(main(command))


def kill_some(seed: int, kills: int, commands: list[list[str]]) -> tuple[int, int]:
    """Start the commands by turns, kill each after a random time; return how many were killed and how many not."""
    chance = random.Random(seed)  # noqa: S311 - the same moments each time
    killed = ended = 0
    while killed < kills:
        pid = _forked(commands[(killed + ended) % len(commands)])
        time.sleep(chance.uniform(0.0, _LONGEST_SECONDS))
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if os.WIFSIGNALED(status):
            killed += 1
        else:
            ended += 1
    return killed, ended


if __name__ == "__main__":
    seed, kills, path = sys.argv[1:]
    print(*kill_some(int(seed), int(kills), json.loads(Path(path).read_text())))  # noqa: T201 - it is a program
