"""The canary pre-flight: before a model gets a shell, the shell itself tries to get out.

Traps are laid on the host (listeners on loopback, a secret in the environment and in a file, the path of the salt) and
a script inside the sandbox tries to reach each: to write outside, to talk to the network, to read what is the host's, to gain
privileges. Whatever gets through is named, and the caller must not go on. Where something does get through the attempt is
taken back at once: a file is removed, a mount (on a folder made for it) is undone. Nothing of the host is changed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from inspect_ai.util import SandboxEnvironment

TIMEOUT_S = 60
VARIABLE = "DANGERCURVE_CANARY"
OUTSIDE = (
    "/ /bin /boot /etc /home /lib /lib64 /media /mnt /opt /proc/sys/kernel /root /run /sbin /srv /sys /usr /usr/bin "
    "/usr/lib /usr/local /usr/local/bin /var /var/lib /var/tmp"
)
SCRIPT = r"""
mark=$1 tcp=$2 udp=$3 unix=$4 a=$5 b=$6 secret=$7 salt=$8 outside="$9"
say() { printf 'LEAK %s\n' "$*"; }
for d in $outside "$(dirname "$secret")"; do
  if ( : > "$d/$mark" ) 2>/dev/null; then say "can write to $d"; rm -f "$d/$mark"; fi
done
if command -v bash >/dev/null; then
  bash -c "exec 3<>/dev/tcp/127.0.0.1/$tcp" 2>/dev/null && say "reaches TCP on the host"
  bash -c "printf %s $mark > /dev/udp/127.0.0.1/$udp" 2>/dev/null
fi
if command -v perl >/dev/null; then
  perl -MSocket -e 'socket(S, AF_UNIX, SOCK_STREAM, 0); connect(S, pack("Sa*", AF_UNIX, "\0" . shift)) and exit 0; exit 1' \
    "$unix" 2>/dev/null && say "reaches an abstract socket of the host"
fi
for i in /sys/class/net/*; do
  case ${i##*/} in lo|'*') ;; *) say "sees the network interface ${i##*/}" ;; esac
done
grep -qvE '^ *lo:|^Inter|^ *face' /proc/net/dev 2>/dev/null && say "has a network interface besides loopback"
env | grep -qF "$a$b" && say "holds the host's environment"
cat /proc/[0-9]*/environ 2>/dev/null | grep -qaF "$a$b" && say "reads the environment of host processes"
for f in "$secret" /proc/[0-9]*/root"$secret" /proc/[0-9]*/cwd/"${secret##*/}"; do
  grep -qF "$a$b" "$f" 2>/dev/null && say "reads a file of the host ($f)"
done
[ -n "$salt" ] && [ -e "$salt" ] && say "sees the salt"
for f in /etc/shadow /root/.ssh /var/run/docker.sock /run/docker.sock /run/dbus/system_bus_socket; do
  [ -r "$f" ] && say "reads $f"
done
[ "$(ls -d /proc/[0-9]* | wc -l)" -gt 40 ] && say "sees the processes of the host"
[ "$(id -u)" = 0 ] && say "runs as root"
grep -q '^CapEff:[[:space:]]*0*$' /proc/self/status || say "holds capabilities"
grep -q '^NoNewPrivs:[[:space:]]*1' /proc/self/status || say "can gain privileges"
command -v unshare >/dev/null && unshare -Ur true 2>/dev/null && say "makes user namespaces"
place=$(mktemp -d)
if command -v mount >/dev/null && mount -t tmpfs none "$place" 2>/dev/null; then
  say "mounts file systems"
  umount "$place"
fi
rmdir "$place"
echo DONE
"""


class EscapeError(RuntimeError):
    """A sandbox that does not hold: nothing may be run in it."""


@dataclass(frozen=True)
class Traps:
    """What lies on the host for the time of one pre-flight."""

    mark: str
    halves: tuple[str, str]
    secret: Path
    tcp: socket.socket
    udp: socket.socket
    unix: str

    def sprung(self) -> list[str]:
        """What the host's own sockets saw."""
        seen = []
        with contextlib.suppress(BlockingIOError):
            self.tcp.accept()[0].close()
            seen.append("reaches TCP on the host")
        with contextlib.suppress(BlockingIOError):
            self.udp.recv(100)
            seen.append("reaches UDP on the host")
        return seen


async def escapes(box: SandboxEnvironment, salt: Path | None = None) -> tuple[str, ...]:
    """What gets out of a sandbox, each once and sorted; empty where it holds.

    Raises EscapeError where the pre-flight itself did not come to its end: what was not tried is not held.
    """
    with traps() as laid:
        done = await box.exec(
            ["sh", "-c", SCRIPT, "sh", laid.mark, str(laid.tcp.getsockname()[1]), str(laid.udp.getsockname()[1]), laid.unix,
             *laid.halves, str(laid.secret), str(salt.absolute()) if salt else "", OUTSIDE],
            timeout=TIMEOUT_S, timeout_retry=False,
        )  # fmt: skip
        seen = laid.sprung()
    lines = done.stdout.splitlines()
    if not lines or lines[-1] != "DONE":
        raise EscapeError(f"the pre-flight of the sandbox did not finish: {done.stderr.strip()[-200:]!r}")
    return tuple(sorted({*seen, *(line.removeprefix("LEAK ") for line in lines if line.startswith("LEAK "))}))


async def require_isolated(box: SandboxEnvironment, salt: Path | None = None) -> None:
    """Raise EscapeError naming what gets out of the sandbox."""
    found = await escapes(box, salt)
    if found:
        raise EscapeError(f"the sandbox does not hold, nothing is run in it: it {'; it '.join(found)}")


@contextlib.contextmanager
def traps() -> Iterator[Traps]:
    """Lay the traps, and take them away again."""
    token, mark = secrets.token_hex(16), f"canary-{secrets.token_hex(8)}"
    unix = f"dangercurve-{secrets.token_hex(8)}"
    before = os.environ.get(VARIABLE)
    with (
        tempfile.TemporaryDirectory(prefix="dangercurve-canary-") as folder,
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as abstract,
    ):
        Path(folder).chmod(0o777)
        secret = Path(folder) / "secret"
        secret.write_text(token + "\n")
        secret.chmod(0o644)
        udp.bind(("127.0.0.1", 0))
        abstract.bind("\0" + unix)
        abstract.listen()
        tcp.setblocking(False)
        udp.setblocking(False)
        os.environ[VARIABLE] = token
        try:
            yield Traps(mark, (token[:16], token[16:]), secret, tcp, udp, unix)
        finally:
            if before is None:
                os.environ.pop(VARIABLE, None)
            else:
                os.environ[VARIABLE] = before
