"""The HTTP face: a bare ASGI callable for the routes that score, FastAPI around it for the rest."""
