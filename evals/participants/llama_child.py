"""The child process that holds llama.cpp: reads its settings from standard input, serves until that closes.

It dies with the process that started it: the kernel signals it when the parent goes (Linux), and standard input
closes. It imports nothing of the project, so that it starts fast and a crash here is never a crash of the driver.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve one model; report `{"address": ...}` or `{"error": ...}` as one JSON line on the given descriptor."""
    settings = json.loads(sys.stdin.buffer.readline())
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != settings["parent"]:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def report(message: dict[str, object]) -> None:
        with os.fdopen(settings["report"], "w") as stream:
            stream.write(json.dumps(message) + "\n")

    try:
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = settings["path"]
        params.model_alias = {settings["name"]}
        params.api_keys = [settings["api_key"]]
        if settings["chat_template"]:
            params.chat_template = settings["chat_template"]
        params.hostnames = ["127.0.0.1"]
        params.port = settings["port"]
        params.n_parallel = settings["slots"]
        params.n_ctx = settings["context"] * settings["slots"]
        params.cache_ram_mib = settings["cache_mib"]
        for cpu in (params.cpuparams, params.cpuparams_batch):
            cpu.n_threads = settings["threads"]
            cpu.poll = 0
        params.cors_origins = ""
        params.ui = False
        params.offline = True
        server = xllamacpp.Server(params)
    except BaseException as exc:
        report({"error": f"{type(exc).__name__}: {exc}"})
        raise
    report({"address": server.listening_address})
    sys.stdin.buffer.read()
    del server
    # llama.cpp's own exit handlers are slow and have nothing to save.
    os._exit(0)


if __name__ == "__main__":
    main()
