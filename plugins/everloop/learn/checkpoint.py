"""How far a fit has come, kept on disk so that a killed one goes on from there to the same model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from everloop.learn.job import put
from everloop.release import sha256

CHECKPOINT = "checkpoint"


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The model's UBJ bytes after as many rounds as there are `losses`, the validation log loss of each."""

    model: bytes = b""
    losses: tuple[float, ...] = ()

    @property
    def best(self) -> int:
        """The round of the smallest loss, the first one on a tie."""
        return min(range(len(self.losses)), key=self.losses.__getitem__)

    def over(self, rounds: int, early_stopping: int) -> bool:
        """Whether all rounds are done, or the last `early_stopping` of them brought nothing better."""
        done = len(self.losses)
        return done >= rounds or (done > 0 and done - 1 - self.best >= early_stopping)


class _Kept(msgspec.Struct, frozen=True):
    of: str
    model: bytes
    losses: tuple[float, ...]


@dataclass(frozen=True)
class Checkpoint:
    """One file in `folder`, of the fit whose input and libraries have the digest `of`."""

    folder: Path
    of: str

    def save(self, progress: Progress) -> None:
        """Replace what was kept: after a crash at any moment the file is the old one or the new one, whole."""
        content = msgspec.msgpack.encode(_Kept(self.of, progress.model, progress.losses))
        put(self.folder, CHECKPOINT, sha256(content).encode() + content)

    def load(self) -> Progress:
        """What was kept; the very beginning when there is nothing, when it is of another fit or when its bytes were changed.

        The SHA-256 is checked before XGBoost sees the model: it crashes on many corrupt ones.
        """
        try:
            found = (self.folder / CHECKPOINT).read_bytes()
        except FileNotFoundError:
            return Progress()
        digest, content = found[:64], found[64:]
        if sha256(content).encode() != digest:
            return Progress()
        kept = msgspec.msgpack.decode(content, type=_Kept)
        return Progress(model=kept.model, losses=kept.losses) if kept.of == self.of else Progress()

    def clear(self) -> None:
        """Forget it; clearing twice is fine."""
        (self.folder / CHECKPOINT).unlink(missing_ok=True)
