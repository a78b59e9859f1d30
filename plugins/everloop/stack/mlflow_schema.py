"""Run as a program: bring MLflow's database to the installed version. Its own command would show the password in `ps`."""

from __future__ import annotations

import os


def main() -> None:
    """Make or migrate the tables of MLFLOW_BACKEND_STORE_URI."""
    from mlflow.db import upgrade

    upgrade.main([os.environ["MLFLOW_BACKEND_STORE_URI"]], standalone_mode=False)


if __name__ == "__main__":
    main()
