"""What the progress of a run costs: microseconds an episode, milliseconds a snapshot, against a cheap sample.

    python benchmarks/bench_progress.py [--episodes 40000]

Prints one line; docs/track.md quotes it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from dangercurve.evals.progress.progress import SHARE, Progress
from dangercurve.evals.study import cells_of, load_study
from dangercurve.tasks.kernel.watch import Cell, Seen

STUDY = "name: cost\nmodels: [bot/oracle]\ntasks: [ops_horizon]\nlevels: [0, 1, 2, 3]\ninterfaces: [choice]\nn: {n}\n"
CHEAP_S = 0.016
"""A sample of two calls of a bot (docs/harness-cost.md)."""


def main() -> None:
    """Count episodes, then take two snapshots: the first loads what bounds need."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--episodes", type=int, default=40_000)
    count = parser.parse_args().episodes
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(STUDY.format(n=count))
        study, _ = load_study(folder / "study.yaml")
        progress = Progress(study, cells_of(study), folder, every_s=1e9)
        cell = Cell("bot/oracle", "ops_horizon", "choice")
        told = [
            Seen(
                cell,
                f"{i % 4}|base",
                f"s{i} epoch 1",
                "scored",
                2,
                10,
                1.0,
                (),
                0,
                False,
                f"i{i}",
                float(i % 3 > 0),
                100,
            )
            for i in range(count)
        ]
        began = time.process_time()
        for seen in told[:-1]:
            progress.saw(seen)
        each = (time.process_time() - began) / count
        snapshots = []
        for _ in range(2):
            began = time.process_time()
            progress.snapshot("running", "episodes")
            snapshots.append(time.process_time() - began)
            progress.saw(told[-1])
    print(
        f"{each * 1e6:.1f} us an episode ({each / CHEAP_S:.2%} of a cheap sample), first snapshot "
        f"{snapshots[0] * 1e3:.0f} ms, next {snapshots[1] * 1e3:.1f} ms, at most {SHARE:.0%} of the time"
    )


if __name__ == "__main__":
    main()
