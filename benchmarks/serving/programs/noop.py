"""The least that an ASGI application can do with a request: read its body, answer bytes of a usual answer's size."""

import sys

import uvicorn

ANSWER = b'{"request_id":"%s","results":[{"key":"departure-000","score":0.123456789,"decision":false}]}' % (b"0" * 32)
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(ANSWER))],
}
BODY = {"type": "http.response.body", "body": ANSWER}


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    while (await receive()).get("more_body"):
        pass
    await send(START)
    await send(BODY)


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[1]), loop="uvloop", http="httptools", access_log=False, log_config=None, lifespan="off")
