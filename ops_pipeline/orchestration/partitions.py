"""The partitions of every asset and check: UTC days."""

import dagster as dg

from ops_pipeline.contract.environment import first_day

utc_days = dg.DailyPartitionsDefinition(start_date=first_day().isoformat(), timezone="UTC")
