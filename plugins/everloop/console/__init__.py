"""The loop's own page inside Airflow's UI."""
