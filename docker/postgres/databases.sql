-- One database and one role a part, none of which may enter another's. `airline` plays the operational system of the shipped use case.
\getenv airflow_password AIRFLOW_DATABASE_PASSWORD
\getenv mlflow_password MLFLOW_DATABASE_PASSWORD
\getenv everloop_password EVERLOOP_DATABASE_PASSWORD
\getenv airline_password AIRLINE_DATABASE_PASSWORD
CREATE ROLE airflow LOGIN PASSWORD :'airflow_password';
CREATE ROLE mlflow LOGIN PASSWORD :'mlflow_password';
CREATE ROLE everloop LOGIN PASSWORD :'everloop_password';
CREATE ROLE airline LOGIN PASSWORD :'airline_password';
CREATE DATABASE airflow OWNER airflow ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE mlflow OWNER mlflow ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE everloop OWNER everloop ENCODING 'UTF8' TEMPLATE template0;
CREATE DATABASE airline OWNER airline ENCODING 'UTF8' TEMPLATE template0;
REVOKE CONNECT, TEMPORARY ON DATABASE airflow, mlflow, everloop, airline FROM PUBLIC;
