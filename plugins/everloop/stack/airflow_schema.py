"""Run as a program: bring Airflow's metadata database to the installed version and make the pools. One import instead of two."""

from __future__ import annotations

POOLS = {"gpu": (1, "Tasks that need the one GPU of this machine")}


def main() -> None:
    """Migrate, then make the pools that are missing; those that people changed stay as they are."""
    from airflow.models.pool import Pool
    from airflow.utils.db import upgradedb

    upgradedb()
    for name, (slots, description) in POOLS.items():
        if Pool.get_pool(name) is None:
            Pool.create_or_update_pool(name, slots=slots, description=description, include_deferred=False)


if __name__ == "__main__":
    main()
