"""A worker's end of the budget: Inspect's hooks count each model call, and a cap interrupts the evaluation.

Imported only where a study has caps: Inspect announces every registered hook.
"""

from __future__ import annotations

import _thread
import contextlib
import io
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import anyio
from inspect_ai.hooks import BeforeModelGenerate, Hooks, ModelUsageData, hooks
from inspect_ai.model import ModelCost, ModelInfo, get_model_info, set_model_info

from dangercurve._errors import DangercurveError
from dangercurve.evals.engines.budget import Amount, Take, prices_of
from dangercurve.evals.study import Study

NOTHING = Amount()


@dataclass
class Meter:
    """A worker's end: counts what its calls use, takes slices, and interrupts the process's evaluation at a cap.

    The interrupt is the one of ctrl-C: Inspect closes the log with every finished sample, and the same command goes on
    from there where a later one has time or money left.
    """

    take: Take | None = None
    deadline: float | None = None
    priced: bool = False
    held: Amount = NOTHING
    used: Amount = NOTHING
    stopped_by: str = ""
    failed: Exception | None = None
    calls: int = 0
    begun: bool = False
    _lock: threading.Lock = field(default_factory=threading.Lock)

    async def before_call(self) -> None:
        """Return where a call may start; else interrupt and never return."""
        self.begun = True
        if not self.stopped_by and self.deadline is not None and time.monotonic() >= self.deadline:
            self.stop("its wall time is spent")
        if not self.stopped_by and self.take is not None and self.held.minus(self.used).empty:
            try:
                self.held, self.used = self.take(self.used, self.held, True), NOTHING
            except Exception as exc:  # Inspect would log an error of a hook and make the call
                self.failed = exc
                self.stop("the purse of the study cannot be reached")
            if self.held.empty:
                self.stop("its tokens or money are spent")
        if self.stopped_by:
            await anyio.sleep_forever()

    def after_call(self, tokens: float, usd: float | None) -> None:
        self.calls += 1
        if self.priced and usd is None:
            self.stop("a call came back without a price")
        self.used = self.used.plus(Amount(tokens, usd or 0.0))

    def settle(self) -> None:
        """Hand back what is left of the slice."""
        if self.take is not None and not self.failed and (self.held != NOTHING or self.used != NOTHING):
            self.take(self.used, self.held, False)
            self.held = self.used = NOTHING

    def out_of_time(self) -> None:
        """The deadline has come. Before the first call nothing is interrupted: that call sees the deadline itself, and the
        main thread is certain to be in the evaluation."""
        if self.begun:
            self.stop("its wall time is spent")

    def stop(self, why: str) -> None:
        """Interrupt the evaluation that the main thread plays, once."""
        with self._lock:
            if self.stopped_by:
                return
            self.stopped_by = why
        main = threading.main_thread().ident
        if threading.get_ident() == main:  # no signal that a cluster's worker may have blocked
            _thread.interrupt_main()
        elif main is not None:
            signal.pthread_kill(main, signal.SIGINT)


def tell_prices(study: Study) -> None:
    """Give Inspect the prices of a study's models, so that each call and each log says what it cost.

    Cached tokens count at the full price, those written to a cache at twice: a cap may come early and never late.
    """
    table = prices_of(study)
    for name in {entry.model for entry in study.models} | set(study.roles.values()):
        price = table.of(name)
        if price is not None:
            cost = ModelCost(
                input=price.input,
                output=price.output,
                input_cache_write=2 * price.input,
                input_cache_read=price.input,
            )
            info = get_model_info(name) or ModelInfo()
            set_model_info(name, info.model_copy(update={"cost": cost}))


_METERS: list[Meter] = []


@hooks(name="dangercurve_budget", description="caps of the study")
class BudgetHooks(Hooks):
    """Inspect tells each model call before it starts and after it answered, those of judges and monitors too."""

    def enabled(self) -> bool:
        return bool(_METERS)

    async def on_before_model_generate(self, data: BeforeModelGenerate) -> None:
        await _METERS[-1].before_call()

    async def on_model_usage(self, data: ModelUsageData) -> None:
        usage = data.usage
        read = (
            usage.input_tokens + (usage.input_tokens_cache_read or 0) + (usage.input_tokens_cache_write or 0)
        )
        _METERS[-1].after_call(read + usage.output_tokens, usage.total_cost)


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Every model call of this process inside counts against `meter`; its interrupt ends the block quietly.

    Raises RuntimeError where the purse could not be asked, or its own ConfigError (a full disk): no call is made without
    it, and the job is tried again.
    Runs in the main thread: the interrupt is a signal. What Inspect prints about its hooks is swallowed.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    timer = None
    if meter.deadline is not None:
        timer = threading.Timer(max(0.0, meter.deadline - time.monotonic()), meter.out_of_time)
        timer.daemon = True
        timer.start()
    _METERS.append(meter)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except KeyboardInterrupt:
        if not meter.stopped_by:
            raise
    finally:
        with contextlib.suppress(KeyboardInterrupt):  # a timer that fires while the block ends
            if timer is not None:
                timer.cancel()
                timer.join()
        _METERS.remove(meter)
        meter.settle()
        signal.signal(signal.SIGINT, before)
    if isinstance(meter.failed, DangercurveError):
        raise meter.failed
    if meter.failed is not None:
        raise RuntimeError(f"the purse of the study cannot be reached: {meter.failed!r}") from meter.failed
