"""The loop's page inside Airflow: who serves, what is on trial and why, and four buttons."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from everloop.adapters.ledger import PostgresLedger
from everloop.adapters.measurements import PostgresMeasurements
from everloop.console.access import Operator, UseCaseName, Viewer, allowed
from everloop.console.actions import press
from everloop.console.chart import chart
from everloop.console.records import ROWS, gather
from everloop.errors import ReleaseError
from everloop.settings import Settings, read_settings
from everloop.steps import why

PREFIX = "/everloop"
"""Where Airflow mounts the page, below its own base URL."""

_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-{nonce}'; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'self'; base-uri 'none'"
)


def create_app(settings: Callable[[], Settings] = read_settings) -> FastAPI:
    """The application that Airflow mounts at `PREFIX`; `settings` is asked at every request."""
    app = FastAPI(title="everloop", openapi_url=None)

    @app.get("/")
    def index(request: Request, user: GetUserDep) -> HTMLResponse:
        """The use cases that the user may see."""
        names = PostgresLedger(settings().database).use_cases()
        return answer(request, "index.html", names=[name for name in names if allowed(user, name, "GET")])

    @app.get("/{use_case}")
    def look(request: Request, use_case: UseCaseName, user: Viewer) -> HTMLResponse:
        """The page of one use case."""
        return show(request, settings(), use_case, may_act=allowed(user, use_case, "POST"))

    @app.get("/{use_case}/why/{subject:path}")
    def explain(request: Request, use_case: UseCaseName, subject: str, user: Viewer) -> HTMLResponse:  # noqa: ARG001 - only checked
        """The whole story of a release, a rollout or a training run."""
        try:
            told = why.story(PostgresLedger(settings().database), use_case, subject)
        except ReleaseError as error:
            raise HTTPException(404, str(error)) from error
        return answer(request, "story.html", name=use_case, subject=subject, lines=why.lines(told))

    @app.post("/{use_case}")
    async def button(request: Request, use_case: UseCaseName, user: Operator, later: BackgroundTasks) -> HTMLResponse:
        """Pause, resume, abort or revert, in the user's name."""
        form = {name: str(value) for name, value in (await request.form()).items()}
        pressed = await run_in_threadpool(press, settings(), use_case, form, actor=user.get_name())
        later.add_task(pressed.afterwards)
        return await run_in_threadpool(show, request, settings(), use_case, may_act=True, said=pressed.said)

    return app


def show(request: Request, settings: Settings, use_case: str, *, may_act: bool, said: str = "") -> HTMLResponse:
    """The page of `use_case`, with what the last button led to."""
    view = gather(PostgresLedger(settings.database), PostgresMeasurements(settings.database), use_case)
    links = {
        "mlflow": f"{settings.mlflow}/#/models/{use_case}",
        "scorer": f"{settings.scorer}/v1/{use_case}",
        "data_docs": f"{settings.scorer}/data-docs/index.html",
    }
    return answer(request, "use_case.html", view=view, links=links, may_act=may_act, said=said)


def answer(request: Request, template: str, **values: Any) -> HTMLResponse:
    """A page that escapes every value, and that allows the browser nothing but itself."""
    nonce, home = secrets.token_urlsafe(16), request.scope.get("root_path", "")
    page = _pages().get_template(template).render(nonce=nonce, home=home, airflow=home.removesuffix(PREFIX), **values)
    return HTMLResponse(page, headers={"Content-Security-Policy": _POLICY.format(nonce=nonce), "Cache-Control": "no-store"})


def _pages() -> Environment:
    folder = Path(__file__).parent / "templates"
    pages = Environment(loader=FileSystemLoader(folder), autoescape=True, undefined=StrictUndefined)
    pages.filters |= {"chart": chart, "moment": _moment, "first_rows": lambda rows: islice(rows, ROWS)}
    return pages


def _moment(value: datetime) -> str:
    return f"{value:%Y-%m-%d %H:%M:%SZ}"
