"""From a run folder to the page: the verb, what is missing, what is damaged, and the page in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from dangercurve._errors import ConfigError
from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.report.page import render
from dangercurve.evals.reporting import build_report
from dangercurve.evals.store import label, read_observations, store_digest, write_part
from dangercurve.evals.verbs.report import command, write_report
from dangercurve.evals.verdict import ClaimResult, Digests, Outcome, PolicyRef, Verdict, canonical

CHROMIUM = shutil.which("chromium")
browser = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine: apt-get install chromium")
LOCAL = "openai-api/local/smollm2-135m-instruct"
EVIL = "evil/<script>alert(1)</script>\u202e\x00</style><img src=x onerror=alert(1)>"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-extensions", "--disable-default-apps",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--enable-logging=stderr",
)  # fmt: skip


def write_rows(
    run: Path, model: str, p: float, *, levels: int = 3, n: int = 12, status: str = "scored"
) -> None:
    rng = random.Random(f"{model}{p}")
    rows: list[dict[str, object]] = []
    for family in ("ops_horizon", "toy_vuln"):
        for level in range(levels):
            for twin in ("base", "surface"):
                for i in range(n):
                    scored = status == "scored"
                    rows.append({
                        "schema": 1, "study": "tiny", "model": model, "answering_model": model,
                        "eval_task_id": f"{model}-{family}",
                        "sample_id": f"{family}-{level}-{i}-{twin}", "epoch": 1, "completed_at": "2026-11-21T10:00:00+00:00",
                        "task": family, "task_version": "1-A", "domain": "agentic", "family": family, "construct": family,
                        "level": level, "oracle_steps": 2 * 2**level, "instance_id": f"{family}-{level}-{i}", "twin": twin,
                        "interface": "choice", "kappa": 2.0, "elicitation": "zero", "status": status,
                        "success": float(rng.random() < p / (1 + level)) if scored else None, "random_floor": 0.2,
                        "outcome": 0.5 if scored else None, "simulated": model.startswith(("sim/", "bot/")),
                        "input_tokens": 300, "output_tokens": 9, "working_s": 0.5, "comparability_key": "k1",
                        "inspect_version": "0.3", "seed_commitment": "c0ffee", "sample_uuid": f"u{i}", "arm_cue": "none",
                    })  # fmt: skip
    digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()
    write_part(run, digest, [{**row, "log_sha256": digest} for row in rows])


def forecast(store: str) -> dict[str, object]:
    grid = [19 + 0.5 * i for i in range(20)]
    band = {
        "log10_flop": grid,
        **{
            q: [min(1.0, w * (x - 19) / 9) for x in grid]
            for q, w in (("q05", 0.5), ("q50", 0.8), ("q95", 1.0))
        },
    }
    return {
        "family": "ops_horizon", "metric": "success_rate", "event": "success_rate >= 0.8", "threshold": 0.8,
        "form": "2 shapes", "status": "identified", "log10_c": {"q05": 23.0, "q50": 24.1, "q95": None}, "p_never": 0.06,
        "p_within": {"0.5": 0.2},
        "date": {"q05": "2026-01-01", "q50": "2027-05-01", "q95": None}, "p_by": {"2026-12-31": 0.4, "2027-12-31": 0.6},
        "p_breached": 0.3, "frontier": "physical", "cap": 32.0, "seed": 0, "simulated": True, "model_scope": "frontier",
        "shapes": [{"shape": "logistic", "weight": 0.7, "log10_c": {"q05": 23.1, "q50": 24.0, "q95": 26.0}, "p_never": 0.0},
                   {"shape": "saturating", "weight": 0.3, "log10_c": {"q05": 23.4, "q50": 25.2, "q95": None},
                    "p_never": 0.2}],
        "missing_worst_case": None, "band": band, "interface": "choice", "kappa": 2.0, "elicitation": "zero",
        "store_digest": store, "as_of": "2026-11-21", "flags": ["one model family"],
    }  # fmt: skip


def write_verdict(run: Path) -> None:
    claim = ClaimResult(
        id="agentic.ops.T1", kind="measure", verdict=Outcome.UNRESOLVED, original=Outcome.UNRESOLVED, family="ops_horizon",
        metric="success_rate", unit="share of instances", scale="logit", direction="up", alpha=0.05, estimate=0.4, lcb=0.3,
        ucb=0.5, E=0.5, G=0.0, M=0.0, B=0.62, W=0.6, T=0.8, proximity=0.775, n_instances=36, status_shares={"scored": 1.0},
        reasons=["too few instances"],
    )  # fmt: skip
    policy = PolicyRef(id="tiny", version=1, effective="2026-11-01", sha256="ab" * 32)
    verdict = Verdict(
        as_of="2026-11-21T12:00:00+00:00", subject=LOCAL, simulated=False, profile="none", tier="light", strict=False,
        overall=Outcome.UNRESOLVED, exit_code=3, headline="UNRESOLVED: tiny", policy=policy, claims=[claim],
        digests=Digests(policy="ab" * 32, code="0.1:cd"),
    )  # fmt: skip
    (run / "verdict.json").write_bytes(canonical(verdict))


def make_run(run: Path, models: dict[str, float], status: str = "scored") -> Path:
    run.mkdir()
    for model, p in models.items():
        write_rows(run, model, p, status=status)
    (run / "study.yaml").write_text("name: tiny\nsalt: dev\nmodels: [a/b]\n")
    (run / "events.jsonl").write_text('{"time": "2026-11-21T10:00:00", "event": "group_finished"}\n')
    (run / "attempts.jsonl").write_text("")
    (run / "estimates").mkdir()
    digest = store_digest(run)
    estimate_all(read_observations(run), store_digest=digest).to_parquet(
        run / "estimates" / "estimates.parquet"
    )
    (run / "forecasts").mkdir()
    (run / "forecasts" / "forecasts.json").write_text(json.dumps([forecast(digest)]))
    write_verdict(run)
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = {f"sim/smooth@{c}": (c - 19) / 5 for c in (20, 21, 22, 23)} | {
        LOCAL: 0.9,
        EVIL: 0.3,
        "bot/random": 0.2,
    }
    return make_run(tmp_path_factory.mktemp("report") / "tiny", models)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.S)))


def test_the_verb_writes_the_page_into_the_run_folder_and_again_the_same(run: Path) -> None:
    result = CliRunner().invoke(command, [str(run)])
    assert result.exit_code == 0, result.output
    first = (run / "report.html").read_bytes()
    write_report(run)
    assert (run / "report.html").read_bytes() == first
    assert not [p for p in run.iterdir() if p.suffix == ".tmp"]


def test_the_page_holds_what_the_folder_holds(run: Path) -> None:
    data = build_report(run)
    assert data.problems == ()
    assert set(data.roles.values()) == {"real", "SIMULATED", "bot"}
    assert sum(s.total for s in data.statuses) == len(read_observations(run))
    assert [c.input_tokens for c in data.costs] == [300 * s.total for s in data.statuses]
    assert all(c.usd is None for c in data.costs)
    (scaling,) = [s for s in data.scalings if s.forecast is not None]
    assert scaling.band is not None and len(scaling.points) == 6
    assert {p.model for p in scaling.points if p.log10_flop is None} == {label(EVIL)}
    assert {p.model for p in scaling.points if p.in_fit} == {
        p.model for p in scaling.points if p.role == "SIMULATED"
    }
    page = text_of(render(data))
    assert "SIMULATED models only in the fit" in page
    for words in (
        "UNRESOLVED: tiny",
        "beats the random floor",
        "10^24.1",
        "too few instances",
        "c0ffee",
    ):
        assert words in page


def test_rates_are_those_of_the_estimates(run: Path) -> None:
    data = build_report(run)
    frame = pd.read_parquet(run / "estimates" / "estimates.parquet")
    row = frame[
        (frame.model == LOCAL)
        & (frame.metric == "success_rate")
        & (frame.family == "ops_horizon")
        & (frame.twin == "base")
    ]
    levels = [r for r in data.levels if (r.model, r.family, r.twin) == (LOCAL, "ops_horizon", "base")]
    total = sum(r.estimate * r.n_instances for r in levels) / sum(r.n_instances for r in levels)
    assert total == pytest.approx(float(row["estimate"].iloc[0]))


def test_a_sample_that_was_not_scored_is_missing_and_never_a_failure(tmp_path: Path) -> None:
    data = build_report(make_run(tmp_path / "r", {LOCAL: 0.9}, status="refused"))
    assert all(r.n_instances == 0 and r.n_missing == 12 and r.estimate != r.estimate for r in data.levels)
    assert "none of" in text_of(render(data))


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ("verdict.json", "NO VERDICT"),
        ("study.yaml", "study.yaml is missing"),
        ("events.jsonl", "events.jsonl is missing"),
        ("estimates", "estimates/ holds no estimate"),
        ("forecasts", "forecasts/ holds no forecast"),
        ("store", "the store holds no observations"),
    ],
)
def test_what_is_missing_is_named_on_the_page(run: Path, tmp_path: Path, piece: str, words: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    path = copy / piece
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    assert words in text_of(write_report(copy).read_text())


@pytest.mark.parametrize(
    "piece",
    ["verdict.json", "study.yaml", "events.jsonl", "estimates/estimates.parquet", "forecasts/forecasts.json"],
)
def test_damage_is_named_and_the_rest_is_still_shown(run: Path, tmp_path: Path, piece: str) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    (copy / piece).write_bytes(b"\xff{\x00: [<script>")
    page = write_report(copy).read_text()
    name = piece.rsplit("/", maxsplit=1)[-1].split(".", maxsplit=1)[0]
    assert any(name in line for line in build_report(copy).problems)
    assert "How far up the ladder of ops_horizon" in page and "<script" not in page


def test_an_empty_folder_gives_a_page_that_rules_nothing_out(tmp_path: Path) -> None:
    page = text_of(write_report(tmp_path).read_text())
    assert "NO VERDICT" in page and "nothing is ruled out" in page


def test_a_folder_that_is_not_there_is_one_line_and_exit_2(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such run folder") as caught:
        write_report(tmp_path / "nowhere")
    assert caught.value.exit_code == 2 and "\n" not in str(caught.value)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_write_permission_is_one_line_and_keeps_the_old_page(
    run: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "copy"))
    copy.chmod(0o500)
    try:
        with pytest.raises(ConfigError, match="cannot write"):
            write_report(copy)
    finally:
        copy.chmod(0o700)


# ---- a real browser


def chromium(folder: Path, page: Path, *more: str) -> subprocess.CompletedProcess[str]:
    profile = folder / f"profile-{len(list(folder.iterdir()))}"
    line = [
        str(CHROMIUM),
        *FLAGS,
        f"--user-data-dir={profile}",
        "--enable-logging=stderr",
        *more,
        page.as_uri(),
    ]
    return subprocess.run(line, capture_output=True, text=True, timeout=90, check=True)


def requests_of(log: Path) -> set[str]:
    """Every URL that a page (not the browser itself) asked for beyond the disk, from the browser's net log."""
    found = set()
    for line in log.read_text(errors="replace").splitlines():
        if '"initiator":"file://' in line or '"initiator":"null' in line:
            found |= {u for u in re.findall(r'"url":"([^"]+)"', line) if not u.startswith(("file:", "data:"))}
    return found


