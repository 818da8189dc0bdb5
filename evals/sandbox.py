"""`bwrap`: an Inspect sandbox over bubblewrap, for machines without a container engine.

Every command runs in namespaces of its own: no network, no other process in sight, a read-only system, no host `/etc`,
`/home`, `/usr/local` or environment, no capability, no nested user namespace, and as an unprivileged user also where
Inspect runs as root. Only `/work` (where commands start) and `/tmp` can be written and stay from command to command;
a process ends with the command that started it. There is no seccomp filter and no cgroup: what bounds memory and
disk in total is a watch that looks every quarter of a second. Use Docker or Kubernetes for adversarial work.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, overload

import anyio
from anyio.abc import ByteReceiveStream, Process
from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentLimits,
    SandboxUserUnsupportedError,
)
from pydantic import BaseModel, ConfigDict, Field

from dangercurve._errors import ConfigError

USER, UID, HOST_UID = "sandbox", 1000, 65534
TMP = "/tmp"  # noqa: S108 (inside the sandbox)
WATCH_S = 0.25
MIB = 1024 * 1024
MISSING, FOLDER, DENIED, LARGE = 21, 22, 23, 24
READ = (
    f'[ -d "$1" ] && exit {FOLDER}; [ -e "$1" ] || exit {MISSING}; [ -r "$1" ] || exit {DENIED}; '
    f'[ "$(stat -Lc %s -- "$1")" -le "$2" ] || exit {LARGE}; exec cat -- "$1"'
)
WRITE = (
    f'[ -d "$1" ] && exit {FOLDER}; mkdir -p -- "$(dirname -- "$1")" || exit {DENIED}; '
    f'[ ! -e "$1" ] || [ -w "$1" ] || exit {DENIED}; exec cat > "$1"'
)


class BwrapLimits(BaseModel):
    """What one sandbox may use. Address space, file size, CPU time and open files are a process's, the rest in all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    wall_s: int = Field(default=120, gt=0)
    cpu_s: int = Field(default=60, gt=0)
    processes: int = Field(default=64, gt=0)
    memory_mib: int = Field(default=512, gt=0)
    address_mib: int = Field(default=2048, gt=0)
    file_mib: int = Field(default=64, gt=0)
    disk_mib: int = Field(default=256, gt=0)
    open_files: int = Field(default=256, gt=0)


@dataclass
class Done:
    """How a command ended. `stopped` is empty, `time`, `memory`, `disk` or `output`."""

    code: int
    stopped: str = ""
    out: bytearray = field(default_factory=bytearray)
    err: bytearray = field(default_factory=bytearray)


