"""Dagster: partitions, assets, checks, jobs, schedules. The only room that imports it; thin over the rooms below."""
