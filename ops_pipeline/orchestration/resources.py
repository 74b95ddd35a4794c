"""What assets and checks need from outside. It holds no secret: the environment is read at each use."""

from datetime import date

import dagster as dg
from pydantic import PrivateAttr
from sqlalchemy import Engine

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Config
from ops_pipeline.contract.environment import Name, first_kept_day, required_value
from ops_pipeline.operations.publish import EventsSource, Published, count_and_publish, publish
from ops_pipeline.store.engine import events_engine, ops_engine


class Deployment(dg.ConfigurableResource[None]):
    """The databases and settings of this deployment, as the environment names them.

    Dagster makes one for each run and each tick: what it has read stays the same for as long as that lasts.
    """

    _settings: Config | None = PrivateAttr(default=None)
    _published: dict[date, Published] = PrivateAttr(default_factory=dict)

    def engine(self) -> Engine:
        """Return the engine of the ops database."""
        return ops_engine()

    def events(self) -> EventsSource:
        """Return where the events are."""
        return EventsSource(engine=events_engine(), relation=required_value(Name.OPS_EVENTS_RELATION))

    def settings(self) -> Config:
        """Return the configuration, read once."""
        if self._settings is None:
            self._settings = environment.config()
        return self._settings

    def count_and_publish(self, day: date) -> Published:
        """Count the events of `day` and publish it: counts, figures and verdict."""
        self._published[day] = count_and_publish(
            self.engine(), self.events(), [day], first_day=first_kept_day(), config=self.settings()
        )
        return self._published[day]

    def published(self, day: date) -> Published:
        """Return what this run published of `day`; a run that does not count publishes it from the stored counts."""
        if day not in self._published:
            self._published[day] = publish(self.engine(), [day], config=self.settings())
        return self._published[day]
