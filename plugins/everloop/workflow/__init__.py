"""The only Airflow code: graphs, tasks, triggers and timetables made of a use case."""
