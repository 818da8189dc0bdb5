"""The dashboard's server: loopback only, read-only, GET only, and only for requests that mean this very address."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from dangercurve._errors import ConfigError, DangercurveError
from dangercurve._text import printable
from dangercurve.evals.policy import LoadedPolicy
from dangercurve.evals.tracking.site import Site, content_policy

LOOPBACK = "127.0.0.1"
MAX_TARGET = 2000


class Handler(BaseHTTPRequestHandler):
    """One request. Whatever it asks, no file is opened by a name that it brings."""

    server_version = "dangercurve"
    sys_version = ""
    timeout = 15
    site: ClassVar[Site]
    hosts: ClassVar[frozenset[str]]

    def do_GET(self) -> None:
        # A page of another site that points its own name at 127.0.0.1 (DNS rebinding) sends its own name as host.
        if self.headers.get("Host", "").lower() not in self.hosts:
            self._send(421, "this server answers to 127.0.0.1 and localhost alone\n", "text/plain")
        elif len(self.path) > MAX_TARGET or not self.path.isascii():
            self._send(414, "this address is too long or no address\n", "text/plain")
        else:
            try:
                answer = self.site.answer(self.path)
            except (DangercurveError, OSError) as exc:
                self._send(500, f"error: {printable(exc, 600)}\n", "text/plain")
                return
            self._send(answer.status, answer.page, "text/html")

    def _refuse(self) -> None:
        self._send(405, "read-only: GET alone\n", "text/plain")

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_TRACE = do_CONNECT = _refuse  # noqa: N815

    def _send(self, status: int, text: str, kind: str) -> None:
        data = text.encode("utf-8", "backslashreplace")
        headers = {
            "Content-Type": f"{kind}; charset=utf-8",
            "Content-Length": str(len(data)),
            "Content-Security-Policy": content_policy(),
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
        }
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status == 405:
            self.send_header("Allow", "GET")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: what a request brings has no place on a terminal."""


class Server(ThreadingHTTPServer):
    """A server whose readers may go away without a traceback."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        error = sys.exc_info()[1]
        if not isinstance(error, (ConnectionError, TimeoutError)):
            print(f"dashboard: {type(error).__name__}: {printable(error, 300)}", file=sys.stderr)


def make_server(site: Site, port: int) -> Server:
    """A server on 127.0.0.1 at `port` (0: any free one), not started yet. Raises ConfigError where it is in use."""
    bound: type[Handler] = type("BoundHandler", (Handler,), {"site": site, "hosts": frozenset()})
    try:
        server = Server((LOOPBACK, port), bound)
    except OSError as exc:
        if exc.errno in (errno.EADDRINUSE, errno.EACCES):
            why = "in use" if exc.errno == errno.EADDRINUSE else "not for you to open"
            raise ConfigError(
                f"port {port} is {why}: choose another with --port, or 0 for any free one"
            ) from exc
        raise
    real = server.server_address[1]
    bound.hosts = frozenset({f"{LOOPBACK}:{real}", f"localhost:{real}"})
    return server


def serve_forever(
    paths: Sequence[Path],
    policy: LoadedPolicy | None,
    ledgers: Sequence[Path],
    *,
    port: int,
    viewer_port: int,
    tell: Callable[[str], None],
) -> None:
    """Serve the dashboard until interrupted. Raises ConfigError for runs that are not there or a port in use."""
    site = Site(paths, policy, ledgers, viewer_port)
    site.check()
    server = make_server(site, port)
    tell(
        f"dashboard on http://{LOOPBACK}:{server.server_address[1]}/ (read-only, this machine alone; end with ctrl-c)"
    )
    try:
        server.serve_forever(poll_interval=0.5)
    except KeyboardInterrupt:
        tell("dashboard ended")
    finally:
        server.server_close()
