"""Ways in which a file may be damaged: bits flipped, parts cut off, swapped, blanked, doubled, all of it replaced."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

Damage = Callable[[bytes, random.Random], bytes]


def flipped(content: bytes, chance: random.Random) -> bytes:
    """One bit is another."""
    damaged = bytearray(content)
    damaged[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    return bytes(damaged)


def cut(content: bytes, chance: random.Random) -> bytes:
    """The end is missing."""
    return content[: chance.randrange(1, len(content))]


def swapped(content: bytes, chance: random.Random) -> bytes:
    """Two pieces have changed places."""
    size = chance.randrange(1, 512)
    first = chance.randrange(len(content) // 2 - size)
    second = chance.randrange(len(content) // 2, len(content) - size)
    one, other = content[first : first + size], content[second : second + size]
    return content[:first] + other + content[first + size : second] + one + content[second + size :]


def blanked(content: bytes, chance: random.Random) -> bytes:
    """A block of a disk reads as zeros."""
    first = chance.randrange(len(content))
    return content[:first] + bytes(len(content[first : first + 4_096])) + content[first + 4_096 :]


def longer(content: bytes, chance: random.Random) -> bytes:
    """Something follows."""
    return content + chance.randbytes(chance.randrange(1, 4_096))


RANDOM: Sequence[Damage] = (flipped, cut, swapped, blanked, longer)


def mutations(content: bytes, other: bytes, count: int, seed: int = 0) -> Iterator[tuple[str, bytes]]:
    """`count` files that are not `content`, each with what was done; among them an empty one and `other`, a right model."""
    yield "empty", b""
    yield "another model", other
    chance, given = random.Random(seed), 2
    while given < count:
        damage = RANDOM[given % len(RANDOM)]
        damaged = damage(content, chance)
        if damaged != content:
            yield damage.__name__, damaged
            given += 1
