#!/usr/bin/env bash
# Once, before all else: the bucket, every schema, the pools, the first Airflow user. Safe to run again, as after an upgrade.
set -euo pipefail

python - <<'PYTHON'
import os

import boto3
from botocore.config import Config

from everloop.adapters.database import migrate

store = boto3.client(
    "s3",
    endpoint_url=os.environ.get("EVERLOOP_S3_ENDPOINT") or None,
    config=Config(retries={"max_attempts": 20, "mode": "standard"}),
)
if "everloop" not in {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}:
    store.create_bucket(Bucket="everloop")

migrate(os.environ["EVERLOOP_DATABASE"])
PYTHON

# Both take their database from the environment: a command line would show its password to everybody.
python -m everloop.stack.mlflow_schema
python -m everloop.stack.airflow_schema
printf '%s\n%s\n' "$AIRFLOW_ADMIN_PASSWORD" "$AIRFLOW_ADMIN_PASSWORD" \
    | airflow users create --role Admin --username admin --email admin@example.org --firstname everloop --lastname admin
