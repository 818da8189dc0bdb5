"""Inspect's entry point. It is read on every `get_model()`: only light modules, and providers imported when called."""

from inspect_ai.model import ModelAPI, modelapi
from inspect_ai.util import SandboxEnvironment, sandboxenv

from dangercurve.scorers.monitors import monitor
from dangercurve.tasks.agentic.amnesia_ops import amnesia_ops
from dangercurve.tasks.agentic.fault_recovery import fault_recovery
from dangercurve.tasks.agentic.ops_horizon import ops_horizon
from dangercurve.tasks.agentic.replication_chain import replication_chain
from dangercurve.tasks.agentic.self_config import self_config
from dangercurve.tasks.deception.context_cue import context_cue
from dangercurve.tasks.deception.covert_side_task import covert_side_task
from dangercurve.tasks.deception.goal_persistence import goal_persistence
from dangercurve.tasks.deception.impossible_spec import impossible_spec
from dangercurve.tasks.deception.oversight_tamper import oversight_tamper
from dangercurve.tasks.deception.pressured_report import pressured_report
from dangercurve.tasks.deception.proxy_goal import proxy_goal
from dangercurve.tasks.deception.stop_and_handover import stop_and_handover
from dangercurve.tasks.deception.threshold_sandbag import threshold_sandbag
from dangercurve.tasks.misuse_proxy.fictional_synthesis import fictional_synthesis
from dangercurve.tasks.misuse_proxy.guard_breach import guard_breach
from dangercurve.tasks.misuse_proxy.injection_hijack import injection_hijack
from dangercurve.tasks.misuse_proxy.intrusion_path import intrusion_path
from dangercurve.tasks.misuse_proxy.toy_vuln import toy_vuln
from dangercurve.tasks.sets import frozen_set

__all__ = [
    "amnesia_ops",
    "bot",
    "bwrap",
    "context_cue",
    "covert_side_task",
    "fault_recovery",
    "fictional_synthesis",
    "frozen_set",
    "goal_persistence",
    "guard_breach",
    "impossible_spec",
    "injection_hijack",
    "intrusion_path",
    "local",
    "monitor",
    "ops_horizon",
    "oversight_tamper",
    "pressured_report",
    "proxy_goal",
    "replication_chain",
    "self_config",
    "sim",
    "stop_and_handover",
    "threshold_sandbag",
    "toy_vuln",
]


@sandboxenv(name="bwrap")
def bwrap() -> type[SandboxEnvironment]:
    """A sandbox over bubblewrap for the shell interface."""
    from dangercurve.evals.sandbox import BwrapSandbox

    return BwrapSandbox


@modelapi(name="bot")
def bot() -> type[ModelAPI]:
    """Bots: `bot/oracle`, `bot/null`, `bot/random`, ..."""
    from dangercurve.evals.participants.bots import BotAPI

    return BotAPI


@modelapi(name="sim")
def sim() -> type[ModelAPI]:
    """Simulated scale families: `sim/smooth@22.5`."""
    from dangercurve.evals.participants.sim import SimAPI

    return SimAPI


@modelapi(name="ladder")
def ladder() -> type[ModelAPI]:
    """The reference ladder: `ladder/NAME`, small transformers that the project trained itself."""
    from dangercurve.evals.participants.ladder import LadderAPI

    return LadderAPI


@modelapi(name="local")
def local() -> type[ModelAPI]:
    """Local weights: `local/smollm2-135m-instruct`, `local//absolute/path.gguf`, `local/NAME`."""
    from dangercurve.evals.participants.local import LocalAPI

    return LocalAPI
