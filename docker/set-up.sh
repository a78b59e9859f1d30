#!/usr/bin/env bash
# Once, before all else: the bucket, every schema, the first Airflow user. Safe to run again.
set -euo pipefail

python - <<'PYTHON'
import os

import boto3
from botocore.config import Config

store = boto3.client(
    "s3",
    endpoint_url=os.environ["EVERLOOP_S3_ENDPOINT"],
    config=Config(retries={"max_attempts": 20, "mode": "standard"}),
)
if "everloop" not in {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}:
    store.create_bucket(Bucket="everloop")

from everloop.adapters.database import migrate

migrate(os.environ["EVERLOOP_DATABASE"])
PYTHON

airflow db migrate
airflow fab-db migrate
airflow users create --role Admin --username admin --password "$AIRFLOW_ADMIN_PASSWORD" \
    --email admin@example.org --firstname everloop --lastname admin
airflow pools set gpu 1 "one training at a time"
