"""Data Docs: static pages of the latest validations, their number bounded, since every build lists them all."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from great_expectations.core import ExpectationSuite, ExpectationSuiteValidationResult
    from great_expectations.data_context import AbstractDataContext

    from everloop.adapters.checks.compiled.rule import Judged

KEPT = 60
"""Validations that stay on show. A build took 0.13 s with 20 of them, 0.19 s with 60, 0.26 s with 100."""
RESULTS = ".results"


def configuration(folder: Path) -> Any:
    """A Great Expectations project without a project folder: results and pages on disk, all else in memory."""
    from great_expectations.data_context.types.base import DataContextConfig

    def store(kind: str, backend: dict[str, str]) -> dict[str, Any]:
        return {"class_name": kind, "store_backend": backend}

    memory = {"class_name": "InMemoryStoreBackend"}
    files = {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder / RESULTS)}
    return DataContextConfig(
        stores={
            "expectations_store": store("ExpectationsStore", memory),
            "validation_results_store": store("ValidationResultsStore", files),
            "checkpoint_store": store("CheckpointStore", memory),
            "validation_definition_store": store("ValidationDefinitionStore", memory),
        },
        expectations_store_name="expectations_store",
        validation_results_store_name="validation_results_store",
        checkpoint_store_name="checkpoint_store",
        data_docs_sites={"everloop": _site(folder)},
        analytics_enabled=False,
        progress_bars={"globally": False},
    )


def publish(
    context: AbstractDataContext, folder: Path, result: ExpectationSuiteValidationResult, suite: str, run: str, kept: int
) -> None:
    """Show `result` as the page of `suite` in `run`, in place of an older one of that name; forget the oldest beyond `kept`."""
    from great_expectations.core.run_identifier import RunIdentifier
    from great_expectations.data_context.types.resource_identifiers import ExpectationSuiteIdentifier, ValidationResultIdentifier

    name = re.sub(r"[^A-Za-z0-9_.=-]+", "-", run)
    identifier = RunIdentifier(run_name=name, run_time=datetime.now(UTC))
    key = ValidationResultIdentifier(
        expectation_suite_identifier=ExpectationSuiteIdentifier(suite), run_id=identifier, batch_identifier=suite
    )
    result.meta["run_id"] = identifier
    with _alone(folder):
        _forget(folder, folder / RESULTS / suite / name)
        context.validation_results_store.set(key, _slim(result))
        for page in sorted((folder / RESULTS).glob("*/*/"), key=lambda path: path.stat().st_mtime)[:-kept]:
            _forget(folder, page)
        context.build_data_docs(resource_identifiers=[key])


def compiled_result(suite: ExpectationSuite, judged: Sequence[Judged]) -> ExpectationSuiteValidationResult:
    """What the compiled form found, as Great Expectations would have reported it; `meta` says who judged."""
    from great_expectations.core import ExpectationSuiteValidationResult, ExpectationValidationResult

    results = [
        ExpectationValidationResult(
            success=found.success,
            expectation_config=expectation.configuration,
            result=_counts(found),
            exception_info={"raised_exception": False, "exception_message": None, "exception_traceback": None},
        )
        for expectation, found in zip(suite.expectations, judged, strict=True)
    ]
    held = sum(found.success for found in judged)
    counts = {
        "evaluated_expectations": len(judged),
        "successful_expectations": held,
        "unsuccessful_expectations": len(judged) - held,
        "success_percent": 100 * held / len(judged),
    }
    meta = {"judged_by": "everloop's compiled form of this suite"}
    return ExpectationSuiteValidationResult(
        success=held == len(judged), results=results, suite_name=suite.name, statistics=counts, meta=meta
    )


def _counts(found: Judged) -> dict[str, Any]:
    if found.elements is None:
        return {"observed_value": found.observed}
    share = 100 * found.broken / found.elements if found.elements else 0.0
    return {"element_count": found.elements, "unexpected_count": found.broken, "unexpected_percent": share}


def _site(folder: Path) -> dict[str, Any]:
    return {
        "class_name": "SiteBuilder",
        "show_how_to_buttons": False,
        "store_backend": {"class_name": "TupleFilesystemStoreBackend", "base_directory": str(folder)},
        "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
    }


def _slim(result: ExpectationSuiteValidationResult) -> ExpectationSuiteValidationResult:
    """Without row positions, of which there may be millions: a page shows counts and a few examples."""
    for each in result.results:
        for name in ("unexpected_index_list", "unexpected_index_query", "unexpected_list"):
            each.result.pop(name, None)
    return result


def _forget(folder: Path, results: Path) -> None:
    shutil.rmtree(results, ignore_errors=True)
    shutil.rmtree(folder / "validations" / results.parent.name / results.name, ignore_errors=True)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One builder at a time: parallel tasks share the site's index page."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
