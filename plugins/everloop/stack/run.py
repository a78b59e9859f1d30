"""Run as a program: the one supervisor of a home, from taking the lock to the last part's end."""

from __future__ import annotations

import logging
import os
import signal
import sys
from pathlib import Path

from everloop.errors import StackError
from everloop.stack.environment import make_environment, own_choices, write_env
from everloop.stack.home import Home, HomeLock, choose_ports, make_home
from everloop.stack.parts import Plan, lay_out
from everloop.stack.standing import read_board
from everloop.stack.supervisor import Supervisor, end_leftovers

log = logging.getLogger("everloop.stack")


def supervise(home: Home) -> bool:
    """Run the stack of `home` until SIGTERM or SIGINT; `False` when it gave up. `StackError` when it runs already."""
    lock = HomeLock(home)
    if not lock.take():
        raise StackError(f"The stack of {home.path} is already up: see `everloop status`")
    os.umask(0o077)
    left = end_leftovers(read_board(home))
    if left:
        log.warning("ended what a killed supervisor had left: %s", ", ".join(left))
    supervisor = Supervisor(home, lay_out(make_plan(home)))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: supervisor.stop())
    log.info("starting, process %d", os.getpid())
    try:
        return supervisor.run()
    finally:
        lock.release()


def make_plan(home: Home) -> Plan:
    """Ports, variables and choices of this start, written to `<home>/everloop.env`."""
    choices = own_choices(home, os.environ)
    ports = choose_ports(home)
    if choices:
        log.info("set by you: %s", ", ".join(sorted(choices)))
    variables = make_environment(home, ports, choices)
    write_env(home, variables)
    return Plan(home=home, variables=variables, choices=choices, environ=os.environ, ports=ports)


def main() -> None:
    """Supervise the home named on the command line; write to the supervisor's log."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO, stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = supervise(make_home(Path(sys.argv[1])))
    except StackError as error:
        sys.exit(str(error))
    sys.exit(0 if done else 1)


if __name__ == "__main__":
    main()
