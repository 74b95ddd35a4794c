"""Daily, privacy-first health of a message-delivery service, orchestrated by Dagster."""
