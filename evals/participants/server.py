"""A llama.cpp server on loopback that the project starts, watches and stops itself.

The server runs in a child process (`llama_child`) with a random key, so that nothing else on the machine can use
it. Ended: by `stop`, at exit, and by the kernel when this process dies in any way.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import queue
import secrets
import select
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve._text import printable

_CHILD = "dangercurve.evals.participants.llama_child"
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy cannot reach our loopback


class ServerError(DangercurveError):
    """A local server that cannot be started, or died more often than it is restarted."""


@dataclass(frozen=True)
class ServerOptions:
    """One server: `threads` None means `default_threads()`; `context` is tokens a slot; `port` None means a free one."""

    path: Path
    name: str
    chat_template: Path | None = None
    threads: int | None = None
    slots: int = 1
    context: int = 4096
    port: int | None = None
    cache_mib: int = 1024
    log_path: Path | None = None
    max_restarts: int = 3
    start_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        for key, low, high in (("slots", 1, 64), ("context", 64, 1_048_576), ("cache_mib", 0, 1_048_576)):
            value = getattr(self, key)
            if not low <= value <= high:
                raise ConfigError(f"local server: {key} is {value}, allowed {low} to {high}")
        if self.threads is not None and not 1 <= self.threads <= 1024:
            raise ConfigError(f"local server: threads is {self.threads}, allowed 1 to 1024")
        if self.port is not None and not 1 <= self.port <= 65535:
            raise ConfigError(f"local server: port is {self.port}, allowed 1 to 65535")


def default_threads() -> int:
    """Physical cores that this process may use; of more than two, one is left to the driver.

    Threads that wait asleep (see `_spawn`) lose nothing on a busy machine: the driver waits while the model works.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return len(cores) if len(cores) <= 2 else len(cores) - 1