@pytest.fixture(scope="module")
def page(run: Path) -> Iterator[Path]:
    yield write_report(run)


@browser
def test_a_browser_asks_for_nothing_and_complains_of_nothing(page: Path, tmp_path: Path) -> None:
    done = chromium(tmp_path, page, "--dump-dom", f"--log-net-log={tmp_path / 'net.json'}")
    assert "CONSOLE" not in done.stderr
    assert requests_of(tmp_path / "net.json") == set()
    assert "<script" not in done.stdout and "alert(1)" in done.stdout
    assert "<img" not in done.stdout


@browser
def test_the_browser_checks_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        '<!doctype html><img src="http://127.0.0.1:9/x.png"><script>console.error("seen")</script>'
    )
    done = chromium(tmp_path, bad, "--dump-dom", f"--log-net-log={tmp_path / 'net.json'}")
    assert "CONSOLE" in done.stderr
    assert requests_of(tmp_path / "net.json") == {"http://127.0.0.1:9/x.png"}


MEASURE = """<script>
const out = {width: innerWidth, page: document.documentElement.scrollWidth, cut: [], hidden: 0, shown: 0};
for (const svg of document.querySelectorAll('figure svg')) {
  if (!svg.getClientRects().length) { out.hidden += 1; continue; }
  out.shown += 1;
  const room = svg.viewBox.baseVal;
  for (const t of svg.querySelectorAll('text')) {
    const b = t.getBBox();
    if (b.x < -1 || b.x + b.width > room.width + 1 || b.y + b.height > room.height + 1) out.cut.push(t.textContent);
  }
}
parent.postMessage(JSON.stringify(out), '*');
</script>"""
FRAME = """<!doctype html><body><script>
addEventListener('message', e => {
  document.body.textContent = 'MEASURED' + btoa(unescape(encodeURIComponent(e.data))) + 'END';
});
</script><iframe src="inner.html" width="WIDTH" height="900" style="border:0"></iframe>"""


@browser
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_and_nothing_scrolls_sideways(page: Path, tmp_path: Path, width: int) -> None:
    plain = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text())
    (tmp_path / "inner.html").write_text(plain.replace("</body>", MEASURE + "</body>"))
    (tmp_path / "frame.html").write_text(FRAME.replace("WIDTH", str(width)))
    more = ("--dump-dom", "--window-size=1400,1000", "--virtual-time-budget=5000")
    found = re.search(r"MEASURED(\S+?)END", chromium(tmp_path, tmp_path / "frame.html", *more).stdout)
    assert found is not None
    out = json.loads(base64.b64decode(found[1]))
    assert out["width"] == width
    assert out["page"] <= width
    assert out["shown"] == out["hidden"] > 5
    assert out["cut"] == []


@browser
def test_the_page_prints(page: Path, tmp_path: Path) -> None:
    chromium(tmp_path, page, f"--print-to-pdf={tmp_path / 'page.pdf'}")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF") and (
        tmp_path / "page.pdf"
    ).stat().st_size > 20_000
