"""The Airflow DAG of the daily housekeeping of all use cases."""

from everloop.workflow.upkeep import graph

everloop_upkeep = graph()