class LlamaServer:
    """One model behind llama.cpp's OpenAI-compatible server. Use as a context manager, or `start` and `stop`.

    `generation` counts the starts: a client that sees it change must take `base_url` anew. `supports_tools` says
    whether the chat template has a place for tools; where it has none, llama.cpp drops them without a word.
    """

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.api_key = secrets.token_urlsafe(24)
        self.generation = 0
        self.address = ""
        self.supports_tools = False
        self._log = options.log_path
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.RLock()
        self._stopped = False

    @property
    def base_url(self) -> str:
        """The OpenAI-compatible root, `http://127.0.0.1:PORT/v1`."""
        return f"{self.address}/v1"

    @property
    def log_path(self) -> Path | None:
        """Where llama.cpp writes its messages; a temporary file unless the options name one."""
        return self._log

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None where none was started."""
        return None if self._process is None else self._process.pid

    def alive(self) -> bool:
        """Whether the child process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> LlamaServer:
        """Start the child and wait until it answers. Does nothing where it runs already.

        Raises ConfigError for a missing extra or a port in use, ServerError where the server does not come up.
        """
        with self._lock:
            if self.alive():
                return self
            self._stopped = False
            if find_spec("xllamacpp") is None:
                raise ConfigError("local models need llama.cpp: pip install 'dangercurve[local]'")
            _require_free(self.options.port)
            if self._log is None:
                handle, name = tempfile.mkstemp(prefix="dangercurve-llama-", suffix=".log")
                os.close(handle)
                self._log = Path(name)
            self._process, self.address = self._spawn(self._log)
            self.generation += 1
            try:
                self._await_health()
            except BaseException:
                self._end()
                raise
            return self

    def ensure(self) -> int:
        """Start the server again where it has died; returns `generation`.

        Raises ServerError after `max_restarts` restarts, or where the server was stopped on purpose.
        """
        with self._lock:
            if not self.alive():
                if self._stopped:
                    raise ServerError(f"the server of {self.options.name} was stopped")
                if self.generation > self.options.max_restarts:
                    raise ServerError(
                        f"the server of {self.options.name} died {self.generation} times"
                        f" (last {self._ending()}); log: {self._log}"
                    )
                self.start()
            return self.generation

    def stop(self) -> None:
        """End the child: by closing its input, then by signals. Safe to call twice."""
        with self._lock:
            self._stopped = True
            self._end()
            if self._log is not None and self.options.log_path is None:
                self._log.unlink(missing_ok=True)
                self._log = None

    def __enter__(self) -> LlamaServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _spawn(self, log: Path) -> tuple[subprocess.Popen[bytes], str]:
        options = self.options
        read_end, write_end = os.pipe()
        settings = {
            "path": str(options.path.absolute()),
            "name": options.name,
            "api_key": self.api_key,
            "chat_template": template.read_text("utf-8") if (template := options.chat_template) else "",
            "port": options.port or 0,
            "slots": options.slots,
            "context": options.context,
            "cache_mib": options.cache_mib,
            "threads": options.threads or default_threads(),
            "parent": os.getpid(),
            "report": write_end,
        }
        try:
            with log.open("ab") as stream:
                process = _spawner().run(
                    lambda: subprocess.Popen(
                        [sys.executable, "-m", _CHILD],
                        stdin=subprocess.PIPE,
                        stdout=stream,
                        stderr=stream,
                        pass_fds=(write_end,),
                        start_new_session=True,
                        # OpenMP threads spin at barriers by default, which on a busy machine makes two threads
                        # four times slower than one; asleep they are faster than one on any machine.
                        env={**os.environ, "OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "0"},
                    )
                )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            os.close(write_end)
        self._process = process
        try:
            assert process.stdin is not None
            process.stdin.write(json.dumps(settings).encode() + b"\n")
            process.stdin.flush()
            message = json.loads(_read_line(read_end, options.start_timeout_s) or "{}")
        except (OSError, ValueError):
            message = {}
        except BaseException:
            self._end()
            raise
        finally:
            os.close(read_end)
        if "address" not in message:
            self._end()
            reason = message.get("error") or f"no answer within {options.start_timeout_s:.0f} s"
            raise ServerError(
                f"llama.cpp cannot serve {options.path}: {printable(_last_error(log) or reason, 200)}; log: {log}"
            )
        return process, str(message["address"])

    def get(self, path: str, timeout_s: float = 5.0) -> dict[str, object]:
        """The JSON object at `path` of the running server (`/health`, `/props`). Raises OSError where none comes."""
        return self._ask(path, None, timeout_s)

    def complete(self, prompt: str, max_tokens: int, timeout_s: float = 120.0) -> dict[str, object]:
        """A greedy completion of plain text, with llama.cpp's own `timings`."""
        body = {"prompt": prompt, "max_tokens": max_tokens, "temperature": 0, "cache_prompt": False}
        return self._ask("/v1/completions", body, timeout_s)

    def _ask(self, path: str, body: dict[str, object] | None, timeout_s: float) -> dict[str, object]:
        headers = {"Authorization": f"Bearer {self.api_key}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, headers)  # noqa: S310 (our own loopback)
        with _OPENER.open(request, timeout=timeout_s) as response:
            answer = json.loads(response.read())
        if not isinstance(answer, dict):
            raise OSError(f"{path}: expected a JSON object")
        return answer

    def _await_health(self) -> None:
        deadline = time.monotonic() + self.options.start_timeout_s
        while True:
            try:
                self.get("/health")
                capabilities = self.get("/props").get("chat_template_caps")
                self.supports_tools = isinstance(capabilities, dict) and bool(
                    capabilities.get("supports_tools")
                )
                return
            except (OSError, ValueError):  # not yet up, or going down
                if not self.alive() or time.monotonic() > deadline:
                    raise ServerError(
                        f"the server of {self.options.name} does not answer ({self._ending()}); log: {self._log}"
                    ) from None
            time.sleep(0.05)

    def _ending(self) -> str:
        code = None if self._process is None else self._process.poll()
        return "still running" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    def _end(self) -> None:
        process = self._process
        if process is None:
            return
        if process.stdin is not None:
            with contextlib.suppress(OSError):  # the child is gone already, its input with it
                process.stdin.close()
        for finish in (None, process.terminate, process.kill):
            if finish is not None:
                finish()
            try:
                process.wait(timeout=3)
                return
            except subprocess.TimeoutExpired:
                continue


def shared_server(options: ServerOptions) -> LlamaServer:
    """The running server of this process for `options`, started where there is none: several evals share it."""
    with _shared_lock:
        if _shared.owner != os.getpid():  # a fork inherits the table, not the right to the servers
            _shared.owner, _shared.servers = os.getpid(), {}
        server = _shared.servers.get(options)
        if server is None:
            server = _shared.servers[options] = LlamaServer(options)
    server.start() if server.generation == 0 else server.ensure()
    return server


def stop_all() -> None:
    """End every shared server of this process."""
    with _shared_lock:
        servers = list(_shared.servers.values()) if _shared.owner == os.getpid() else []
        _shared.servers = {}
    for server in servers:
        server.stop()


class _Shared:
    def __init__(self) -> None:
        self.owner = os.getpid()
        self.servers: dict[ServerOptions, LlamaServer] = {}


class _Spawner:
    """Starts children from one thread that lives as long as the process.

    The kernel's parent-death signal follows the *thread* that started a child: a child started from a worker
    thread would be killed when that worker ends.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._jobs: queue.SimpleQueue[
            tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]
        ] = queue.SimpleQueue()
        threading.Thread(target=self._loop, name="dangercurve-spawner", daemon=True).start()

    def run(self, job: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        result: Future[subprocess.Popen[bytes]] = Future()
        self._jobs.put((job, result))
        return result.result()

    def _loop(self) -> None:
        while True:
            job, result = self._jobs.get()
            try:
                result.set_result(job())
            except BaseException as exc:
                result.set_exception(exc)


_shared_lock = threading.Lock()
_shared = _Shared()
_spawners: dict[int, _Spawner] = {}
atexit.register(stop_all)


def _spawner() -> _Spawner:
    return (
        _spawners.setdefault(os.getpid(), _Spawner())
        if os.getpid() not in _spawners
        else _spawners[os.getpid()]
    )


def _require_free(port: int | None) -> None:
    if port is None:
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as exc:
            raise ConfigError(
                f"port {port} cannot be used ({exc.strerror}); choose another, or none for a free one"
            ) from exc


def _read_line(descriptor: int, timeout_s: float) -> bytes:
    """One line from a pipe, or what came before its end or the deadline."""
    deadline, line = time.monotonic() + timeout_s, b""
    while not line.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([descriptor], [], [], left)[0]:
            return line
        chunk = os.read(descriptor, 65536)
        if not chunk:
            return line
        line += chunk
    return line


def _last_error(log: Path) -> str:
    try:
        lines = log.read_bytes()[-20_000:].decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    marked = [line for line in lines if " E " in line or "error" in line.casefold()]
    return marked[0].strip() if marked else ""
