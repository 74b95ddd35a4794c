"""Does the alarm ring? Set it off on purpose, and say what arrived."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.tokens import Label

_EPILOG = """lines:
  selftest step=<step> status=ok       one for each step that was seen to work: database, verdict, alert, heartbeat
  selftest status=ok steps=4
  selftest step=send status=ok addresses=<n>    each has accepted a test alarm and the end of it
  selftest status=fail reason=<token>

Without --send it takes a throw-away database and a receiver on this machine, and touches nothing of yours: one
message is held because an identity leaked, the job ops_daily judges the day, the sensors tell the receiver. With
--send it raises a test alarm at the addresses of OPS_ALERT_URLS and OPS_PAGE_URLS, ends it again, and pings nobody.

exit codes:
  0  it works
  1  it does not

examples:
  ops-pipeline selftest
  ops-pipeline selftest --send
"""

_OK = Label("ok")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--send", action="store_true", help="raise a test alarm at your addresses, and end it")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.send:
        return output.finish(Line(LineName.SELFTEST, step=Label("send"), status=_OK, addresses=_send()))
    from ops_pipeline.orchestration.selftest import selftest

    steps = 0
    # Whoever runs the server may not enter a private folder.
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        for step in selftest(Path(folder)):
            output.write(Line(LineName.SELFTEST, step=step, status=_OK))
            steps += 1
    return output.finish(Line(LineName.SELFTEST, status=_OK, steps=steps), ExitCode.OK)


def _send() -> int:
    from ops_pipeline.contract.environment import config
    from ops_pipeline.operations.alerts import send_test

    return send_test(config())


COMMAND = Command(
    name="selftest",
    line=LineName.SELFTEST,
    description="Does the alarm ring? Set it off on purpose, and say what arrived.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
