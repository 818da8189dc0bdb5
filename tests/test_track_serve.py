"""The live dashboard: loopback only, read-only, GET only, its own name only; in a real browser at both widths."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from support_browser import Page, browser, needs_browser

from dangercurve._errors import ConfigError
from dangercurve.evals.progress.progress import CellState, LevelEstimate, Snapshot
from dangercurve.evals.tracking import site as track_site
from dangercurve.evals.tracking.live import LogFile, alive, logs_of, read_live, samples_of, viewer_link
from dangercurve.evals.tracking.serve import LOOPBACK, make_server
from dangercurve.evals.tracking.site import Site, content_policy
from dangercurve.evals.verbs.run import command as run_command
from dangercurve.evals.verbs.track import command

EVIL = "acme/<script>alert(1)</script>\u202e</style><img src=x onerror=alert(1)>"
STUDY = "name: real\nmodels: [sim/smooth@22]\ntasks: [ops_horizon]\nlevels: [0]\ninterfaces: [choice]\nn: 6\n"


def snapshot(done: int, *, model: str = "acme/m", state: str = "running", pid: int | None = None) -> Snapshot:
    estimate = LevelEstimate(0, done, 1, 0.5, 0.2, 0.8)
    cell = CellState(
        model, "ops_horizon", "choice", 40, done, {"scored": done - 1, "refused": 1}, (estimate,)
    )
    return Snapshot(
        "live", state, "episodes", "2026-11-22T00:00:00+00:00", "2026-11-22T00:00:09+00:00", pid or os.getpid(), 40, done,
        9.0, 30.0, 100, 20, None, None, (model,), False, {"scored": done - 1, "refused": 1}, 1, (cell,),
        ({"model": model, "family": "ops_horizon", "interface": "choice", "sample": f"{model} epoch 1", "status": "scored",
          "success": 1.0},),
    )  # fmt: skip


def write_live(run: Path, made: Snapshot) -> Path:
    run.mkdir(exist_ok=True)
    part = run / "part"
    part.write_text(json.dumps({"schema": 1, **asdict(made)}))
    part.replace(run / "progress.json")
    return run


def flag(run: Path) -> None:
    line = {
        "time": "2026-11-22T00:00:00+00:00", "event": "anomaly", "kind": "tripwire", "action": "mark", "model": EVIL,
        "family": "ops_horizon", "interface": "choice", "n": 3, "sample": "s", "detail": EVIL,
    }  # fmt: skip
    (run / "events.jsonl").write_text(json.dumps(line) + "\n")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was really run, with Inspect logs."""
    base = tmp_path_factory.mktemp("real")
    (base / "study.yaml").write_text(STUDY)
    done = CliRunner().invoke(run_command, [str(base / "study.yaml"), "--run", str(base / "run"), "--quiet"])
    assert done.exit_code == 0, done.output
    return base / "run"


@contextmanager
def serving(*paths: Path) -> Iterator[int]:
    server = make_server(Site(paths), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def ask(
    port: int, target: str = "/", method: str = "GET", host: str | None = None
) -> tuple[int, dict[str, str], str]:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=20)
    connection.putrequest(method, target, skip_host=True)
    connection.putheader("Host", f"127.0.0.1:{port}" if host is None else host)
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()


# ---- what the server lets through


def test_it_binds_loopback_alone(tmp_path: Path) -> None:
    server = make_server(Site([write_live(tmp_path / "r", snapshot(4))]), 0)
    assert server.server_address[0] == "127.0.0.1"
    server.server_close()


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_it_answers_get_alone(tmp_path: Path, method: str) -> None:
    with serving(write_live(tmp_path / "r", snapshot(4))) as port:
        status, headers, _ = ask(port, method=method)
        assert status == 405 and headers["Allow"] == "GET"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1:1", "", "[::1]", "localhost"]
)
def test_a_request_in_another_name_is_refused(tmp_path: Path, host: str) -> None:
    with serving(write_live(tmp_path / "r", snapshot(4))) as port:
        status, _, text = ask(port, host=host)
        assert status == 421 and "Runs" not in text
        assert ask(port, host=f"localhost:{port}")[0] == 200


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "/../../etc/passwd", "/runs/../study.yaml", "/runs/%2e%2e", "/runs/zzzzzzzzzzzz", "/runs/", "//etc",
     "/runs/000000000000", "/runs/000000000000/logs/000000000000", "/?../../etc/passwd", "/study.yaml"],
)  # fmt: skip
def test_no_address_ever_opens_a_file(tmp_path: Path, target: str) -> None:
    run = write_live(tmp_path / "r", snapshot(4))
    (run / "study.yaml").write_text("secret: 1\n")
    with serving(run) as port:
        status, _, text = ask(port, target)
        assert status == (200 if target.startswith("/?") else 404)
        assert "root:" not in text and "secret" not in text


