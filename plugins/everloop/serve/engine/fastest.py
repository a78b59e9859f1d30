"""Which engine scores a release: the fastest that was proved to give XGBoost's bits, else XGBoost."""

from __future__ import annotations

import logging

from everloop.errors import ConfigurationError
from everloop.serve.engine.booster import Engine, XgboostEngine
from everloop.serve.engine.lignum import LignumEngine, installed
from everloop.serve.engine.proof import NotProvedError, prove

FASTEST, XGBOOST = "fastest", "xgboost"

_LOG = logging.getLogger("everloop.serve.engine")


def choose(release: str, model: bytes, xgboost: XgboostEngine, columns: int, wanted: str) -> Engine:
    """The engine for a release's verified `model`. `wanted`: the setting EVERLOOP_ENGINE, `fastest` or `xgboost`."""
    if wanted not in (FASTEST, XGBOOST):
        raise ConfigurationError(f'EVERLOOP_ENGINE is "{wanted}": use "{FASTEST}" or "{XGBOOST}"')
    if wanted == XGBOOST or not installed():
        return xgboost
    try:
        return LignumEngine(prove(model, columns))
    except NotProvedError as error:
        _LOG.warning("release %s is scored by XGBoost, since the faster engine was not proved for it: %s", release, error)
        return xgboost
