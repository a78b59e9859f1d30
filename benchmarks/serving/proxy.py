"""nginx before several services, in turn."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.serving.program import Program
from benchmarks.serving.usage import MARK, stop
from everloop.stack.ports import free_port

ANSWERED_BY = "X-Answered-By"

_CONFIGURATION = """
daemon off;
user {user};
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_max_body_size 8m;
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    upstream services {{ {servers} keepalive 16; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://services;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_next_upstream off;
            add_header {header} $upstream_addr always;
        }}
    }}
}}
"""


@contextlib.contextmanager
def proxy(ports: Sequence[int], folder: Path) -> Iterator[int]:
    """The port of an nginx before `ports` of 127.0.0.1; it never asks a second one. `SystemExit` when there is no nginx."""
    found = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if found is None:
        raise SystemExit("nginx is not installed: run `apt-get install nginx-light` (Debian)")
    port, told = free_port(), folder / "nginx.conf"
    servers = " ".join(f"server 127.0.0.1:{one};" for one in ports)
    told.write_text(_CONFIGURATION.format(folder=folder, servers=servers, port=port, user=getpass.getuser(), header=ANSWERED_BY))
    mark = f"{os.getpid()}-{port}"
    process = subprocess.Popen([found, "-c", str(told)], env={**os.environ, MARK: mark}, start_new_session=True)
    try:
        yield port
    finally:
        stop(process, mark)


def upstreams(services: Sequence[Program]) -> tuple[str, ...]:
    """What the header says of each."""
    return tuple(f"127.0.0.1:{service.port}" for service in services)
