"""Dagster: partitions, assets, checks, jobs, schedules. The only layer that imports it; thin over those below."""
