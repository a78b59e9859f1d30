"""A container's health: succeeds when the URL answers and, where a component of Airflow is named, says "healthy" of it."""

import json
import sys
import urllib.request

with urllib.request.urlopen(sys.argv[1], timeout=3) as answer:  # noqa: S310, the address is in the image or the compose file
    if len(sys.argv) > 2:
        status = json.load(answer)[sys.argv[2]]["status"]
        sys.exit(None if status == "healthy" else f"{sys.argv[2]} is {status}")
