"""The page on misuse scenarios: the shipped trees, and one assessed on a SIMULATED run with known curves.

OMP_NUM_THREADS=1 python benchmarks/bench_scenarios.py
"""

from __future__ import annotations

import datetime as dt
import math
import tempfile
from pathlib import Path

from dangercurve.analysis.scenario_risk import Evidence, scenario_risk
from dangercurve.analysis.scenarios import Scenarios, edges_of, load_scenarios, milestones_of
from dangercurve.evals.gating.gate_world import World, write_run
from dangercurve.evals.scenario_run import Assessed, assess_scenarios
from dangercurve.evals.verbs._common import table

PAGE = Path(__file__).parent.parent / "docs" / "scenarios.md"
TEXT = Path(__file__).with_name("scenarios.md.in")
AS_OF = dt.date(2026, 11, 22)
DATES = (dt.date(2028, 12, 31), dt.date(2030, 12, 31))
KNOWN = {"toy_vuln": 23.0, "fault_recovery": 24.0, "amnesia_ops": 25.0, "intrusion_path": 25.5}
"""Families of the simulated run, with the log10 FLOP at which the true success rate is one half."""


def simulated(root: Path) -> Assessed:
    """Seven sizes of a simulated family, 60 instances each, played on four families."""
    worlds = []
    for family, half in KNOWN.items():
        for k in range(7):
            c = 20.0 + 0.75 * k
            wins = round(60 / (1 + math.exp(-1.6 * (c - half))))
            model = f"sim/smooth@{c:g}"
            worlds.append(World(model=model, family=family, success=[1] * wins + [0] * (60 - wins)))
    return assess_scenarios(write_run(root, worlds), as_of=AS_OF, dates=DATES, n_draws=1000)


def trees(file: Scenarios) -> str:
    """Each scenario as an indented list with the reason on every edge."""
    parts = []
    for scenario in file.scenarios.values():
        lines = [f"**{scenario.label}** ({scenario.needs.words})", ""]
        for depth, edge in edges_of(scenario):
            what = file.milestones[edge.milestone].label if edge.milestone else edge.words
            lines.append(f"{'  ' * depth}- {what}: {edge.why}")
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def dependence(file: Scenarios) -> str:
    """P of the scenario on cyber attacks at several correlations, every milestone at one half."""
    scenario = file.scenarios["cyber_attack_automation"]
    half = {m: Evidence(0.5, 0.5, 0.5, "given") for m in milestones_of(scenario)}
    rows = []
    for r in (0.0, 0.25, 0.5, 0.75, 0.95):
        found = scenario_risk(scenario, half, correlation=r)
        rows.append(
            {
                "correlation": r,
                "P": found.p,
                "any dependence": f"{found.frechet_low:.3f} to {found.frechet_high:.3f}",
            }
        )
    return table(rows, markdown=True)


def main() -> None:
    """Write docs/scenarios.md."""
    file = load_scenarios()
    with tempfile.TemporaryDirectory() as folder:
        found = simulated(Path(folder))
    milestones = [
        {"milestone": name, "capability": m.label, "event": m.event, "built": "no" if m.planned else "yes"}
        for name, m in file.milestones.items()
    ]
    evidence = [
        {"milestone": name, "at": when, "p": e.p, "low": e.low, "high": e.high, "source": e.source}
        for name, at in found.evidence.items()
        for when, e in at.items()
        if at["now"].p is not None
    ]
    text = TEXT.read_text(encoding="utf-8").format(
        milestones=table(milestones, markdown=True), trees=trees(file), dependence=dependence(file),
        evidence=table(evidence, markdown=True), risks=table(found.rows(), markdown=True), correlation=file.correlation,
    )  # fmt: skip
    PAGE.write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
