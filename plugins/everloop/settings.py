"""Where everything is: one frozen value read from the environment, in one place."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from everloop.errors import ConfigurationError

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: the folder that holds dags/, plugins/, feature_repo/ and expectations/."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Addresses and folders of all the parts.

    `home`: the state folder of the embedded stack. `database`: PostgreSQL of the ledger and the logs (a libpq URI,
    `postgresql://...`). `online`: the online store, PostgreSQL or `redis://...`; `None` for `database`. `lake`, `landing`,
    `outbox`, `releases`: a folder or `s3://bucket/prefix`. `connections`: libpq URIs of the source systems by name.
    `s3_endpoint`: only for stores other than AWS. `spark`: the master of a cluster for features and training past one
    machine; `None` for none. `api_key`: a key that may do all and is in no table. `tls_certificate`, `tls_key`: see `tls`.
    `engine`: `fastest` scores by what was proved equal to XGBoost, where that is installed; `xgboost` by XGBoost alone.
    `log`: the lines of the scoring service's log, `plain` or `json`.
    """

    home: Path
    database: str
    lake: str
    landing: str
    outbox: str
    releases: str
    mlflow: str
    scorer: str
    feature_repo: Path
    expectations: Path
    data_docs: Path
    connections: Mapping[str, str]
    online: str | None = None
    spark: str | None = None
    s3_endpoint: str | None = None
    api_key: str | None = field(default=None, repr=False)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    engine: str = "fastest"
    log: str = "plain"

    def tls(self) -> tuple[Path, Path] | None:
        """The scoring service's certificate chain and private key, both PEM files, tried here; `None` where it serves plain HTTP.

        `ConfigurationError` says which file cannot be read, or that the two are no pair. The part that serves asks, nobody
        else: other parts see the same settings and must not be able to read the key.
        """
        if self.tls_certificate is None or self.tls_key is None:
            return None
        _try_tls(self.tls_certificate, self.tls_key)
        return self.tls_certificate, self.tls_key

    def connection(self, name: str) -> str:
        """The URI of the source system called `name`; `ConfigurationError` when nobody set it."""
        try:
            return self.connections[name]
        except KeyError:
            known = ", ".join(sorted(self.connections)) or "none"
            raise ConfigurationError(
                f'No connection "{name}" is set (set: {known}): set EVERLOOP_CONNECTION_{name.upper()} to its libpq URI'
            ) from None


_PREFIX = "EVERLOOP_CONNECTION_"


def read_settings(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from EVERLOOP_* variables; reports every missing one together.

    Variables: EVERLOOP_HOME, _DATABASE, _ONLINE, _SPARK, _LAKE, _LANDING, _OUTBOX, _RELEASES, _MLFLOW, _SCORER, _FEATURE_REPO,
    _EXPECTATIONS, _DATA_DOCS, _S3_ENDPOINT, _API_KEY, _ENGINE, _LOG, _TLS_CERTIFICATE, _TLS_KEY, _CONNECTION_<NAME>.
    `everloop up` sets them for all it starts and writes them to `<home>/everloop.env`.
    """
    env = os.environ if environ is None else environ
    home = Path(env.get("EVERLOOP_HOME", PROJECT / ".everloop"))
    missing = [name for name in ("EVERLOOP_DATABASE", "EVERLOOP_MLFLOW") if not env.get(name)]
    if missing:
        raise ConfigurationError(
            f"{' and '.join(missing)} not set: start the stack with `everloop up`, or `source {home}/everloop.env`"
        )
    certificate, key = _tls_files(env)
    return Settings(
        home=home,
        database=env["EVERLOOP_DATABASE"],
        lake=env.get("EVERLOOP_LAKE", str(home / "lake")),
        landing=env.get("EVERLOOP_LANDING", str(home / "landing")),
        outbox=env.get("EVERLOOP_OUTBOX", str(home / "outbox")),
        releases=env.get("EVERLOOP_RELEASES", str(home / "releases")),
        mlflow=env["EVERLOOP_MLFLOW"],
        scorer=env.get("EVERLOOP_SCORER", "http://127.0.0.1:8000"),
        feature_repo=Path(env.get("EVERLOOP_FEATURE_REPO", PROJECT / "feature_repo")),
        expectations=Path(env.get("EVERLOOP_EXPECTATIONS", PROJECT / "expectations")),
        data_docs=Path(env.get("EVERLOOP_DATA_DOCS", home / "data_docs")),
        connections={k.removeprefix(_PREFIX).lower(): v for k, v in env.items() if k.startswith(_PREFIX)},
        online=env.get("EVERLOOP_ONLINE") or None,
        spark=env.get("EVERLOOP_SPARK") or None,
        s3_endpoint=env.get("EVERLOOP_S3_ENDPOINT") or None,
        api_key=env.get("EVERLOOP_API_KEY") or None,
        tls_certificate=certificate,
        tls_key=key,
        engine=env.get("EVERLOOP_ENGINE") or "fastest",
        log=env.get("EVERLOOP_LOG") or "plain",
    )


def _tls_files(env: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    """Both files or neither."""
    names = ("EVERLOOP_TLS_CERTIFICATE", "EVERLOOP_TLS_KEY")
    missing = [name for name in names if not env.get(name)]
    if len(missing) == len(names):
        return None, None
    if missing:
        (given,) = set(names) - set(missing)
        raise ConfigurationError(f"{given} is set and {missing[0]} is not: TLS needs both; set it too, or neither for plain HTTP")
    certificate, key = (Path(env[name]) for name in names)
    return certificate, key


def _try_tls(certificate: Path, key: Path) -> None:
    """Read both files as a server does."""
    import ssl

    for name, path in (("EVERLOOP_TLS_CERTIFICATE", certificate), ("EVERLOOP_TLS_KEY", key)):
        try:
            path.read_bytes()
        except OSError as error:
            raise ConfigurationError(
                f"{name} is {path}, which cannot be read ({error.strerror}): name a PEM file that this process may read"
            ) from None
    try:
        # A key under a passphrase would be asked for on the terminal: the empty one makes that an error.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"EVERLOOP_TLS_CERTIFICATE {certificate} and EVERLOOP_TLS_KEY {key} are no pair ({error}): give the PEM files of a "
            "certificate chain and of its own private key, without a passphrase"
        ) from None
