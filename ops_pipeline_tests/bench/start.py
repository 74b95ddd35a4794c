"""How long the tools that need no database take, whole process, as a ratio to `python -c pass`.

Each is measured by pyperf in the same run as the empty process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyperf

DSN = "postgresql://ops:secret@localhost/ops"
SCRIPT = Path(sys.executable).with_name("ops-pipeline")
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "prod_config_contract": [str(SCRIPT), "prod_config_contract", "--mode=prod_required"],
    "prod_config_contract (-m)": [sys.executable, "-m", "ops_pipeline.tools.prod_config_contract"],
    "ops_ci_normalize": [
        str(SCRIPT),
        "ops_ci_normalize",
        "--exit-code=0",
        f"--log-file={__file__}",
        "--event=schedule",
    ],
    "ops-pipeline --help": [str(SCRIPT), "--help"],
}


def median_seconds(command: list[str], result: Path) -> float:
    """Return the median time of `command` as a whole process."""
    options = ["--quiet", "--processes=5", "--values=5", "--inherit-environ=OPS_POSTGRES_DSN,DAGSTER_POSTGRES_DSN"]
    subprocess.run(
        [sys.executable, "-m", "pyperf", "command", *options, "--output", str(result), "--", *command],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "OPS_POSTGRES_DSN": DSN, "DAGSTER_POSTGRES_DSN": DSN},
    )
    return float(pyperf.Benchmark.load(str(result)).median())


def main() -> None:
    """Print one line for each command."""
    with tempfile.TemporaryDirectory() as scratch:
        found = {
            name: median_seconds(command, Path(scratch) / f"{number}.json")
            for number, (name, command) in enumerate(COMMANDS.items())
        }
    lower_limit = found["python -c pass"]
    for name, seconds in found.items():
        sys.stdout.write(f"{name:<28}{1000 * seconds:7.1f} ms{seconds / lower_limit:7.2f} x\n")


if __name__ == "__main__":
    main()
