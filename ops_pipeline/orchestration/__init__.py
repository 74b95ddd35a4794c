"""Dagster: partitions, assets, checks, jobs, schedules; thin over the layers below.

The only layer that imports it.
"""