def test_every_answer_carries_the_strict_policy_and_is_not_kept(tmp_path: Path) -> None:
    with serving(write_live(tmp_path / "r", snapshot(4))) as port:
        for target, host in (("/", None), ("/no", None), ("/", "evil.example")):
            _, headers, _ = ask(port, target, host=host)
            assert headers["Content-Security-Policy"] == content_policy()
            assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert "unsafe" not in content_policy() and "default-src 'none'" in content_policy()


def test_a_port_in_use_is_one_line_and_exit_2(tmp_path: Path) -> None:
    run = write_live(tmp_path / "r", snapshot(4))
    with socket.socket() as held:
        held.bind((LOOPBACK, 0))
        held.listen()
        done = CliRunner().invoke(command, [str(run), "--serve", "--port", str(held.getsockname()[1])])
    assert isinstance(done.exception, ConfigError) and done.exception.exit_code == 2
    assert "in use" in str(done.exception) and "--port" in str(done.exception)


def test_serving_nothing_is_refused_before_a_server_starts(tmp_path: Path) -> None:
    done = CliRunner().invoke(command, [str(tmp_path / "nowhere"), "--serve", "--port", "0"])
    assert isinstance(done.exception, ConfigError) and "no such run folder" in str(done.exception)


# ---- what the pages say


def test_a_run_under_way_shows_progress_flags_and_estimates(tmp_path: Path) -> None:
    run = write_live(tmp_path / "r", snapshot(10))
    flag(run)
    site = Site([run])
    index = site.answer("/")
    page = site.answer(f"/runs/{read_live('r', run).token}").page
    assert index.status == 200 and "10 of 40 samples" in index.page and 'http-equiv="refresh"' in index.page
    assert "L0 0.50 [0.20, 0.80] n=10 missing=1" in page
    assert "no price of acme/m" in page and "tripwire" in page and "marked" in page
    assert "<img" not in page and "\u202e" not in page and page.count("<script") == 1


def test_what_is_over_is_not_fetched_again(tmp_path: Path) -> None:
    run = write_live(tmp_path / "r", snapshot(40, state="finished"))
    assert "refresh" not in Site([run]).answer("/").page.split("<style>")[0]


def test_a_run_whose_process_is_gone_is_interrupted(tmp_path: Path) -> None:
    gone = 2**22 + 1  # above the largest process id
    assert not alive(gone) and alive(os.getpid()) and not alive(0)
    live = read_live("r", write_live(tmp_path / "r", snapshot(10, pid=gone)))
    assert live.state == "interrupted" and not live.going


def test_a_damaged_verdict_is_said_and_the_runs_are_still_shown(tmp_path: Path) -> None:
    run = write_live(tmp_path / "r", snapshot(10))
    (run / "verdict.json").write_text("{")
    page = Site([run]).answer("/").page
    assert "no verdict can be read" in page and "10 of 40 samples" in page


def test_the_samples_of_a_real_log_link_into_inspects_viewer(real: Path) -> None:
    live, (log,) = read_live("run", real), logs_of(real)
    rows = samples_of(log)
    assert len(rows) == 6 and {r.status for r in rows} == {"scored"}
    page = Site([real], viewer_port=7999).answer(f"/runs/{live.token}/logs/{log.token}").page
    links = re.findall(r'href="(http://127\.0\.0\.1:7999/#/logs/[^"]+)"', page)
    assert len(links) == 6 and links[0].endswith("/samples/sample/ops_horizon-L0-0-base/1")
    assert log.name.split("/")[-1] in links[0]
    recent = Site([real], viewer_port=7999).answer(f"/runs/{live.token}").page
    assert recent.count("/samples/sample/ops_horizon") == 6


def test_a_sample_name_cannot_leave_its_link(tmp_path: Path) -> None:
    log = LogFile("a b/x#y?.eval", "m", "t", "i", "success", tmp_path)
    link = viewer_link(7575, log, 'x"><script>/../#', 2)
    assert re.fullmatch(r"http://127\.0\.0\.1:7575/#/logs/[\w%./-]+/samples/sample/[\w%.-]+/2", link)


def test_inspects_viewer_understands_the_link() -> None:
    """The route that the installed viewer's own helper writes for a sample."""
    import inspect

    from inspect_ai.analysis._prepare import log_viewer

    source = inspect.getsource(log_viewer)
    assert "#/logs/" in source and "/samples/sample/" in source


# ---- a real browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with browser(tmp_path_factory.mktemp("browser")) as made:
        yield made


@needs_browser
@pytest.mark.parametrize("width", [1280, 390])
def test_no_request_leaves_no_error_is_logged_and_nothing_scrolls_sideways(
    page: Page, real: Path, tmp_path: Path, width: int
) -> None:
    run = write_live(tmp_path / "r", snapshot(10, model=EVIL))
    flag(run)
    with serving(run, real) as port:
        home = f"http://127.0.0.1:{port}/"
        page.open(home, width)
        targets = page.run("[...document.querySelectorAll('tbody a')].map(a => a.href)")
        assert len(targets) == 2
        log = logs_of(real)[0]
        for target in (home, *targets, f"{home}runs/{read_live('x', real).token}/logs/{log.token}"):
            page.open(target, width)
            assert page.run("document.documentElement.scrollWidth") <= width, target
            assert page.run("document.querySelectorAll('script').length") == 1
            assert page.console == [], target
            assert all(url.startswith((home, "data:")) for url in page.requests), page.requests


