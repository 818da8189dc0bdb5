"""`run --engine ray`: the cells of a study over the workers of a Ray cluster.

A job is one Ray task that Ray itself never retries: the scheduler does, with its bounds. Names and states cross between
driver and workers; logs, parts and flags go through the run's location, which every worker reaches. Without an address a
cluster of this machine alone is started, on loopback, without dashboard and usage statistics, and ended with the driver.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

from dangercurve._errors import ConfigError
from dangercurve._text import printable
from dangercurve.evals.engines.budget import Amount
from dangercurve.evals.engines.location import Location
from dangercurve.evals.engines.scheduler import Died, Job, Played, ended_with

ANSWER_S = 5.0
OBJECT_STORE_BYTES = 100 * 1024 * 1024
LOOPBACK = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # Ray's switch for "this machine only": every port binds to 127.0.0.1
}


class RayBackend:
    """The workers of a cluster. `location` is where the purse keeps its record, if there is a purse."""

    split = True

    def __init__(
        self,
        workers: int | None,
        address: str | None,
        describe: Callable[[Job, int | None], str],
        location: str,
        limits: str = "",
    ) -> None:
        self._ray = _ray()
        connect(self._ray, workers, address)
        there = int(self._ray.cluster_resources().get("CPU", 1))
        self.slots = min(workers, there) if workers else there
        self._describe = describe
        self._task = self._ray.remote(num_cpus=1, max_retries=0)(_work)
        self._purse = None
        if limits:
            # A request is never sent twice: settled twice, a slice would count as handed back that was spent.
            actor = self._ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)(PurseActor)
            self._purse = actor.remote(location, limits)
        self._running: dict[Any, str] = {}

    def submit(self, job: Job, connections: int | None) -> None:
        self._running[self._task.remote(self._describe(job, connections), self._purse)] = job.name

    def wait(self, timeout: float) -> list[Played | Died]:
        ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=timeout)
        ended: list[Played | Died] = []
        for reference in ready:
            job = self._running.pop(reference)
            try:
                kind, text = str(self._ray.get(reference)).split("\n", 1)
            except self._ray.exceptions.RayError as exc:
                ended.append(Died(job, f"its worker died ({type(exc).__name__}: {printable(exc, 120)})"))
                continue
            ended.append(ended_with(job, kind, text))
        return ended

    def close(self) -> None:
        for reference in self._running:
            self._ray.cancel(reference, force=False)
        self._running = {}
        self._ray.shutdown()


class PurseActor:
    """The purse of a study, one in the cluster. Its record lies at the location: Ray starts it again from there."""

    def __init__(self, location: str, limits: str) -> None:
        from dangercurve.evals.engines.purse import purse_at
        from dangercurve.evals.study import Limits

        self._purse = purse_at(Location(location), Limits.model_validate_json(limits))

    def take(self, spent: tuple[float, float], held: tuple[float, float], more: bool) -> tuple[float, float]:
        if self._purse is None:
            raise ConfigError("a study without caps has no purse")
        grant = self._purse.take(Amount(*spent), Amount(*held), more)
        return grant.tokens, grant.usd


def _work(order: str, purse: Any) -> str:
    """One job in a worker process of the cluster, in its main thread."""
    from dangercurve.evals.engines.worker import answer

    def take(spent: Amount, held: Amount, more: bool) -> Amount:
        import ray

        asked = purse.take.remote((spent.tokens, spent.usd), (held.tokens, held.usd), more)
        return Amount(*ray.get(asked))

    return answer(order, take if purse is not None else None)


def _ray() -> Any:
    os.environ.update({k: v for k, v in LOOPBACK.items() if k not in os.environ})
    try:
        import ray
    except ImportError as exc:
        raise ConfigError("--engine ray needs the package ray: pip install 'dangercurve[ray]'") from exc
    return ray


def connect(ray: Any, workers: int | None, address: str | None) -> None:
    """Join the cluster at `address` (`auto`, or HOST:PORT), or start one of this machine alone."""
    try:
        if address:
            if ":" in address and "://" not in address:  # Ray itself asks a silent port for minutes
                host, port = address.rsplit(":", 1)
                socket.create_connection((host, int(port)), ANSWER_S).close()
            ray.init(address=address, log_to_driver=False, configure_logging=False)
            return
        ray.init(
            num_cpus=workers or os.cpu_count() or 1,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            log_to_driver=False,
            configure_logging=False,
        )
    except (OSError, OverflowError, RuntimeError, ValueError) as exc:
        raise ConfigError(
            f"Ray cluster {address or 'of this machine'} cannot be used: {printable(exc, 200)}"
        ) from exc
