"""`dangercurve forecast`: when a capability curve crosses a threshold."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from dangercurve._errors import ConfigError
from dangercurve.evals.verbs._common import emit, notes, output_options

if TYPE_CHECKING:
    from datetime import date

    from dangercurve.analysis.forecast import Forecast
    from dangercurve.analysis.frontier import FrontierDraws
    from dangercurve.analysis.points import Points


@click.command()
@click.argument("table", type=click.Path(path_type=Path))
@click.option("--threshold", type=float, help="Level in the metric's unit (a rate: 0 to 1).")
@click.option(
    "--scenarios", metavar="FILE|shipped", help="Misuse scenarios over the milestones of a run folder."
)
@click.option("--correlation", type=float, help="Of the milestones' latent scores, with --scenarios.")
@click.option("--benchmark", help="Benchmark of a score table; needed where it has several.")
@click.option("--metric", default="success_rate", show_default=True, help="Metric of a store or estimates.")
@click.option(
    "--where", multiple=True, metavar="COLUMN=VALUE", help="Condition of the estimates. Repeatable."
)
@click.option("--subject", help="Model that the forecast is about; default: a new model of a new family.")
@click.option("--model-family", help="Model family whose next model is asked about.")
@click.option(
    "--roadmap", type=click.Path(path_type=Path), help="Your planned runs: CSV or YAML, date and flop."
)
@click.option(
    "--horizons", type=click.Path(path_type=Path), help="Direct time route: model, release_date, p50."
)
@click.option("--horizon-threshold", type=float, help="Minutes that stand for --threshold on --horizons.")
@click.option("--scenario", default="break", show_default=True, help="break, no_break or growth_feedback.")
@click.option("--cap", type=float, default=32.0, show_default=True, help="log10 FLOP; beyond is never.")
@click.option("--shape", "shapes", multiple=True, help="Only these curve shapes. Repeatable.")
@click.option("--sandbagging", type=float, default=0.0, show_default=True, help="Allowance, metric's scale.")
@click.option(
    "--contamination", type=float, default=0.0, show_default=True, help="Allowance, metric's scale."
)
@click.option("--as-of", "as_of_text", metavar="DATE", help="Day of the forecast; default today.")
@click.option("--by", multiple=True, metavar="DATE", help="Dates for the probability of breach. Repeatable.")
@click.option("--draws", type=int, default=2000, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--ledger", type=click.Path(path_type=Path), help="Record in, and score, a forecast ledger.")
@click.option(
    "--next", "upcoming", multiple=True, metavar="MODEL=FLOP", help="Predict this model, with --ledger."
)
@click.option("--map", "mapping", multiple=True, metavar="NAME=COLUMN", help="Our column name = the table's.")
@output_options
def command(
    table: Path, threshold: float | None, scenarios: str | None, correlation: float | None,
    benchmark: str | None, metric: str, where: tuple[str, ...],
    subject: str | None, model_family: str | None, roadmap: Path | None, horizons: Path | None,
    horizon_threshold: float | None, scenario: str, cap: float,
    shapes: tuple[str, ...], sandbagging: float, contamination: float, as_of_text: str | None,
    by: tuple[str, ...], draws: int, seed: int, ledger: Path | None, upcoming: tuple[str, ...],
    mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    """Compute and date at which a capability crosses a threshold, from a TABLE of scores, estimates, or a run folder.

    Horizons (minutes or steps) with release dates also take the direct route in time, beside the one by compute; a
    TABLE with model, release_date, p50 and no compute takes that route alone. --scenarios asks, instead of one threshold,
    whether all capabilities of a misuse scenario are there, now and by each --by.

    Example: dangercurve forecast scores.csv --benchmark MMLU --threshold 0.9 --format json
    """
    from datetime import date

    from dangercurve.analysis.forecast import Allowance, forecast
    from dangercurve.analysis.frontier import frontier_draws
    from dangercurve.analysis.roadmap import read_roadmap, roadmap_draws
    from dangercurve.evals.fitting.scale_study import load_points, load_records, only_horizons
    from dangercurve.evals.ladder.forecasts import own_frontier

    if draws < 100:
        raise ConfigError(f"--draws {draws}: give at least 100")
    if seed < 0:
        raise ConfigError(f"--seed {seed}: give 0 or more")
    today = _day(as_of_text) if as_of_text else date.today()
    if scenarios is not None:
        days = [_day(d) for d in by]
        _scenarios(table, scenarios, subject, today, days, correlation, draws, seed, fmt, output)
        return
    if correlation is not None:
        raise ConfigError("--correlation belongs to --scenarios")
    if threshold is None:
        raise click.UsageError("Missing option '--threshold'.")
    if only_horizons(table, mapping):
        _in_time(table, threshold, today, [_day(d) for d in by], draws, seed, mapping, fmt, output)
        return
    study = load_points(table, benchmark=benchmark, metric=metric, where=where, mapping=mapping)
    records, said = load_records(horizons) if horizons is not None else (None, ())
    if horizon_threshold is not None and records is None:
        raise ConfigError("--horizon-threshold belongs to --horizons FILE")
    if records is not None and horizon_threshold is None and study.points.scale != "log2":
        raise ConfigError(
            "--horizons needs --horizon-threshold MINUTES: the threshold of this metric is no time"
        )
    front: FrontierDraws
    if roadmap is not None:
        front = roadmap_draws(read_roadmap(roadmap), seed=seed)
    else:
        own = own_frontier(study.points.frame["model"], seed)
        front = frontier_draws(scenario=scenario, seed=seed) if own is None else own
    result = forecast(
        study.points, threshold, as_of=today, subject=subject, model_family=model_family, frontier=front,
        cap=cap, shapes=shapes or None, allowance=Allowance(sandbagging, contamination),
        dates=[_day(d) for d in by], n_draws=draws, seed=seed, store_digest=study.store_digest,
        records=records, record_threshold=horizon_threshold,
    )  # fmt: skip
    if ledger is not None:
        _record(ledger, study.points, result, upcoming, seed)
    elif upcoming:
        raise ConfigError("--next needs --ledger FILE to be recorded in")
    notes((*result.flags, *said, *_route_notes(result), *result.dropped))
    emit(result.as_dict(), fmt, output, rows=_rows(result), title=_title(result))


def _scenarios(
    run: Path, scenarios: str, subject: str | None, today: date, days: list[date],
    correlation: float | None, draws: int, seed: int, fmt: str, output: Path | None,
) -> None:  # fmt: skip
    from dangercurve.evals.scenario_run import assess_scenarios

    if not run.is_dir():
        raise ConfigError("--scenarios needs a run folder with estimates, not a table")
    found = assess_scenarios(
        run, file=None if scenarios == "shipped" else Path(scenarios), subject=subject, as_of=today,
        dates=days, correlation=correlation, n_draws=draws, seed=seed,
    )  # fmt: skip
    who = subject or "the strongest model of the run"
    title = (
        f"{'SIMULATED: ' if found.simulated else ''}P(all required capabilities are present), {who}; "
        f"proxies in fictional worlds; correlation {found.correlation:g}, as of {found.as_of}, seed {seed}"
    )
    emit(found.as_dict(), fmt, output, rows=found.rows(), title=title)


def _in_time(
    table: Path, threshold: float, today: date, by: list[date], draws: int, seed: int,
    mapping: tuple[str, ...], fmt: str, output: Path | None,
) -> None:  # fmt: skip
    from dangercurve.analysis.forecast_time import forecast_in_time
    from dangercurve.evals.fitting.scale_study import load_records

    records, said = load_records(table, mapping)
    result = forecast_in_time(records, threshold, as_of=today, dates=by, n_draws=draws, seed=seed)
    notes((*result.flags, *said))
    emit(result.as_dict(), fmt, output, rows=_rows(result), title=_title(result))


def _route_notes(result: Forecast) -> list[str]:
    """What the direct time route says against the compute route."""
    route = result.time_route
    if route is None:
        return []
    apart = route["disagreement"]
    if not isinstance(apart, dict):
        return ["direct time route alone: the compute route has no date to set beside it"]
    return [f"{apart['says']}; P(direct route first) {apart['p_direct_first']:.2f}"]


def _record(path: Path, points: Points, result: Forecast, upcoming: tuple[str, ...], seed: int) -> None:
    from dangercurve.analysis.ledger import Ledger, predict_model

    book = Ledger.open(path)
    scored = book.score(points, as_of=result.as_of)
    for item in upcoming:
        model, separator, flop = item.rpartition("=")
        try:
            budget = float(flop)
        except ValueError:
            separator = ""
            budget = 0.0
        if not separator or not budget > 0:
            raise ConfigError(f"--next {item}: write MODEL=FLOP, for example --next my/next-model=3e25")
        prediction = predict_model(points, model, budget, as_of=result.as_of, seed=seed)
        book.add_prediction(prediction, points)
    book.add_forecast(result)
    click.echo(f"ledger {path}: {scored} scored, head {book.head[:12]}", err=True)


def _day(text: str) -> date:
    from datetime import date

    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(f"'{text}' is no date: write YYYY-MM-DD") from exc


def _title(result: Forecast) -> str:
    mark = "SIMULATED: " if result.simulated else ""
    return (
        f"{mark}{result.event}: {result.status.replace('_', ' ')} "
        f"({result.n_models} {'records' if result.frontier == 'time' else 'models'}, "
        f"{result.n_families} model families, frontier {result.frontier}, "
        f"as of {result.as_of}, seed {result.seed})"
    )


def _rows(result: Forecast) -> list[dict[str, object]]:
    def row(name: str, log10_c: object, date: object, p_never: object, p_within: object) -> dict[str, object]:
        c = log10_c if isinstance(log10_c, dict) else {}
        d = date if isinstance(date, dict) else {}
        p = p_within if isinstance(p_within, dict) else {}
        return {
            "reading": name,
            **{f"log10 C* {q}": c.get(q) for q in ("q05", "q50", "q95")},
            **{f"date {q}": d.get(q) for q in ("q05", "q50", "q95")},
            "P never": p_never,
            "P within 1 OOM": p.get("1"),
        }

    first = "direct time route" if result.frontier == "time" else "all shapes"
    rows = [row(first, result.log10_c, result.date, result.p_never, result.p_within)]
    if result.frontier != "time" and result.time_route is not None:
        route = result.time_route
        rows.append(row("direct time route", None, route["date"], route["p_never"], None))
    for shape in result.shapes:
        weight = shape["weight"]
        label = (
            f"{shape['shape']} (weight {weight:.2f})" if isinstance(weight, float) else str(shape["shape"])
        )
        rows.append(row(label, shape["log10_c"], shape["date"], shape["p_never"], shape["p_within"]))
    worst = result.missing_worst_case
    if worst is not None:
        rows.append(
            row(
                "missing data, worst case",
                worst["log10_c"],
                worst["date"],
                worst["p_never"],
                worst["p_within"],
            )
        )
    raw = result.without_allowance
    if raw is not None:
        rows.append(row("without allowance", raw["log10_c"], raw["date"], raw["p_never"], raw["p_within"]))
    other = result.effective
    if other is not None:
        rows.append(
            row("effective compute", other["log10_c"], other["date"], other["p_never"], other["p_within"])
        )
    return rows