@needs_browser
def test_the_browser_checks_can_fail(page: Page, tmp_path: Path) -> None:
    (tmp_path / "bad.html").write_text(
        '<img src="http://127.0.0.1:9/x"><script>console.error(1)</script><p style="width:2000px">x'
    )
    page.open((tmp_path / "bad.html").as_uri(), 390)
    assert page.console and "http://127.0.0.1:9/x" in page.requests
    assert page.run("document.documentElement.scrollWidth") > 390


@needs_browser
def test_the_page_follows_the_run_without_losing_the_focus_and_can_be_paused(
    page: Page, tmp_path: Path
) -> None:
    run = write_live(tmp_path / "r", snapshot(10))
    with serving(run) as port:
        page.open(f"http://127.0.0.1:{port}/")
        page.run("document.querySelector('tbody a').focus()")
        write_live(run, snapshot(20))
        page.wait("document.body.innerText.includes('20 of 40 samples')")
        assert page.run("document.activeElement.textContent") == "r"
        page.run("document.getElementById('pause').click()")
        write_live(run, snapshot(30))
        page.run("new Promise(r => setTimeout(r, 1500))")
        assert page.run("document.body.innerText.includes('20 of 40 samples')"), "paused"
        page.run("document.getElementById('pause').click()")
        write_live(run, snapshot(40, state="finished"))
        page.wait("document.body.innerText.includes('all done')")
        assert page.run("document.getElementById('pause').hidden"), "over: no more updates to pause"
        assert page.console == []


@needs_browser
def test_without_javascript_the_page_reloads_itself(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(track_site, "EVERY_S", 1)
    run = write_live(tmp_path / "r", snapshot(10))
    with serving(run) as port:
        page.open(f"http://127.0.0.1:{port}/", script=False)
        write_live(run, snapshot(20))
        page.wait("document.body?.textContent.includes('20 of 40 samples')")
        page.wait("document.getElementById('pause')?.hidden")
        page.send("Emulation.setScriptExecutionDisabled", value=False)


@needs_browser
def test_the_keyboard_reaches_everything_and_two_steps_lead_to_a_transcript(page: Page, real: Path) -> None:
    with serving(real) as port:
        page.open(f"http://127.0.0.1:{port}/")
        page.press("Tab")
        assert page.run("document.activeElement.textContent") == "Skip to the content"
        page.press("Tab")
        page.press("Tab")
        assert page.run("document.activeElement.textContent") == "run"
        assert page.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.press("Enter")
        page.wait("location.pathname.startsWith('/runs/') && document.readyState === 'complete'")
        reached = set()
        for _ in range(40):
            page.press("Tab")
            reached.add(
                page.run("document.activeElement.getAttribute('href') || document.activeElement.tagName")
            )
        links = page.run("[...document.querySelectorAll('a')].map(a => a.getAttribute('href'))")
        assert set(links) <= reached
        assert any("/samples/sample/" in link for link in links), "one click from a run to a transcript"


@needs_browser
def test_the_track_page_opens_offline(page: Page, tmp_path: Path) -> None:
    from dangercurve.evals.gate import Request, evaluate
    from dangercurve.evals.gating.gate_world import World, write_policy, write_run
    from dangercurve.evals.gating.verdict import canonical
    from dangercurve.evals.policy import load_policy

    policy = load_policy(write_policy(tmp_path / "p.yaml"))
    for name, wins, day in (("a", 0, "2026-11-02"), ("b", 30, "2026-12-02")):
        world = World(success=[1] * wins + [0] * (100 - wins), completed_at=f"{day}T00:00:00+00:00")
        write_run(tmp_path / name, [world])
        verdict = evaluate(policy, tmp_path / name, Request(model=world.model, as_of=f"{day}T01:00:00+00:00"))
        (tmp_path / name / "verdict.json").write_bytes(canonical(verdict))
    done = CliRunner().invoke(
        command, [str(tmp_path / "a"), str(tmp_path / "b"), "-o", str(tmp_path / "track.html")]
    )
    assert done.exit_code == 0, done.output
    for width in (1280, 390):
        page.open((tmp_path / "track.html").as_uri(), width)
        assert page.run("document.documentElement.scrollWidth") <= width
        assert page.console == [] and all(u.startswith(("file:", "data:")) for u in page.requests)
        assert page.run("document.querySelectorAll('h1').length") == 1
        assert "RULED OUT" in page.run("document.body.innerText")


def test_a_page_is_made_again_only_where_a_verdict_changed(tmp_path: Path) -> None:
    run = write_live(tmp_path / "r", snapshot(10))
    site = Site([run])
    assert site._body() is site._body()
    shutil.copy(run / "progress.json", run / "verdict.json")
    assert "no verdict" in str(site._body()["error"]) or "schema" in str(site._body()["error"])
    assert replace(read_live("r", run), label="x").token == read_live("r", run).token
