"""A small year like that of the flights, with a model whose scores are right until they are not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import numpy as np
import pyarrow as pa

from benchmarks import world
from benchmarks.flights_year import Trained2013, Year, moment
from everloop.decide.statistics.clusters import blocks
from everloop.decide.watch import performance
from everloop.learn.metrics import measure
from everloop.learn.reference import Blocks, describe

START = datetime(2013, 1, 1, tzinfo=UTC)
DAYS, A_DAY = 84, 240
TURNED = START + timedelta(days=70)
"""From here on labels follow the scores the wrong way round."""


def chances(weather: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(1.2 - 0.9 * weather))


def year() -> Year:
    """Twelve weeks; from the fifth on it is a rougher season, and at the end the relation turns."""
    rng = np.random.default_rng(3)
    asked = np.array([moment(START + timedelta(days=day, minutes=6 * i)) for day in range(DAYS) for i in range(A_DAY)])
    rough = (asked >= moment(START + timedelta(days=42))) & (asked < moment(START + timedelta(days=56)))
    weather = rng.normal(np.where(rough, 1.5, 0.0), 1)
    turned = asked >= moment(TURNED)
    labels = rng.random(len(asked)) < np.where(turned, 1 - chances(weather), chances(weather))
    times = pa.array(asked, pa.timestamp("us", "UTC"))
    columns = {
        "weather": pa.array(np.where(rng.random(len(asked)) < 0.05, np.nan, weather), from_pandas=True),
        "carrier": pa.array(rng.choice(["AA", "UA", "ZZ"], len(asked), p=[0.6, 0.38, 0.02])),
        "chance": pa.array(chances(weather)),
        "label": pa.array(labels),
        "event_timestamp": times,
        "label_time": pa.array(asked + np.timedelta64(3, "h"), pa.timestamp("us", "UTC")),
    }
    return Year(world.flights(), pa.table(columns), ("weather", "carrier"))


def model(year: Year) -> Trained2013:
    """It has learnt of the first three weeks and was held to the fourth."""
    learnt = year.between(START, START + timedelta(days=21))
    held = year.between(START + timedelta(days=21), START + timedelta(days=28))
    categories = {"carrier": ("AA", "UA")}
    encoder = SimpleNamespace(table=lambda rows: rows["chance"].to_numpy(), categories=categories)
    threshold, scores = year.case.cost.threshold, year.rows["chance"].to_numpy()[held]
    metrics = measure(year.labels[held], scores, threshold, year.case.cost)
    rows = year.rows.filter(pa.array(learnt))
    days = blocks(year.asked)
    alike = performance.alike(year.labels[held], scores, scores >= threshold, year.case.cost, days[held])
    by_day = Blocks(days[learnt], days[held], alike)
    reference = describe(rows, year.columns, categories, year.labels[learnt], year.labels[held], scores, metrics, blocks=by_day)
    scorer = SimpleNamespace(encoder=encoder, score=lambda matrix: matrix)
    through = moment(START + timedelta(days=28))
    return Trained2013("small", scorer, threshold, through, metrics, reference, held, 0.1)
