"""`run --processes N`: the cells of a study over N processes of this machine."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from dangercurve.evals.engines.budget import Amount, Purse
from dangercurve.evals.engines.scheduler import Died, Job, Played, ended_with

END_S = 20.0
Describe = Callable[[Job, int | None], str]
"""A job and its connections as the order (JSON) of a worker."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    job: str = ""


class ProcessBackend:
    """N worker processes, started when first needed and again where one died. They end with the driver, however it ends."""

    split = True

    def __init__(self, processes: int, describe: Describe, purse: Purse | None = None) -> None:
        self.slots = processes
        self._describe, self._purse = describe, purse
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []

    def pids(self) -> list[int]:
        """Process ids of the workers that live."""
        return [w.process.pid for w in self._workers if w.process.pid and w.process.is_alive()]

    def submit(self, job: Job, connections: int | None) -> None:
        worker = next((w for w in self._workers if not w.job and w.process.is_alive()), None) or self._start()
        worker.job = job.name
        try:
            worker.pipe.send_bytes(self._describe(job, connections).encode())
        except OSError:  # it died while idle: `wait` reports it
            return

    def _start(self) -> _Worker:
        self._workers = [w for w in self._workers if w.job or w.process.is_alive()]
        mine, theirs = self._context.Pipe()
        process = self._context.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        worker = _Worker(process, mine)
        self._workers.append(worker)
        return worker

    def wait(self, timeout: float) -> list[Played | Died]:
        deadline = time.monotonic() + timeout
        ended: list[Played | Died] = []
        busy = {w.pipe: w for w in self._workers if w.job}
        while not ended and busy and (left := deadline - time.monotonic()) > 0:
            for ready in wait(list(busy), left):
                assert isinstance(ready, Connection)
                found = self._read(busy[ready])
                if found is not None:
                    ended.append(found)
                    del busy[ready]
        return ended

    def _read(self, worker: _Worker) -> Played | Died | None:
        """One message of a worker: a request for the next slice of the purse is answered, an end is returned."""
        try:
            kind, text = worker.pipe.recv_bytes().decode().split("\n", 1)
        except (EOFError, OSError):
            worker.process.join(END_S)
            job, worker.job = worker.job, ""
            self._workers.remove(worker)
            return Died(job, f"its process ended with {worker.process.exitcode}")
        if kind == "take":
            assert self._purse is not None
            numbers = [float(v) for v in text.split()]
            grant = self._purse.take(Amount(*numbers[:2]), Amount(*numbers[2:4]), bool(numbers[4]))
            worker.pipe.send_bytes(f"{grant.tokens!r} {grant.usd!r}".encode())
            return None
        job, worker.job = worker.job, ""
        return ended_with(job, kind, text)

    def close(self) -> None:
        """End the workers: idle ones at once, busy ones as by ctrl-C, so that their logs are closed."""
        for worker in self._workers:
            worker.pipe.close()
            if worker.job and worker.process.pid and worker.process.is_alive():
                os.kill(worker.process.pid, signal.SIGINT)
        for worker in self._workers:
            worker.process.join(END_S)
            if worker.process.is_alive():
                worker.process.kill()
        self._workers = []


def serve(pipe: Connection) -> None:
    """A worker process: plays one order after the other until the driver closes the pipe or dies."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    sys.stdout = sys.stderr

    def take(spent: Amount, held: Amount, more: bool) -> Amount:
        pipe.send_bytes(
            f"take\n{spent.tokens!r} {spent.usd!r} {held.tokens!r} {held.usd!r} {int(more)}".encode()
        )
        tokens, usd = pipe.recv_bytes().decode().split()
        return Amount(float(tokens), float(usd))

    from dangercurve.evals.engines.worker import answer

    with contextlib.suppress(EOFError, OSError, KeyboardInterrupt):  # the driver closed the pipe, or ctrl-C
        while True:
            pipe.send_bytes(answer(pipe.recv_bytes().decode(), take).encode())


def _end_with(parent: BaseProcess) -> None:
    """An orphan stops at once: the driver that follows goes on from what it had logged."""
    parent.join()
    os._exit(1)
