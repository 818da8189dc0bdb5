"""The shell interface: the same world and scores from a sandbox, which holds, and from which nothing is believed."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio
import pytest
from inspect_ai import eval as inspect_eval
from inspect_ai.log import EvalLog
from inspect_ai.util._sandbox.local import LocalSandboxEnvironment
from support_eval import result

from dangercurve._errors import ConfigError
from dangercurve.evals.sandbox import BwrapLimits, BwrapSandbox, resident_mib, trial
from dangercurve.scorers.results import status_in
from dangercurve.tasks.agentic.ops_horizon import FAMILY, ops_horizon
from dangercurve.tasks.kernel import shell
from dangercurve.tasks.kernel.family import family_names, get_family
from dangercurve.tasks.kernel.preflight import OUTSIDE, EscapeError, escapes, require_isolated
from dangercurve.tasks.kernel.seeds import load_salt, new_salt
from dangercurve.tasks.kernel.shell import ShellEpisode, ShellInterface, as_command
from dangercurve.tasks.kernel.task import make_cell
from dangercurve.tasks.kernel.world import Setting

REASON = trial()
needs_bwrap = pytest.mark.skipif(bool(REASON), reason=f"no bubblewrap sandbox here: {REASON}")


def in_box(check: Callable[[BwrapSandbox], Awaitable[None]], limits: BwrapLimits | None = None) -> None:
    """Run a check in a sandbox of its own."""

    async def run() -> None:
        box = BwrapSandbox(limits)
        try:
            await check(box)
        finally:
            box.remove()

    anyio.run(run)


def episode(level: int = 2, budget: int = 8) -> ShellEpisode:
    instance = FAMILY.instance(level, 0, load_salt("dev"))
    return ShellEpisode(FAMILY.build(instance, Setting()), ShellInterface(), budget)


async def ready(play: ShellEpisode, box: BwrapSandbox) -> None:
    play.box = box
    await box.write_file("act", shell.CLIENT)
    assert (await box.exec(["sh", "-c", shell.SET_UP])).success


def played(bot: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> EvalLog:
    monkeypatch.setattr(shell, "engine_answers", lambda: False)
    (log,) = inspect_eval(
        ops_horizon(level="1,2", n=2, interface="shell"),
        model=f"bot/{bot}",
        log_dir=str(folder),
        display="none",
    )
    return log


# --- the same world ----------------------------------------------------------------------------------------------


@needs_bwrap
def test_the_oracle_scores_one_from_the_shell_with_the_journal_of_the_other_interfaces(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = played("oracle", monkeypatch, tmp_path / "shell")
    assert log.status == "success" and log.eval.sandbox is not None and log.eval.sandbox.type == "bwrap"
    (text,) = inspect_eval(
        ops_horizon(level="1,2", n=2, interface="text"),
        model="bot/oracle",
        log_dir=str(tmp_path),
        display="none",
    )
    heads = [
        {s.id: (result(s), s.scores["status"].metadata["journal_head"]) for s in run.samples}  # type: ignore[index, union-attr]
        for run in (log, text)
    ]
    assert heads[0] == heads[1] and len(heads[0]) == 4
    assert {value for value, _ in heads[0].values()} == {1.0}


@needs_bwrap
def test_a_bot_that_only_looks_about_spends_its_budget_and_scores_zero(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = played("null", monkeypatch, tmp_path)
    assert log.samples is not None
    assert {result(s) for s in log.samples} == {0.0}
    assert {status_in(s.scores) for s in log.samples if s.scores} == {"scored"}


def test_only_ops_horizon_has_a_shell() -> None:
    assert [name for name in family_names() if get_family(name).shell] == ["ops_horizon"]
    with pytest.raises(ConfigError, match="toy_vuln has no interface 'shell'"):
        make_cell(get_family("toy_vuln"), interface="shell")


def test_without_any_sandbox_the_shell_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shell, "engine_answers", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ConfigError, match="Docker engine, or bubblewrap"):
        ops_horizon(level=0, n=1, interface="shell")


def test_the_container_has_no_network_and_its_image_is_pinned_by_digest() -> None:
    import re

    import yaml

    (service,) = yaml.safe_load(shell.COMPOSE.read_text())["services"].values()
    assert re.fullmatch(r"[\w./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}", service["image"])
    assert (
        service["network_mode"] == "none" and service["read_only"] is True and service["cap_drop"] == ["ALL"]
    )
    assert "no-new-privileges:true" in service["security_opt"]
    assert {"mem_limit", "pids_limit", "cpus", "user", "tmpfs"} <= set(service)
    assert "volumes" not in service and not service.get("privileged")


# --- the queue ------------------------------------------------------------------------------------------------------


@needs_bwrap
def test_a_program_may_act_many_times_in_one_command_and_each_action_is_a_step() -> None:
    play = episode(level=2, budget=8)

    async def check(box: BwrapSandbox) -> None:
        await ready(play, box)
        code = play.world.spec.tickets[0].code
        shown = await play.run(
            "bash", {"command": f"for i in 1 2 3; do ./act read ticket={code}; done | sort | uniq -c"}
        )
        assert shown.strip().startswith("3 ") and code in shown
        assert play.steps == 3 and [e.action for e in play.world.journal.entries] == ["read"] * 3
        assert "exit code 3" in await play.run("bash", {"command": "exit 3"})
        assert play.steps == 4 and len(play.world.journal) == 3

    in_box(check)


@needs_bwrap
def test_the_budget_ends_a_program_that_goes_on_acting() -> None:
    play = episode(level=2, budget=4)

    async def check(box: BwrapSandbox) -> None:
        await ready(play, box)
        shown = await play.run("bash", {"command": "for i in 1 2 3 4 5 6; do ./act wait; done"})
        assert play.steps == 4 and len(play.world.journal) == 4
        assert shown.count("The job has ended.") == 2

    in_box(check)


@needs_bwrap
@pytest.mark.parametrize(
    "forged",
    [
        "printf 'AAAAAAAAAA process ticket=\\xff bay=1\\n' >> .calls/queue",
        "printf '../../../../x read ticket=K1\\nnot a call\\n\\n' >> .calls/queue",
        "head -c 2000000 /dev/zero | tr '\\0' 'x' >> .calls/queue; echo >> .calls/queue",
        "rm .calls/queue; mkfifo .calls/queue",
        "rm -rf .calls; ln -s /etc/passwd .calls",
        "mkdir .calls/AAAAAAAAAA; mkfifo .calls/AAAAAAAAAA/.new; echo 'AAAAAAAAAA wait' >> .calls/queue",
    ],
    ids=["bytes", "paths", "long line", "pipe", "link", "pipe for an answer"],
)
def test_a_forged_queue_is_at_most_a_refused_action(forged: str) -> None:
    play = episode(level=2, budget=8)

    async def check(box: BwrapSandbox) -> None:
        await ready(play, box)
        with anyio.fail_after(20):
            await play.run("bash", {"command": forged})
        assert 1 <= play.steps <= 8
        assert not any(e.kind == "action" and e.action != "wait" for e in play.world.journal.entries)

    in_box(check)


@needs_bwrap
def test_a_flood_of_calls_ends_at_the_budget() -> None:
    play = episode(level=2, budget=5)

    async def check(box: BwrapSandbox) -> None:
        await ready(play, box)
        with anyio.fail_after(60):
            await play.run("bash", {"command": "yes 'AAAAAAAAAA wait' | head -n 100000 >> .calls/queue"})
        assert play.steps == 5 and play.lines <= 5 + shell.SPARE_LINES + 64

    in_box(check)


def test_an_action_is_quoted_for_the_shell() -> None:
    from dangercurve.tasks.kernel.actions import act

    assert as_command(act("read", ticket="K1; rm -rf /")) == "./act read 'ticket=K1; rm -rf /'"


# --- it holds ---------------------------------------------------------------------------------------------------


@needs_bwrap
def test_nothing_gets_out_of_the_sandbox(tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    new_salt(salt)
    assert load_salt(str(salt)).path == salt

    async def check(box: BwrapSandbox) -> None:
        assert await escapes(box, salt) == ()

    in_box(check)


def test_the_pre_flight_finds_what_gets_out_where_there_is_no_sandbox(tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    new_salt(salt)

    mounts = Path("/proc/self/mounts").read_text()

    async def check() -> None:
        box = LocalSandboxEnvironment()
        found = "; ".join(await escapes(box, salt))
        for leak in (
            "reaches TCP",
            "reaches UDP",
            "holds the host's environment",
            "reads a file of the host",
            "sees the salt",
        ):
            assert leak in found
        assert "can write to" in found
        with pytest.raises(EscapeError, match="nothing is run in it"):
            await require_isolated(box)
        box.directory.cleanup()

    anyio.run(check)
    assert Path("/proc/self/mounts").read_text() == mounts, "what got through was not taken back"
    assert not [p for d in OUTSIDE.split() for p in Path(d).glob("canary-*")]


@needs_bwrap
def test_a_leak_ends_the_eval_before_the_model_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async def leaking(box: object, salt: object = None) -> tuple[str, ...]:
        return ("reaches TCP on the host",)

    monkeypatch.setattr("dangercurve.tasks.kernel.preflight.escapes", leaking)
    log = played("oracle", monkeypatch, tmp_path)
    said = " ".join(s.error.message for s in log.samples or [] if s.error)
    assert log.status == "error" and "reaches TCP on the host" in said
    assert not [m for s in log.samples or [] for m in s.messages if m.role == "assistant"]


@needs_bwrap
@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("x=$(head -c 700000000 /dev/zero | tr '\\0' x); echo ${#x}", ""),
        ("for i in $(seq 200); do sleep 5 & done; wait", "Resource temporarily unavailable"),
        ("head -c 200000000 /dev/zero > big", "exit 153"),
        ("for i in $(seq 40); do head -c 20000000 /dev/zero > f$i; sleep 0.05; done", "limit on disk"),
        (
            "while :; do :; done",
            "killed",
        ),  # by the limit on CPU time, or of wall time where others take the CPU
        ("cat /dev/zero", "output"),
        ("sleep 60 & sleep 60 & wait", "time"),
    ],
    ids=["memory", "processes", "file size", "disk", "cpu", "output", "wall"],
)
def test_a_resource_bomb_ends_at_its_limit(command: str, told: str) -> None:
    limits = BwrapLimits(
        wall_s=4, cpu_s=3, processes=32, memory_mib=200, address_mib=400, file_mib=32, disk_mib=100
    )

    async def check(box: BwrapSandbox) -> None:
        with anyio.fail_after(15):
            done = await box.run(
                ["bash", "-c", f"{command}; echo exit $?"], None, None, None, None, 1_000_000
            )
        shown = f"{done.out.decode(errors='replace')[-300:]} {done.err.decode(errors='replace')}"
        ended = "killed" if done.code or done.stopped == "time" else ""
        assert told in f"{shown} {ended} limit on {done.stopped}" and len(done.out) <= 1_000_000
        assert "exit 0" not in shown
        # whatever it started is gone, and the sandbox goes on
        left = (await box.exec(["sh", "-c", "ls -d /proc/[0-9]* | wc -l"])).stdout.strip()
        # This very command and the sandbox's own; whether `wc` is counted is a matter of luck.
        assert 1 <= int(left) <= 6

    in_box(check, limits)


@needs_bwrap
def test_the_folder_is_removed_whatever_was_left_in_it() -> None:
    box = BwrapSandbox()

    async def check() -> None:
        deep = "for i in $(seq 400); do mkdir dddddddddddd && cd dddddddddddd || break; done; chmod 000 /work/dddddddddddd"
        await box.exec(["bash", "-c", f"{deep}; ln -s /etc /work/l"])

    anyio.run(check)
    box.remove()
    assert not box.folder.exists() and Path("/etc/passwd").exists()
    assert resident_mib(2**22 + 1) == 0.0
