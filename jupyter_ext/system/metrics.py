"""Measurements of everything, as Prometheus reads them.

Names and units follow Prometheus's advice ("Metric and label naming"): base units, a prefix, no
label whose values users choose; whose a thing is and what it is called is nobody else's.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .._version import __version__
from ..accounts.schemas import Account
from ..api.route import Document

PREFIX = "jupyter_ext_"
SECONDS = 5.0
"""That a source has; without it there are fewer lines, and one that says so."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Metric:
    """Numbers of one name, at this moment.

    Parameters
    ----------
    name
        With its unit, without the prefix.
    labels
        Names of the labels.
    samples
        The labels' values, in their order, and the number.
    """

    name: str
    help: str
    labels: Sequence[str]
    samples: Sequence[tuple[tuple[str, ...], float]]

    @classmethod
    def one(cls, name: str, help: str, value: float) -> Metric:
        """Return a metric that is a single number."""
        return cls(name, help, (), [((), value)])


Source = Callable[[], Awaitable[Iterable[Metric]]]


class MetricsManager:
    """Asks every domain for its numbers.

    Parameters
    ----------
    sources
        By name.
    """

    def __init__(self, sources: Mapping[str, Source]) -> None:
        self._sources = dict(sources)

    async def prometheus(self, caller: Account) -> Document:
        """Return all of them in Prometheus's text format."""
        results = await asyncio.gather(
            *(self._ask(name, source) for name, source in self._sources.items())
        )
        found = [metric for metrics in results if metrics is not None for metric in metrics]
        missing = [
            ((name,), float(metrics is None))
            for name, metrics in zip(self._sources, results, strict=True)
        ]
        text = "Whether a part of the product did not tell its numbers"
        found.append(Metric("source_failed", text, ("source",), missing))
        version = "The running version"
        found.append(Metric("info", version, ("version",), [((__version__,), 1.0)]))
        return Document(*self._renderer(found))

    async def _ask(self, name: str, source: Source) -> list[Metric] | None:
        try:
            return list(await asyncio.wait_for(source(), SECONDS))
        except Exception as error:
            _log.warning("There are no metrics of %s: %s", name, str(error) or type(error).__name__)
            return None

    @cached_property
    def _renderer(self) -> Callable[[list[Metric]], tuple[bytes, str]]:
        # Imported when somebody asks: most servers are never scraped.
        from prometheus_client import (
            CONTENT_TYPE_LATEST,
            CollectorRegistry,
            GCCollector,
            PlatformCollector,
            ProcessCollector,
            generate_latest,
        )
        from prometheus_client.core import GaugeMetricFamily

        process = CollectorRegistry(auto_describe=False)
        for kind in (ProcessCollector, PlatformCollector, GCCollector):
            kind(registry=process)

        class Found:
            def __init__(self, metrics: list[Metric]) -> None:
                self.metrics = metrics

            def collect(self) -> Iterator[Any]:
                for metric in self.metrics:
                    family = GaugeMetricFamily(
                        PREFIX + metric.name, metric.help, labels=metric.labels
                    )
                    for labels, value in metric.samples:
                        family.add_metric(labels, value)
                    yield family

        def render(metrics: list[Metric]) -> tuple[bytes, str]:
            registry = CollectorRegistry(auto_describe=False)
            registry.register(Found(metrics))
            return generate_latest(registry) + generate_latest(process), CONTENT_TYPE_LATEST

        return render
