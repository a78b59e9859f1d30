"""Every relative link and picture of the documentation leads somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from everloop.settings import PROJECT

PAGES = (PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md")))
IMAGES = PROJECT / "docs" / "images"
SHOT = {
    f"{name}.png" for name in re.findall(r'shoot\(page, "([a-z-]+)"\)', (PROJECT / "tests/browser/test_screens.py").read_text())
}
"""The pictures that `make screenshots` takes."""


def targets(page: Path) -> list[Path]:
    found = re.findall(r"\]\(([^)\s]+)\)", page.read_text())
    return [(page.parent / link.partition("#")[0]).resolve() for link in found if "://" not in link and not link.startswith("#")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    assert [str(target) for target in targets(page) if target.parent != IMAGES and not target.exists()] == []


def test_pictures_are_those_that_make_screenshots_takes() -> None:
    shown = {target.name for page in PAGES for target in targets(page) if target.parent == IMAGES}
    assert shown == SHOT


def test_pictures_are_there_once_they_were_taken() -> None:
    if not IMAGES.exists():
        pytest.skip("docs/images does not exist yet: run `make demo`, then `make screenshots`")
    assert {path.name for path in IMAGES.iterdir()} == SHOT


def test_readme_names_every_page() -> None:
    linked = targets(PROJECT / "README.md")
    assert [page.name for page in PAGES[1:] if page not in linked] == []
