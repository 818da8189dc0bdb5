"""What the verbs on plain tables answer to bad input, and to 10^7 rows. Writes `docs/bad-input.md`.

python benchmarks/bench_bad_input.py
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
from click.testing import CliRunner

from dangercurve._errors import DangercurveError
from dangercurve._files import write_atomic
from dangercurve.evals.cli import cli
from dangercurve.evals.verbs._common import table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "bad-input.md"
ROWS = 10_000_000
Change = Callable[[pd.DataFrame], pd.DataFrame]
FORECAST = ("forecast", "--threshold", "0.8", "--as-of", "2026-11-01", "--draws", "300")
TIME = ("forecast", "--threshold", "1000", "--as-of", "2026-11-01", "--draws", "300")
DAYS = ("2024-05-31", "31 May 2024", "05/31/2024")


def scores(n: int = 30) -> pd.DataFrame:
    x = np.linspace(20.5, 24, n)
    rng = np.random.default_rng(0)
    p = 1 / (1 + np.exp(-1.5 * (x - 23) - rng.normal(0, 0.1, n)))
    tokens = 10 ** (11.3 + 0.5 * (x - 22))
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in range(n)],
            "family": [f"f{i % 4}" for i in range(n)],
            "N": 10**x / 6 / tokens,
            "D": tokens,
            "flops": 10**x,
            "benchmark": "b",
            "score": rng.binomial(400, p) / 400,
            "chance": 0.0,
            "n_items": 400,
        }
    )


def runs(n: int = 400) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    model, task = rng.integers(0, 3, n), rng.integers(0, 20, n)
    return pd.DataFrame(
        {
            "model": [f"m{i}" for i in model],
            "task_id": [f"t{i}" for i in task],
            "task_family": [f"g{i // 4}" for i in task],
            "human_minutes": 2.0 ** (task / 2),
            "score": (rng.random(n) < 1 / (1 + 2.0 ** (task / 2 - model - 3))).astype(float),
        }
    )


def horizons(n: int = 9) -> pd.DataFrame:
    half = np.arange(n)
    days = [f"{2021 + k // 2}-{1 + 6 * (k % 2):02d}-01" for k in half]
    return pd.DataFrame({"model": [f"m{i}" for i in half], "release_date": days, "p50": 2.0**half})


def losses(n: int = 30) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    N, D = 10 ** rng.uniform(7, 9.5, n), 10 ** rng.uniform(9, 11.5, n)
    loss = (1.7 + 400 / N**0.34 + 410 / D**0.28) * np.exp(rng.normal(0, 0.01, n))
    return pd.DataFrame(
        {"model": [f"m{i}" for i in range(n)], "N": N, "D": D, "flops": 6 * N * D, "loss": loss}
    )


def exams(n: int = 30) -> pd.DataFrame:
    """Two models on many benchmarks, for `compare`."""
    rng = np.random.default_rng(0)
    names = [f"b{k}" for k in range(n)]
    parts = [
        pd.DataFrame({"model": m, "benchmark": names, "score": rng.beta(4, b, n)})
        for m, b in (("m0", 6), ("m1", 4))
    ]
    return pd.concat(parts, ignore_index=True)


def first(column: str, *values: object) -> Change:
    """The first cells of `column` replaced."""
    return lambda f: f.assign(**{column: [*values, *f[column].iloc[len(values) :]]})


FAULTY: dict[str, Change] = {
    "all at the floor": lambda f: f.assign(score=0.0),
    "all at 1": lambda f: f.assign(score=1.0),
    "outside [0, 1]": first("score", 1.5, -0.2),
    "percentages": lambda f: f.assign(score=100 * f["score"]),
    "NaN scores": first("score", np.nan, np.nan),
    "text for scores": lambda f: f.assign(score="good"),
}
SCORES: dict[str, Change] = {
    "empty": lambda f: f.head(0),
    "one model": lambda f: f.head(1),
    "one model family": lambda f: f.assign(family="one"),
    **FAULTY,
    "infinite and negative FLOP": first("flops", np.inf, -1e22),
    "duplicates": lambda f: pd.concat([f, f.head(3)]),
    "duplicates that differ": lambda f: pd.concat([f, f.head(3).assign(score=0.5)]),
    "half the tokens in trillions": lambda f: f.assign(D=np.where(np.arange(len(f)) % 2, f["D"] / 1e12, f["D"])),
    "dates in three formats": lambda f: f.assign(release_date=(DAYS * 10)[: len(f)]),
    "thousandfold FLOP, N and D known": lambda f: first("flops", f["flops"][0] * 1000)(f),
    "thousandfold FLOP, N and D unknown": lambda f: first("flops", *f["flops"][:9], f["flops"][9] * 1000)(
        f.drop(columns=["N", "D"])
    ),
    "no chance floor": lambda f: f.drop(columns="chance"),
    "one compute": lambda f: f.assign(flops=1e22, N=1e22 / 6 / f["D"]),
    "single runs": lambda f: pd.concat([f.assign(score=float(k % 2)) for k in range(8)]),
}  # fmt: skip
LOSSES: dict[str, Change] = {
    "empty": lambda f: f.head(0),
    "one model": lambda f: f.head(1),
    "one token ratio": lambda f: f.assign(D=20 * f["N"], flops=120 * f["N"] ** 2),
    "all alike": lambda f: f.assign(loss=2.0),
    "NaN, zero and infinite losses": first("loss", np.nan, 0.0, np.inf),
    "infinite and negative FLOP": first("flops", np.inf, -1e20),
    "duplicates": lambda f: pd.concat([f, f.head(3)]),
    "duplicates that differ": lambda f: pd.concat([f, f.head(3).assign(loss=9.0)]),
    "half the tokens in trillions": lambda f: f.assign(D=np.where(np.arange(len(f)) % 2, f["D"] / 1e12, f["D"])),
    "tokens in trillions, no FLOP": lambda f: f.assign(D=f["D"] / 1e12).drop(columns="flops"),
    "thousandfold FLOP": lambda f: first("flops", f["flops"][0] * 1000)(f),
    "thousandfold tokens, no FLOP": lambda f: first("D", f["D"][0] * 1000)(f.drop(columns="flops")),
    "scores of 1": lambda f: f.assign(score=1.0).drop(columns="loss"),
    "scores outside [0, 1]": lambda f: first("score", 1.5, -0.2)(f.assign(score=1 - f["loss"] / 20)).drop(columns="loss"),
    "two benchmarks": lambda f: f.assign(benchmark=np.where(np.arange(len(f)) % 2, "b", "c")),
}  # fmt: skip
EXAMS: dict[str, Change] = {
    "empty": lambda f: f.head(0),
    "one model": lambda f: f[f["model"] == "m0"],
    **FAULTY,
    "duplicates": lambda f: pd.concat([f, f.head(3)]),
    "duplicates that differ": lambda f: pd.concat([f, f.head(3).assign(score=0.9)]),
    "no instance in common": lambda f: f.assign(benchmark=f["model"] + f["benchmark"]),
    "rows without a model": first("model", np.nan),
}
RUNS: dict[str, Change] = {
    "empty": lambda f: f.head(0),
    "one model": lambda f: f[f["model"] == "m0"],
    "one task family": lambda f: f.assign(task_family="g"),
    "all failed": lambda f: f.assign(score=0.0),
    "all succeeded": lambda f: f.assign(score=1.0),
    "outside [0, 1]": first("score", 1.5),
    "NaN scores": first("score", np.nan, np.nan),
    "infinite minutes": first("human_minutes", np.inf),
    "negative minutes": first("human_minutes", -1.0),
    "duplicates without run_id": lambda f: pd.concat([f, f.head(5)]),
    "not minutes": lambda f: f.assign(human_minutes=f["human_minutes"] * 1e7),
}
HORIZONS: dict[str, Change] = {
    "empty": lambda f: f.head(0),
    "one model": lambda f: f.head(1),
    "NaN": first("p50", np.nan),
    "negative": first("p50", -1.0),
    "infinite": first("p50", np.inf),
    "duplicates": lambda f: pd.concat([f, f.head(2)]),
    "five date formats": first(
        "release_date", "2021-01-01", "1 July 2021", "01/15/2022", "2022-07", "20230101"
    ),
    "never a record": lambda f: f.assign(p50=5.0),
}


def answer(verb: tuple[str, ...], frame: pd.DataFrame, folder: Path) -> dict[str, object]:
    """Run a verb in this process; its answer in a few words, its notes, and the warnings that Python raised."""
    path = folder / "input.csv"
    frame.to_csv(path, index=False)
    with warnings.catch_warnings(record=True) as raised:
        warnings.simplefilter("always")
        result = CliRunner().invoke(cli, [verb[0], str(path), *verb[1:]])
    error = result.exception
    if isinstance(error, DangercurveError):
        kind, says = "refused", str(error)
    elif result.exit_code:
        raise SystemExit(f"{verb[0]}: {error!r}") from error
    else:
        lines = result.stderr.strip().splitlines()
        head = result.stdout.splitlines()[0].split(" (")[0] if verb[0] == "forecast" else ""
        kind = "answered"
        says = "; ".join([head, *(line.removeprefix("note: ") for line in lines[:4])]).strip("; ")
    return {"answer": kind, "says": says[:260], "warnings": len(raised)}


def cases(folder: Path) -> list[dict[str, object]]:
    groups: list[tuple[str, pd.DataFrame, dict[str, Change], tuple[tuple[str, ...], ...]]] = [
        ("scores", scores(), SCORES, (FORECAST, ("fit",), ("backtest", "--cut-flops", "1e22"))),
        ("losses", losses(), LOSSES, (("fit", "--law", "--bootstrap", "100"),)),
        ("exams", exams(), EXAMS, (("compare", "m0", "m1"),)),
        ("runs", runs(), RUNS, (("horizon", "--bootstrap", "100"),)),
        ("horizons", horizons(), HORIZONS, (("backtest", "--time"), TIME)),
    ]
    rows = []
    for name, frame, changes, verbs in groups:
        for case, change in changes.items():
            for verb in verbs:
                rows.append(
                    {
                        "table": name,
                        "case": case,
                        "verb": " ".join(verb[: 1 + ("--law" in verb)]),
                        **answer(verb, change(frame), folder),
                    }
                )
    return rows


def long_tables(folder: Path) -> None:
    """Two CSV files of ROWS rows: single runs as scores, and runs with lengths."""
    rng = np.random.default_rng(0)
    model, task = rng.integers(0, 60, ROWS), rng.integers(0, 300, ROWS)
    names = pa.DictionaryArray.from_arrays(pa.array(model), pa.array([f"m{i}" for i in range(60)])).cast(
        pa.string()
    )
    x = 20.5 + 3.5 * model / 59
    one = {"model": names, "model_family": names, "flops": 10**x, "benchmark": np.full(ROWS, "b")}
    won = (rng.random(ROWS) < 1 / (1 + np.exp(-1.5 * (x - 23)))).astype(float)
    pa_csv.write_csv(pa.table({**one, "score": won}), folder / "scores.csv")
    minutes = 2.0 ** np.linspace(-2, 9, 300)[task]
    tasks = pa.DictionaryArray.from_arrays(pa.array(task), pa.array([f"t{i}" for i in range(300)])).cast(
        pa.string()
    )
    groups = pa.DictionaryArray.from_arrays(pa.array(task // 4), pa.array([f"g{i}" for i in range(75)])).cast(
        pa.string()
    )
    won = (rng.random(ROWS) < 1 / (1 + np.exp(np.log2(minutes) - model / 10))).astype(float)
    pa_csv.write_csv(
        pa.table(
            {"model": names, "task_id": tasks, "task_family": groups, "human_minutes": minutes, "score": won}
        ),
        folder / "runs.csv",
    )


def long_answers(folder: Path) -> list[dict[str, object]]:
    """Each verb on 10^7 rows in a process of its own: time, peak memory, and what it said."""
    rows = []
    for name, verb in (
        ("scores", ("fit",)),
        ("scores", FORECAST),
        ("scores", ("backtest", "--cut-flops", "1e23")),
        ("scores", ("compare", "m1", "m2")),
        ("runs", ("horizon", "--bootstrap", "1000")),
    ):
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        clock = time.perf_counter()
        command = [sys.executable, "-c", RUN, verb[0], str(folder / f"{name}.csv"), *verb[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        peak = int(done.stderr.rsplit("PEAK", 1)[-1]) / 1024
        lines = [line for line in done.stderr.splitlines() if not line.startswith("PEAK")]
        says = (
            lines[0]
            if done.returncode
            else f"{len(done.stdout.splitlines()) - 4} rows; " + "; ".join(lines[:2])
        )
        rows.append(
            {
                "table": name,
                "verb": verb[0],
                "seconds": f"{time.perf_counter() - clock:.1f}",
                "CPU-s": f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before:.1f}",
                "peak MB": f"{peak:.0f}",
                "exit": done.returncode,
                "says": says[:260],
            }
        )
        print(rows[-1], flush=True)
    return rows


# VmHWM, not ru_maxrss: the latter keeps what the parent held when it forked
RUN = """
import pathlib, sys
from dangercurve.evals.cli import main
try:
    main()
finally:
    status = pathlib.Path("/proc/self/status").read_text()
    print("PEAK", status.split("VmHWM:")[1].split()[0], sep="", file=sys.stderr)
"""


def main() -> None:
    argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        small = cases(folder)
        long_tables(folder)
        large = long_answers(folder)
    total = sum(int(str(row["warnings"])) for row in small)
    page = HEAD.format(n=len(small), warnings=total, rows=f"{ROWS:,}")
    write_atomic(
        PAGE, f"{page}\n{table(large, markdown=True)}\n## Case by case\n\n{table(small, markdown=True)}"
    )


HEAD = """# Bad input, as a user meets it

`python benchmarks/bench_bad_input.py` writes this page. Every case goes through the command line; an answer that is not
clean is a refusal in words (exit 2) or an answer whose flags and dropped rows are printed. {n} cases raised {warnings} Python
warnings. Tables are SIMULATED.

A row of a score table is a model on a benchmark, so a table of more than 2,000,000 rows is refused before it is read, with
what to do; `horizon` reads long tables of runs. Dropped rows are all in `--format json`, the first twenty on the terminal.

## {rows} rows
"""

if __name__ == "__main__":
    main()
