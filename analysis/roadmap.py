"""An organisation's own roadmap: planned training runs with dates and FLOP, as draws of a frontier."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from dangercurve._errors import ConfigError, DataError
from dangercurve._text import printable
from dangercurve.analysis.dates import DAYS_PER_YEAR, decimal_year
from dangercurve.analysis.frontier import FrontierDraws

LEAST_FLOP, MOST_FLOP = 1e9, 1e35  # less than any training, and a log10 written for FLOP
YEARS_AFTER = 5.0


class PlannedRun(BaseModel):
    """One planned run: `date`, `flop`, and how uncertain both are (standard deviations; 0 is a fixed plan)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    date: date
    flop: float
    name: str | None = None
    date_sd_days: float = 0.0
    log10_flop_sd: float = 0.0


@dataclass(frozen=True)
class Roadmap:
    """Planned runs in order of date."""

    runs: tuple[PlannedRun, ...]


def read_roadmap(path: Path | str) -> Roadmap:
    """A roadmap from CSV or YAML: `date, flop, name?, date_sd_days?, log10_flop_sd?`, one row a run.

    YAML is a list of such mappings, or a mapping with the list under `runs`. Raises ConfigError, DataError.
    """
    file = Path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"cannot read the roadmap {printable(file)}: {printable(exc, 100)}") from exc
    if file.suffix.lower() == ".csv":
        rows: object = [
            {k: v for k, v in row.items() if v not in ("", None)} for row in csv.DictReader(text.splitlines())
        ]
    elif file.suffix.lower() in (".yaml", ".yml"):
        try:
            loaded = yaml.safe_load(text)
        except yaml.YAMLError as exc:
            raise ConfigError(f"{printable(file)} is no YAML: {str(exc).splitlines()[0]}") from exc
        rows = loaded.get("runs") if isinstance(loaded, dict) else loaded
    else:
        raise ConfigError(f"{printable(file)}: unknown kind '{file.suffix}'; use .csv or .yaml")
    if not isinstance(rows, list) or not rows:
        raise DataError(f"the roadmap {printable(file)} lists no runs; give date and flop for each")
    runs = []
    for number, row in enumerate(rows, start=1):
        try:
            run = PlannedRun.model_validate(row)
        except ValidationError as exc:
            first = exc.errors()[0]
            place = ".".join(str(part) for part in first["loc"]) or "row"
            raise DataError(f"roadmap run {number}: {place}: {first['msg']}") from exc
        if not LEAST_FLOP <= run.flop <= MOST_FLOP:
            raise DataError(f"roadmap run {number}: flop {run.flop:g} is outside 1e9 to 1e35 FLOP")
        if not (0 <= run.date_sd_days <= 3650 and 0 <= run.log10_flop_sd <= 3):
            raise DataError(
                f"roadmap run {number}: date_sd_days must lie in [0, 3650] and log10_flop_sd in [0, 3]"
            )
        runs.append(run)
    return Roadmap(tuple(sorted(runs, key=lambda run: run.date)))


def roadmap_draws(
    roadmap: Roadmap, n_draws: int = 4000, *, step: float = 1 / 52, seed: int = 0
) -> FrontierDraws:
    """Draws of the largest run of the roadmap: a step at each planned date, nothing beyond the last plan.

    Dates and log10 FLOP are drawn normally about the plan; between runs the frontier stands still. The grid ends
    `YEARS_AFTER` years after the last plan, where "not reached" means "not on the roadmap".
    """
    if not roadmap.runs:
        raise DataError("the roadmap lists no runs")
    rng = np.random.default_rng(seed)
    planned = np.array([decimal_year(run.date) for run in roadmap.runs])
    size = np.log10([run.flop for run in roadmap.runs])
    date_sd = np.array([run.date_sd_days for run in roadmap.runs]) / DAYS_PER_YEAR
    flop_sd = np.array([run.log10_flop_sd for run in roadmap.runs])
    shape = (n_draws, len(planned))
    dates = planned + date_sd * rng.standard_normal(shape)
    sizes = size + flop_sd * rng.standard_normal(shape)
    start, end = planned[0] - 1.0, planned[-1] + YEARS_AFTER
    grid = np.unique(np.concatenate([np.arange(start, end, step), planned, [end]]))
    paths = np.full((n_draws, len(grid)), -np.inf)
    for run in range(len(planned)):
        done = grid >= dates[:, run : run + 1] - 1e-9
        paths = np.where(done, np.maximum(paths, sizes[:, run : run + 1]), paths)
    return FrontierDraws(grid, paths, "roadmap", "roadmap", seed)
