"""What the run behind a claim cost an instance, so that more of it can be priced."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import duckdb

from dangercurve._errors import EvidenceError
from dangercurve._text import printable
from dangercurve.evals.run_folder import database, duck_path, locate, part_paths

COLUMNS = ("usd", "input_tokens", "output_tokens", "working_s")


@dataclass(frozen=True)
class Cost:
    """Means over the instances of one model and family: US dollars where the log has prices, tokens in and out, seconds
    of work; None where no sample says. All samples of an instance (epochs, twins, arms) count towards it."""

    instances: int
    usd: float | None = None
    tokens: float | None = None
    working_s: float | None = None

    def of(self, instances: int) -> str:
        """What that many instances would cost, in words; empty where nothing is known."""
        said = []
        if self.usd is not None:
            said.append(f"${self.usd * instances:,.2f}")
        if self.tokens:
            said.append(f"{self.tokens * instances:,.0f} tokens")
        if self.working_s:
            said.append(f"{self.working_s * instances / 60:,.1f} minutes of work")
        return ", ".join(said)


def cost_of(store: Path | str, model: str, family: str) -> Cost:
    """The cost an instance of `model` on `family` in a run folder. Raises EvidenceError where it cannot be read."""
    paths = [duck_path(path) for path in part_paths(locate(store))]
    if not paths:
        return Cost(0)
    source = "read_parquet(?, union_by_name=true)"
    try:
        with database() as db:
            there = {row[0] for row in db.execute(f"describe select * from {source}", [paths]).fetchall()}
            sums = ", ".join(
                f'sum(try_cast("{c}" as double))' if c in there else "cast(null as double)" for c in COLUMNS
            )
            row = db.execute(
                f"select count(distinct instance_id), {sums} from {source} where model = ? and family = ?",
                [paths, model, family],
            ).fetchone()
    except duckdb.Error as exc:
        raise EvidenceError(f"the store cannot be asked what it cost: {printable(exc, 120)}") from exc
    n = int(row[0]) if row else 0
    if not row or not n:
        return Cost(0)
    usd, read, written, seconds = (None if value is None else float(value) / n for value in row[1:5])
    tokens = None if read is None and written is None else (read or 0.0) + (written or 0.0)
    return Cost(n, usd, tokens, seconds)
