"""Choose among a few candidate settings on a short budget: `python -m everloop.learn.tune <folder>`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from everloop.learn.job import TUNED, Job, Tuned, put, take
from everloop.learn.train import encoder_of, fit_parts

if TYPE_CHECKING:
    import pyarrow as pa


def tune(examples: pa.Table, job: Job) -> Tuned:
    """Fit each of the policy's candidates for `tuning_rounds`; the lowest validation log loss wins, the first on a tie."""
    encoder = encoder_of(examples, job)
    tried = tuple(
        (dict(candidate), fit_parts(examples, encoder, job, dict(candidate), job.policy.tuning_rounds).loss)
        for candidate in job.policy.candidates
    )
    return Tuned(overrides=min(tried, key=lambda one: one[1])[0], tried=tried)


def main(folder: Path) -> None:
    """Read a job from `folder`, leave `tuned.json` there."""
    job, examples = take(folder)
    put(folder, TUNED, msgspec.json.encode(tune(examples, job)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
