"""What a person sees after `make demo`: a real browser on the running stack; each picture goes to docs/images.

Run by `make screenshots`. Needs Debian's `chromium` and the stack that the demo leaves up.
"""

import json
import os
import re
import shutil
from pathlib import Path

import httpx
import pytest

from everloop.settings import PROJECT
from everloop.stack.environment import read_env

playwright = pytest.importorskip("playwright.sync_api")

IMAGES = PROJECT / "docs" / "images"
HOME = Path(os.environ.get("EVERLOOP_HOME", PROJECT / ".everloop"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-background-networking"]

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    if CHROMIUM is None:
        pytest.skip("no chromium: apt-get install chromium")
    if not (HOME / "demo").exists() or not (HOME / "everloop.env").exists():
        pytest.skip(f"no demo in {HOME}: run `make demo` first")
    return read_env(HOME / "everloop.env")


@pytest.fixture(scope="module")
def page(env):
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1500, "height": 950})
        page.set_default_timeout(45_000)
        page.goto(env["EVERLOOP_AIRFLOW"])
        page.fill("input[name=username]", env["EVERLOOP_AIRFLOW_USER"])
        page.fill("input[name=password]", env["EVERLOOP_AIRFLOW_PASSWORD"])
        page.click("button[type=submit]")
        page.wait_for_selector("text=Welcome")
        yield page
        browser.close()


def shoot(page, name: str) -> None:
    page.wait_for_timeout(1500)
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / f"{name}.png")


def test_airflow_lists_every_graph(page, env):
    page.goto(f"{env['EVERLOOP_AIRFLOW']}/dags?tags=everloop")
    for dag in ("ingest", "retrain", "rollout", "experiment", "monitor", "score", "rollback"):
        page.wait_for_selector(f"text=flights_{dag}")
    shoot(page, "airflow-dags")


def test_airflow_shows_a_graph_with_its_documentation(page, env):
    page.goto(f"{env['EVERLOOP_AIRFLOW']}/dags/flights_retrain")
    page.wait_for_selector("text=flights_retrain")
    page.wait_for_selector("text=training_set")
    shoot(page, "airflow-retrain")
    page.get_by_role("button", name="Dag Docs").or_(page.get_by_role("button", name="DAG Docs")).first.click()
    page.wait_for_selector("text=pins the version of every table")
    shoot(page, "airflow-docs")


def test_the_loops_page_shows_who_serves(page, env):
    page.goto(f"{env['EVERLOOP_AIRFLOW']}/plugin/everloop")
    frame = page.frame_locator("iframe").first
    frame.locator("a", has_text="flights").first.click()
    frame.locator("text=Serving").first.wait_for()
    shoot(page, "everloop-page")


def test_mlflow_shows_runs_plots_and_the_champion(page, env):
    mlflow = env["EVERLOOP_MLFLOW"]
    version = _champion(mlflow)
    page.goto(f"{mlflow}/#/models/flights/versions/{version['version']}")
    page.get_by_text(re.compile(r"@\s*champion")).first.wait_for()
    shoot(page, "mlflow-model")
    page.goto(f"{mlflow}/#/experiments/{_experiment(mlflow)}/runs/{version['run_id']}")
    page.wait_for_selector("text=trained_through")
    shoot(page, "mlflow-runs")
    page.goto(f"{mlflow}/#/experiments/{_experiment(mlflow)}/runs/{version['run_id']}/artifacts")
    page.get_by_text("plots", exact=True).click()
    page.get_by_text("calibration.png").first.click()
    shoot(page, "mlflow-plot")


def test_data_docs_show_the_suites(page, env):
    validation = next((HOME / "data_docs").glob("validations/flights/**/*.html"))
    page.goto(f"{env['EVERLOOP_SCORER']}/data-docs/{validation.relative_to(HOME / 'data_docs')}")
    page.wait_for_selector("text=Succeeded")
    shoot(page, "data-docs")


def test_the_account_tells_of_a_better_champion():
    report = json.loads((PROJECT / "demo-report.json").read_text())
    assert any(row["auc_difference"]["low"] > 0 for row in report["comparisons"])


def _champion(mlflow: str) -> dict[str, str]:
    params = {"name": "flights", "alias": "champion"}
    return httpx.get(f"{mlflow}/api/2.0/mlflow/registered-models/alias", params=params).json()["model_version"]


def _experiment(mlflow: str) -> str:
    params = {"experiment_name": "flights"}
    return httpx.get(f"{mlflow}/api/2.0/mlflow/experiments/get-by-name", params=params).json()["experiment"]["experiment_id"]
