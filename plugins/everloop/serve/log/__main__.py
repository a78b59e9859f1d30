"""`python -m everloop.serve.log`: ships this machine's prediction log to PostgreSQL."""

import logging

from everloop.serve.fleet import end_with_parent
from everloop.serve.log.process import serve
from everloop.settings import read_settings

if __name__ == "__main__":
    end_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    serve(read_settings())
