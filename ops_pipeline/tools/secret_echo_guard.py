"""Look for secrets and identifiers in files before they are uploaded: where, never what."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tempfile import TemporaryDirectory

_EPILOG = """lines:
  secret_echo_guard_finding argument=<n> file=<n> line_number=<n> rule=<rule>     at most 100 of them
  secret_echo_guard status=ok files=<n> findings=0
  secret_echo_guard status=fail reason=secret_found files=<n> findings=<n>
  secret_echo_guard status=fail reason=<token> argument=<n> file=<n>              not everything could be looked at

argument counts the paths, from 1. file counts the files below a folder, hidden ones included, in the order of
`find FOLDER -type f | LC_ALL=C sort`; a path that is a file has file=1. line_number counts the lines of the file, or
of the one inside it where it is an archive.

What is looked for:
  - what Kingfisher knows: keys, tokens and passwords of some five hundred services, private keys
  - DSNs, e-mail addresses, phone numbers (+ and 8 to 15 digits), UUIDs, tracebacks, and what PostgreSQL and
    SQLAlchemy quote of rows and statements (rules ops_*)
  - the value of each environment variable whose name ends in DSN, URI, URL, URLS, KEY, PASSFILE, PASSWD, PASSWORD,
    SECRET or TOKEN, and of an address also its user, password and hosts: as it is, URL-encoded, as in JSON, in UTF-16
    and in Base64. Values of less than six characters, words such as localhost, and the addresses of GitHub itself are
    left out (rule environment_value)

It looks into zip and tar archives and into what gzip, bzip2 or xz compressed, up to eight deep and whatever their
names; other formats it takes as they are. Symbolic links below a folder are not followed: name what they lead to.
It unpacks into a private folder below TMPDIR, which it removes again, and uses no network.

exit codes:
  0  nothing was found
  1  something was found, or not everything could be looked at

example:
  ops-pipeline secret_echo_guard ops_daily.log artifacts/
"""

_MOST_LINES = 100


def _path(text: str) -> Path:
    # An empty path is a variable that is not set, and would be the current folder.
    if not text:
        raise ValueError
    return Path(text)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("paths", nargs="+", type=_path, metavar="PATH", help="a file, or a folder with all below it")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    from ops_pipeline.secret_guard.scan import Scan
    from ops_pipeline.secret_guard.values import secret_forms

    with _private_folder() as folder:
        scan = Scan(Path(folder), secret_forms())
        files = 0
        for argument, path in enumerate(arguments.paths, start=1):
            for file, below in enumerate(_files_below(path, argument), start=1):
                scan.add(below, argument, file)
                files += 1
        findings = scan.findings()
    for finding in findings[:_MOST_LINES]:
        output.write(Line(LineName.SECRET_ECHO_GUARD_FINDING, **finding._asdict()))
    if not findings:
        return output.finish(Line(LineName.SECRET_ECHO_GUARD, status=Label("ok"), files=files, findings=0))
    return output.finish(
        Line(
            LineName.SECRET_ECHO_GUARD,
            status=Label("fail"),
            reason=Reason.SECRET_FOUND,
            files=files,
            findings=len(findings),
        ),
        ExitCode.FAILED,
    )


def _private_folder() -> TemporaryDirectory[str]:
    from tempfile import TemporaryDirectory

    try:
        return TemporaryDirectory(prefix="ops_pipeline_", ignore_cleanup_errors=True)
    except OSError:
        pass
    raise OpsError(Reason.FILE_NOT_WRITTEN)


def _files_below(path: Path, argument: int) -> list[Path]:
    from ops_pipeline.contract.files import NotAFileError
    from ops_pipeline.secret_guard.scan import files_below

    try:
        return files_below(path)
    except FileNotFoundError:
        reason = Reason.FILE_MISSING
    except NotAFileError:
        reason = Reason.NOT_A_FILE
    except OSError:
        reason = Reason.FILE_UNREADABLE
    raise OpsError(reason, argument=argument)


COMMAND = Command(
    name="secret_echo_guard",
    line=LineName.SECRET_ECHO_GUARD,
    description="Look for secrets and identifiers in files before they are uploaded: where, never what.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    uses_libraries=False,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
