"""What an API key of the scoring service is: how it is spelled, what is stored of it, what it may allow."""

from __future__ import annotations

import hashlib
import secrets
from enum import StrEnum

PREFIX = "evl"
"""What every key begins with, so that people and secret scanners know one when they see it."""

_SECRET_BYTES = 32
_ID_BYTES = 8


class Scope(StrEnum):
    """What a key allows: to ask for scores, tell outcomes, push features, try a release, read the state; `ADMIN` is all of it."""

    SCORE = "score"
    OUTCOMES = "outcomes"
    PUSH = "push"
    CHECK = "check"
    READ = "read"
    ADMIN = "admin"


def make() -> tuple[str, str]:
    """A new id (64 random bits, no secret) and a new secret (256 random bits)."""
    return secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)


def spell(identifier: str, secret: str) -> str:
    """The clear key, `evl_<id>_<secret>`: what its holder presents."""
    return f"{PREFIX}_{identifier}_{secret}"


def split(presented: str) -> tuple[str, str]:
    """Id and secret of a clear key. What is not spelled like one has the id "", which nobody has, and is all secret."""
    prefix, _, rest = presented.partition("_")
    identifier, _, secret = rest.partition("_")
    return (identifier, secret) if prefix == PREFIX else ("", presented)


def id_of(given: str) -> str:
    """The id of a key that somebody names by its id or, by mistake, whole: so that no message repeats the secret."""
    return split(given)[0] or given


def digest_of(secret: str) -> bytes:
    """What is stored of a secret: its SHA-256, 32 bytes, unsalted.

    A slow, salted hash hinders those who guess, and nobody guesses 256 random bits. NIST SP 800-63B, 5.1.2.2 (3.1.2.2 in revision
    4) draws the line for look-up secrets at 112 bits: from there on a plain approved hash, below it salt and a password hash. Its
    look-up secrets are used once and ours often, which changes how long a stolen key is of use, not how hard it is to guess.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