class BwrapSandbox(SandboxEnvironment):
    """One sample's sandbox: a folder on the host with `work`, `tmp` and a small `etc`, entered anew by each command."""

    def __init__(self, limits: BwrapLimits | None = None) -> None:
        super().__init__()
        self.limits = limits or BwrapLimits()
        self.folder = Path(tempfile.mkdtemp(prefix="dangercurve-sandbox-"))
        make_folder(self.folder)

    @classmethod
    async def sample_init(
        cls, task_name: str, config: BaseModel | str | None, metadata: dict[str, str]
    ) -> dict[str, SandboxEnvironment]:
        require_bwrap()
        if config is not None and not isinstance(config, BwrapLimits):
            raise ConfigError("the sandbox bwrap takes no configuration file; give BwrapLimits or nothing")
        return {"default": cls(config)}

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: BaseModel | str | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        for environment in environments.values():
            environment.as_type(BwrapSandbox).remove()

    @classmethod
    def config_deserialize(cls, config: dict[str, Any]) -> BaseModel:
        return BwrapLimits.model_validate(config)

    @classmethod
    def default_concurrency(cls) -> int | None:
        return 2 * (os.cpu_count() or 1)

    def default_polling_interval(self) -> float:
        return 0.05

    def remove(self) -> None:
        """Remove the folder with whatever the model left in it, however deep or unreadable."""
        for mode in ("", "u+rwX"):
            if mode:
                subprocess.run(["chmod", "-R", mode, str(self.folder)], check=False, capture_output=True)
            subprocess.run(["rm", "-rf", "--", str(self.folder)], check=False, capture_output=True)
            if not self.folder.exists():
                return
        raise OSError(f"the sandbox folder {self.folder} cannot be removed")

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        if user not in (None, USER, str(UID)):
            raise SandboxUserUnsupportedError(
                f"the sandbox bwrap has one user, {USER}; it cannot run as {user!r}"
            )
        data = input.encode() if isinstance(input, str) else input
        done = await self.run(cmd, data, cwd, env, timeout, SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE)
        out, err = done.out.decode("utf-8", "replace"), done.err.decode("utf-8", "replace")
        if done.stopped == "time":
            raise TimeoutError(
                f"the command did not end within {min(timeout or 10**9, self.limits.wall_s)} s"
            )
        if done.stopped == "output":
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_EXEC_OUTPUT_SIZE_STR, out or err)
        if done.stopped:
            err += f"\nended: the limit on {done.stopped} was reached\n"
        if done.code == 126 and "permission denied" in err.casefold():
            raise PermissionError(f"{cmd[0]}: permission denied")
        return ExecResult(done.code == 0, done.code, out, err)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        data = contents.encode() if isinstance(contents, str) else contents
        done = await self.run(["sh", "-c", WRITE, "sh", file], data, None, None, None, MIB)
        if done.code:
            raise _file_error(done, file)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        # Read inside: a link that the model made leads nowhere but into its own sandbox.
        limit = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        done = await self.run(["sh", "-c", READ, "sh", file, str(limit)], None, None, None, None, limit + 1)
        if done.code == LARGE or done.stopped == "output":
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        if done.code:
            raise _file_error(done, file)
        return done.out.decode("utf-8") if text else bytes(done.out)

    async def run(
        self,
        cmd: Sequence[str],
        data: bytes | None,
        cwd: str | None,
        env: dict[str, str] | None,
        timeout: int | None,
        output_limit: int,
    ) -> Done:
        """Run one command to its end, its time or a limit; whatever it started ends with it."""
        argv = [*wrapper(self.folder, cwd or "", env or {}), *limiter(self.limits), *cmd]
        wall = min(timeout or self.limits.wall_s, self.limits.wall_s)
        # The host's environment stays outside already here: bwrap's own is in sight in /proc.
        process = await anyio.open_process(argv, env={"PATH": "/usr/bin:/bin"}, start_new_session=True)
        done = Done(0)
        try:
            with anyio.move_on_after(wall) as clock:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_feed, process, data)
                    tasks.start_soon(self._watch, process, done)
                    async with anyio.create_task_group() as readers:
                        for stream, sink in ((process.stdout, done.out), (process.stderr, done.err)):
                            readers.start_soon(_drain, stream, sink, output_limit, process, done)
                    await process.wait()
                    tasks.cancel_scope.cancel()
            if clock.cancelled_caught and not done.stopped:
                done.stopped = "time"
        finally:
            with anyio.CancelScope(shield=True):
                _kill(process)
                await process.wait()
                await process.aclose()
        code = process.returncode or 0
        done.code = 128 - code if code < 0 else code
        return done

    async def _watch(self, process: Process, done: Done) -> None:
        used = await anyio.to_thread.run_sync(disk_mib, self.folder)
        while True:
            await anyio.sleep(WATCH_S)
            now = await anyio.to_thread.run_sync(disk_mib, self.folder)
            if now > max(self.limits.disk_mib, used):
                done.stopped = "disk"
            elif await anyio.to_thread.run_sync(resident_mib, process.pid) > self.limits.memory_mib:
                done.stopped = "memory"
            else:
                continue
            _kill(process)
            return


def make_folder(folder: Path) -> None:
    """`work`, `tmp` and a small `etc` in `folder`, for the user that the sandbox runs as."""
    for name in ("work", "tmp", "etc"):
        (folder / name).mkdir()
    (folder / "etc" / "passwd").write_text(f"{USER}:x:{UID}:{UID}::/work:/bin/sh\n")
    (folder / "etc" / "group").write_text(f"{USER}:x:{UID}:\n")
    (folder / "etc" / "alternatives").mkdir()
    (folder / "etc" / "ld.so.cache").touch()
    if os.geteuid() == 0:
        for path in (folder, folder / "work", folder / "tmp"):
            os.chown(path, HOST_UID, HOST_UID)


