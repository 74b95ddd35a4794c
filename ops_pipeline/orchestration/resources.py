"""What assets and checks need from outside. It holds no secret: the environment is read at each use."""

import dagster as dg
from sqlalchemy import Engine

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Config
from ops_pipeline.contract.environment import Name, required_value
from ops_pipeline.store.engine import events_engine, ops_engine


class Deployment(dg.ConfigurableResource[None]):
    """The databases and settings of this deployment, as the environment names them."""

    def engine(self) -> Engine:
        """Return the engine of the ops database."""
        return ops_engine()

    def events_engine(self) -> Engine:
        """Return the engine of the database that holds the events."""
        return events_engine()

    def events_relation(self) -> str:
        """Return the name of the events relation."""
        return required_value(Name.OPS_EVENTS_RELATION)

    def settings(self) -> Config:
        """Return thresholds, windows, taxonomy and privacy settings."""
        return environment.config()
