-- One database a part; `airline` plays the operational system of the shipped use case.
CREATE DATABASE airflow;
CREATE DATABASE mlflow;
CREATE DATABASE everloop;
CREATE DATABASE airline;
