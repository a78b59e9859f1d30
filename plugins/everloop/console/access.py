"""Who may look and who may act: Airflow's log-in, and its permissions on the use case's rollback graph."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import ResourceMethod
from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Depends, HTTPException, Path, Request

UseCaseName = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,62}$")]


def viewer(use_case: UseCaseName, user: GetUserDep) -> BaseUser:
    """A user who may see the runs of the use case's graphs; 403 otherwise."""
    return _with_access(user, use_case, "GET")


def operator(use_case: UseCaseName, user: GetUserDep, request: Request) -> BaseUser:
    """A user who may trigger the use case's rollback; 403 otherwise, and for forms of other sites.

    The log-in is a cookie, so a form on a foreign page could be sent in the user's name: browsers tell by `Sec-Fetch-Site`.
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise HTTPException(403, "This form was sent by another site: use the loop's own page")
    return _with_access(user, use_case, "POST")


def allowed(user: BaseUser, use_case: str, method: ResourceMethod) -> bool:
    """Whether `user` may see (`GET`) or trigger (`POST`) runs of the use case's rollback graph."""
    graph = DagDetails(id=f"{use_case}_rollback")
    return get_auth_manager().is_authorized_dag(method=method, access_entity=DagAccessEntity.RUN, details=graph, user=user)


def _with_access(user: BaseUser, use_case: str, method: ResourceMethod) -> BaseUser:
    if not allowed(user, use_case, method):
        raise HTTPException(403, f"{user.get_name()} may not {method} runs of {use_case}_rollback: ask for a role that may")
    return user


Viewer = Annotated[BaseUser, Depends(viewer)]
Operator = Annotated[BaseUser, Depends(operator)]