def wrapper(folder: Path, cwd: str, env: dict[str, str]) -> list[str]:
    """The command line up to the limiter: what is shared, what is mounted, and nothing else."""
    drop = (
        ["setpriv", f"--reuid={HOST_UID}", f"--regid={HOST_UID}", "--clear-groups"]
        if os.geteuid() == 0
        else []
    )
    system = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        path = Path("/") / name
        if path.is_symlink():
            system += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            system += ["--ro-bind", str(path), str(path)]
    variables = {"PATH": "/usr/bin:/bin", "HOME": "/work", "LC_ALL": "C.UTF-8", "USER": USER, **env}
    return [
        *drop, "bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL", "--uid", str(UID), "--gid", str(UID), "--hostname", USER, "--clearenv", *system,
        "--tmpfs", "/usr/local", "--ro-bind", str(folder / "etc"), "/etc",
        "--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache",
        "--proc", "/proc", "--dev", "/dev", "--bind", str(folder / "work"), "/work", "--bind", str(folder / "tmp"), TMP,
        "--remount-ro", "/usr/local", "--remount-ro", "/dev", "--remount-ro", "/",
        "--chdir", str(Path("/work") / cwd), *(part for k, v in variables.items() for part in ("--setenv", k, v)), "--",
    ]  # fmt: skip


def limiter(limits: BwrapLimits) -> list[str]:
    """Resource limits, set inside the user namespace so that only its own processes are counted."""
    bounds = {
        "nproc": limits.processes, "as": limits.address_mib * MIB, "fsize": limits.file_mib * MIB, "cpu": limits.cpu_s,
        "nofile": limits.open_files, "core": 0,
    }  # fmt: skip
    return ["/usr/bin/prlimit", *(f"--{k}={v}:{v}" for k, v in bounds.items()), "--"]


def missing_tools() -> list[str]:
    """Programs of the host that the sandbox needs and that are not there."""
    wanted = ("bwrap", "prlimit", *(("setpriv",) if os.geteuid() == 0 else ()))
    return [name for name in wanted if shutil.which(name) is None]


def trial(seconds: float = 10.0) -> str:
    """Why no sandbox can be made on this machine; empty where one can."""
    missing = missing_tools()
    if missing:
        return f"{' and '.join(missing)} not installed (Debian: apt-get install bubblewrap util-linux)"
    with tempfile.TemporaryDirectory(prefix="dangercurve-sandbox-") as name:
        make_folder(Path(name))
        command = [*wrapper(Path(name), "", {}), *limiter(BwrapLimits()), "true"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
        except (OSError, subprocess.TimeoutExpired) as exc:
            return str(exc)
    return (
        ""
        if done.returncode == 0
        else done.stderr.strip().splitlines()[-1][:200]
        if done.stderr
        else "it fails"
    )


_able: list[bool] = []


def require_bwrap() -> None:
    """Raise ConfigError where no sandbox can be made here; asked once a process."""
    if _able:
        return
    reason = trial()
    if reason:
        raise ConfigError(f"the sandbox bwrap does not work here: {reason}")
    _able.append(True)


def disk_mib(folder: Path) -> float:
    """Space that the folder takes; infinite where that cannot be told in two seconds."""
    deadline = time.monotonic() + 2
    try:
        done = subprocess.run(["du", "-sxk", str(folder)], capture_output=True, timeout=2, check=False)
        return int(done.stdout.split()[0]) / 1024
    except (subprocess.TimeoutExpired, IndexError, ValueError):
        return float("inf") if time.monotonic() >= deadline else 0.0


def resident_mib(pid: int) -> float:
    """Resident memory of a process and all its descendants."""
    total, waiting = 0, [pid]
    while waiting:
        current = Path(f"/proc/{waiting.pop()}")
        with contextlib.suppress(OSError, ValueError, IndexError):  # ended meanwhile
            total += int((current / "statm").read_text().split()[1])
            for task in (current / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
    return total * os.sysconf("SC_PAGE_SIZE") / MIB


async def _feed(process: Process, data: bytes | None) -> None:
    assert process.stdin is not None
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):  # it reads no more
        if data:
            await process.stdin.send(data)
    with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
        await process.stdin.aclose()


async def _drain(
    stream: ByteReceiveStream | None, sink: bytearray, limit: int, process: Process, done: Done
) -> None:
    assert stream is not None
    async for chunk in stream:
        sink += chunk[: max(0, limit - len(sink))]
        if len(sink) >= limit:
            done.stopped = done.stopped or "output"
            _kill(process)
            return


def _kill(process: Process) -> None:
    """Kill bwrap: the kernel then ends everything in its process namespace."""
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _file_error(done: Done, file: str) -> OSError:
    text = done.err.decode("utf-8", "replace").strip()[:200]
    if done.code == FOLDER or "Is a directory" in text:
        return IsADirectoryError(f"{file} is a directory")
    if done.code == MISSING:
        return FileNotFoundError(f"no file {file} in the sandbox")
    if done.code == DENIED or "ermission denied" in text or "Read-only" in text:
        return PermissionError(f"{file}: permission denied")
    return OSError(f"{file}: {done.stopped or text or f'exit code {done.code}'}")
