"""Data for tests of the report: a plausible run as report data, a run folder on disk, and hostile texts."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import random
from pathlib import Path
from typing import Any

from dangercurve.analysis.estimates import estimate_all
from dangercurve.analysis.intervals import clopper_pearson
from dangercurve.analysis.report.data import (
    Band,
    Check,
    Claim,
    Cost,
    Forecast,
    LevelRate,
    Panel,
    Point,
    ReportData,
    Scaling,
    Shape,
    Statuses,
    Verdict,
)
from dangercurve.analysis.report.data_panels import (
    Assessment,
    Attempts,
    Behind,
    Cell,
    Difference,
    Elicited,
    Node,
    Prediction,
    Propensity,
    Sample,
    Scenario,
    Survival,
    Watched,
)
from dangercurve.analysis.report.data_roles import Role
from dangercurve.evals.gating.verdict import ClaimResult, Digests, Outcome, PolicyRef, canonical
from dangercurve.evals.gating.verdict import Verdict as GateVerdict
from dangercurve.evals.store import Rows, read_observations, store_digest, write_part

EVIL = "evil/<script>alert(1)</script>\u202e\x00</style><img src=x onerror=alert(1)>"
STATUS = ("scored", "refused", "eval_aware_abstain", "format_failure", "limit_censored", "infra_error")
LOCAL = "openai-api/local/SmolLM2-135M-Instruct"
REAL = "openai-api/local/smollm2-135m-instruct"
HOSTILE = (
    "<script>alert(1)</script>",
    "<svg onload=alert(1)><image href=x onerror=alert(1)>",
    "</style></title></svg><h1 id=forged>RULED OUT</h1>",
    '"><a href="https://example.org/x" onmouseover="alert(1)">',
    "\u202egnp.exe \u2066evil\u2069",
    "null\x00byte \x1b[31mred\x1b[0m",
    "{{ 7*7 }}{% include 'x' %}",
    "A" * 1_000_000,
    "Z" + "\u0301" * 500,
    "]]><!-- --><![CDATA[",
    "\ud800 lone",
)


def sample(
    n_models: int = 7, n_families: int = 2, *, scored: bool = True, real: bool = True, name: str = "quickstart",
    status: str = "identified", text: str = "",
) -> ReportData:  # fmt: skip
    """A plausible run: simulated models over compute, one local model, a forecast, a verdict. `text` is put everywhere."""
    models: list[tuple[str, str, Role, float | None]] = [
        (f"sim/{text or 'smooth'}{i % n_families}@{c:.1f}", f"{text or 'sim'}-{i % n_families}", "SIMULATED", c)
        for i, c in enumerate(19 + 5 * i / max(n_models - 1, 1) for i in range(n_models))
    ]  # fmt: skip
    if real:
        models.append((LOCAL + text, "smollm2", "real", 21.2))
    ability = {m: 1 / (1 + math.exp(-(c or 19) + 22.3)) for m, _, _, c in models}

    def rate(p: float, n: int) -> tuple[float, float, float]:
        if not scored:
            return math.nan, 0.0, 1.0
        k = round(p * n)
        return k / n, *clopper_pearson(k, n)

    levels = [
        LevelRate(
            m,
            role,
            family,
            "choice",
            twin,
            level,
            *rate(p, 40),
            40 if scored else 0,
            0 if scored else 40,
            0.25,
        )
        for m, _, role, _ in models
        for family in ("ops_horizon", "toy_vuln" + text)
        for twin, cut in (("base", 1.0), ("surface", 0.9), ("rule_flip", 0.6))
        for level in range(4 if role == "SIMULATED" else 2)
        for p in [min(0.98, 0.25 + (0.15 if role == "real" else 0.75 * ability[m]) * cut * (1 - level / 5))]
    ]
    points = tuple(Point(m, f, role, c, *rate(ability[m], 160), 160) for m, f, role, c in models)
    grid = tuple(18.5 + 0.25 * i for i in range(40))
    curve = [1 / (1 + math.exp(-(x - 22.3))) for x in grid]
    band = Band(
        grid, tuple(max(v - 0.17, 0) for v in curve), tuple(curve), tuple(min(v + 0.15, 1) for v in curve)
    )
    found = status == "identified"
    forecast = Forecast(
        family="ops_horizon", metric="success_rate", event=f"success_rate >= 0.9{text}", threshold=0.9, form="pooled",
        status=status, log10_c=(23.4, 24.5, 26.3) if found else (None, None, None),
        date=("2026-12-01", "2028-03-01", None) if found else (None, None, None), p_never=0.08 if found else None,
        p_within=(("0.5", 0.12), ("1", 0.4)),
        p_by=tuple((f"{2026 + i}-12-31", min(0.86, 0.05 + 0.13 * i)) for i in range(11)) if found else (),
        frontier="physical", cap=32.0, as_of="2026-11-21", p_breached=0.04 if found else None,
        shapes=(Shape("logistic" + text, 0.5, 23.5, 24.4, 25.9, 0.0, "", dated(0.05) if found else ()),
                Shape("gompertz", 0.3, 23.6, 24.9, 26.8, 0.02, "", dated(0.02) if found else ()),
                Shape("saturating", 0.2, 23.9, 25.6, None, 0.31)),
        worst_case=(23.0, 24.0, 25.6), scope="all", seed="7", simulated=True,
    )  # fmt: skip
    scalings = (
        Scaling("ops_horizon", "success_rate", "success rate", "share of instances", "logit", points, 0.25,
                band if scored else None, forecast, 0.8),
        Scaling("toy_vuln", "h50_steps", "horizon at 50 % success", "oracle steps", "log2",
                tuple(dataclasses.replace(p, estimate=2 ** (4 * p.estimate + 1), lcb=2 ** (4 * p.lcb), ucb=math.inf)
                      for p in points)),
    )  # fmt: skip
    claims = (
        Claim("agentic.ops.T1" + text, "measure", "UNRESOLVED", "UNRESOLVED", "ops_horizon", "success_rate", "share",
              "logit", "up", 0.05, 0.4, 0.33, 0.48, 0.62, 0.7, 0.4, 0.5, 1.24, -0.12, 0.4, 120.0, 40, 160, 0.02,
              (("E", 0.5, "prior: empty ledger"), ("G", 0.72, "prior"), ("M", 0.0, "policy line")),
              (Panel("sandbagging_panel", False, "no panel" + text),), ("awareness panel failed" + text,),
              "120 more instances", "", ""),
        Claim("agentic.ops.T2", "measure", "RULED_OUT", "RULED_OUT", "ops_horizon", "h50_steps", "oracle steps", "log2", "up",
              0.05, 6.1, 4.2, 9.3, 33.0, 41.0, 128.0, 512.0, 0.064, 479.0, None, None, 40, None, 0.0),
        Claim("safeguard.breach", "breach", "INVALID", "INVALID", "guard_breach", "survival_at", "probability",
              "logit", "down", 0.05, T=0.9, W=0.95, reasons=("no estimate of survival_at in guard_breach",)),
        Claim("agentic.ops.forecast", "forecast", "APPROACHING", "APPROACHING", "ops_horizon", "success_rate",
              "probability within +0.5 OOM", "linear", "up", 0.05, 0.07, B=0.07, W=0.05, T=0.10, proximity=0.7,
              margin_score=0.03),
    )  # fmt: skip
    verdict = Verdict("INVALID", f"SIMULATED INVALID: 1 of 4 claims lacks its evidence {text}", LOCAL + text, True, 4,
                      "2026-11-21T12:00:00Z", "internal", "light", "internal-example", "2026-11-01", claims,
                      (Panel("months", True, "0 of 6 months"),), ("a new checkpoint" + text,), ("note " + text,), (),
                      (("logs/a.eval" + text, "s1", "uuid"),))  # fmt: skip
    counts = (120, 3, 0, 9, 4, 1) if scored else (0, 40, 0, 60, 0, 37)
    rest = panels(text, [(m, role) for m, _, role, _ in models], scored=scored)
    return ReportData(
        name=name + text, version="0.1", verdict=verdict, scalings=scalings, forecasts=(forecast,), levels=tuple(levels),
        status_names=STATUS, statuses=tuple(Statuses(m, role, counts) for m, _, role, _ in models),
        costs=tuple(Cost(m, role, sum(counts), 41_000, 2_300, None, 210.0) for m, _, role, _ in models),
        log10_flop={m: c for m, _, _, c in models if c is not None},
        facts=(("tier", "light"), ("salt", "dev" + text)), digests=(("policy", "ab" * 32), ("store" + text, "cd" * 32)),
        comparability=(("0f" * 8, "ops_horizon", 1234),), problems=("events.jsonl is missing" + text,),
        checklist=(Check("N, D and C known", True, ""), Check("several benchmarks", False, "one" + text),
                   Check("contamination", None, "")),
        as_of="2026-11-21T12:00:00Z", **rest,
    )  # fmt: skip


def dated(start: float) -> tuple[tuple[str, float], ...]:
    """Chances by the ends of eleven years."""
    return tuple((f"{2026 + i}-12-31", min(0.9, start + 0.12 * i)) for i in range(11))


def panels(text: str, models: list[tuple[str, Role]], *, scored: bool) -> dict[str, Any]:
    """Data of every panel beside capability and forecast, for these models; none of it where nothing was scored."""
    if not scored or not models:
        return {}
    own, role = models[-1]
    km = tuple((float(t), 1 - 0.08 * t, max(1 - 0.13 * t, 0.0), min(1 - 0.03 * t, 1.0)) for t in range(9))
    at_risk = tuple((float(2 * t), 40 - 8 * t) for t in range(5))
    weak = tuple((t, s**3, lo**3, hi**2) for t, s, lo, hi in km)
    history = tuple(
        Assessment(f"2026-{6 + i:02d}-01T00:00:00Z", own, claim + text,
                   "WAIVED" if (i, k) == (2, 0) else "UNRESOLVED", "full",
                   "internal", 0.3 + 0.1 * i, 0.9, 0.35 + 0.14 * i + 0.2 * k, "suite-1" if i < 3 else "suite-2",
                   (i, k) == (2, 0), False)
        for i in range(5)
        for k, claim in enumerate(("agentic.ops.T1", "misuse.vuln.T1"))
    )  # fmt: skip
    return {
        "survival": (Survival("rules" + text, "attempts", False, km, at_risk, 40, 24),
                     Survival("classifier", "attempts", True, weak, at_risk, 40, 36)),
        "attempts": tuple(
            Attempts(m, r, "ops_horizon", "choice", tuple((k, 1 - 0.8**k, 1 - 0.84**k, 1 - 0.75**k) for k in range(1, 6)), 40)
            for m, r in models[-2:]
        ),
        "history": history,
        "differences": tuple(
            Difference(own, m, r, "ops_horizon", 0.1 * i - 0.2, 0.1 * i - 0.35, 0.1 * i - 0.05, -0.6, 0.5, 0.2, 40, 2)
            for i, (m, r) in enumerate(models[:-1][:6])
        ),
        "elicited": (Elicited(own, role, "ops_horizon", "success_rate", "kappa", "logit",
                              ((1.0, 0.2, 0.1, 0.3), (2.0, 0.3, 0.2, 0.42), (4.0, 0.35, 0.24, 0.47)), "rising", 0.8),),
        "propensities": (
            *(
                Propensity(m, r, "threshold_sandbag" + text, metric, label, 0.1 * i, 0.1 * i - 0.15,
                           min(0.1 * i + 0.2, 1.0), 30)
                for i, (m, r) in enumerate(models[-3:])
                for metric, label in (("sandbagging_gap", "sandbagging gap"), ("eval_awareness_effect", "awareness effect"),
                                      ("imitation_index", "imitation index"))
            ),
            Propensity(own, role, "pressured_report", "deception_likelihood", "deception", *[math.nan] * 3, 0, 9, 4),
        ),
        "watched": tuple(
            Watched(m, r, "covert_side_task", "choice" + text, monitor + text, "SIMULATED" if "sim/" in monitor else "real",
                    "trace", "code", (0.9, 0.8, 0.97), auroc, None if auroc is None else (0.1, 0.0, 0.4), None, 40, 40, i)
            for i, (m, r) in enumerate(models[-1:])
            for monitor, auroc in (("rule", (0.9, 0.8, 0.95)), ("length", (0.5, 0.44, 0.56)), ("sim/eye@22", None))
        ),
        "predictions": tuple(
            Prediction(f"lab/model-{i}{text}", "ops_horizon", "success_rate", "logit", 22.0 + i / 3, 0.4 + 0.05 * i,
                       0.2 + 0.05 * i, 0.6 + 0.05 * i, actual, None if actual is None else actual < 0.7, "2026-10-01", i > 2)
            for i, actual in enumerate((0.5, 0.9, None, 0.45))
        ),
        "scenarios": (Scenario("theft" + text, (Node("access" + text, 0.5, 0.3, 0.7, 0.1, False, "40 instances"),
                                                Node("transfer", 0.1, 0.02, 0.3, 0.5, True, "60 instances"),
                                                Node("cover", None, 0.0, 1.0, None, False, "no evidence")),
                               None, 0.0, 0.21, False),),
        "behind": tuple(
            Behind(m, r, "ops_horizon", (Cell("choice" + text, "base", 0, 3, 1, 1, (
                Sample("s1" + text, 1, "refused", ""),
                Sample("s2", 2, "failed", "view/index.html#/logs/a%20b.eval/samples/sample/s2/2/"),
                Sample("s3", 1, "succeeded", "view/index.html#/logs/a%20b.eval/samples/sample/s3/1/"))),),
                   (("a b.eval" + text, "view/index.html#/logs/a%20b.eval"),))
            for m, r in models
        ),
    }  # fmt: skip


def write_rows(
    run: Path, model: str, p: float, *, levels: int = 3, n: int = 12, status: str = "scored"
) -> None:
    rng = random.Random(f"{model}{p}")
    digest = hashlib.sha256(model.encode("utf-8", "surrogatepass")).hexdigest()
    (run / "logs" / "cell").mkdir(parents=True, exist_ok=True)
    (run / "logs" / "cell" / f"{digest[:8]} a.eval").write_bytes(b"a log that no test opens")
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
    shared = {"log_sha256": digest, "log_path": f"{digest[:8]} a.eval"}
    write_part(run, digest, Rows.of([{**row, **shared} for row in rows]))


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
    verdict = GateVerdict(
        as_of="2026-11-21T12:00:00+00:00", subject=REAL, simulated=False, profile="none", tier="light", strict=False,
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
