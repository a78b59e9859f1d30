"""When a request came through which stage, on the clock of `time.perf_counter`, in seconds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Marks:
    """The end of each stage that requests of one batch share. `began`: when the batch was put together."""

    use_case: str
    began: float
    features: float = 0.0
    score: float = 0.0
    log: float = 0.0

    def stages(self) -> tuple[tuple[str, float, float], ...]:
        """Name, begin and end of each."""
        return (
            ("features", self.began, self.features),
            ("score", self.features, self.score),
            ("log", self.score, self.log),
        )


@dataclass(slots=True)
class Passage:
    """One request. `read`: its rows were typed and checked; `told`: its answer was there; 0 where it did not come so far."""

    id: str
    use_case: str
    began: float
    read: float = 0.0
    told: float = 0.0
    marks: Marks | None = None
