"""What operators can watch: a few counters and a gauge, on a port of their own. Nothing is counted until `web` builds this."""

from __future__ import annotations

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server

log = structlog.get_logger(__name__)


class Metrics:
    """One registry a process, so that tests can make as many as they like."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.accepted = Counter(
            "finetune_accepted", "Items written to an inbox before the ack", ["kind"], registry=self.registry
        )
        self.repeated = Counter(
            "finetune_repeated", "Deliveries that had been accepted before", ["kind"], registry=self.registry
        )
        self.slack_calls = Counter(
            "finetune_slack_calls", "Web API calls by outcome", ["method", "outcome"], registry=self.registry
        )
        self.lanes_busy = Gauge(
            "finetune_lanes_busy", "Lanes this process works on now", registry=self.registry
        )

    def serve(self, port: int) -> None:
        """Answer GET /metrics on `port`; a port that is taken is logged, not fatal."""
        try:
            start_http_server(port, registry=self.registry)
        except OSError as error:
            log.warning("metrics_not_served", port=port, error=str(error))
