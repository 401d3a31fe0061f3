"""The explorer's server: one page and a few questions to a model, on this computer alone, for who knows the token.

Every request must name this server as its host (so no other site's name can be pointed at it), come from this page or
from no page, and carry the token in its path. No path of a request reaches the disk; only a selection is written.
"""

import asyncio
import hashlib
import json
import re
import secrets
import socket
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vaekit.errors import InputError, RunError
from vaekit.explorer.room import Room

HOST = "127.0.0.1"
NAMES = (HOST, "localhost")
LONGEST = 2**26
"""octets of a request at most"""
PAUSE, ALIVE = 0.5, 15.0
"""seconds between looks at a run that is being trained, and between signs of life on a quiet stream"""
KINDS = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)


def page_files() -> dict[str, Traversable]:
    """Return the files of the page, by name."""
    return {file.name: file for file in files("vaekit.explorer").joinpath("page").iterdir() if file.is_file()}


def application(rooms: Sequence[Room], token: str, port: int) -> ASGIApp:
    """Make the application that answers for some runs.

    Args:
        rooms: the runs, in the order in which they are numbered.
        token: the first part of every path.
        port: where it listens, which Host and Origin must name.
    """
    page = page_files()
    policy = _policy(page["index.html"].read_text("utf-8"))

    numbered = {str(number): room for number, room in enumerate(rooms)}

    def room(request: Request) -> Room:
        number = request.path_params["run"]
        if number not in numbered:
            raise HTTPException(404, f"runs are numbered 0 to {len(rooms) - 1}")
        return numbered[number]

    async def file(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            raise HTTPException(404, "there is no such file")
        kind = KINDS.get("." + name.rpartition(".")[2], "application/octet-stream")
        return Response(page[name].read_bytes(), media_type=kind)

    async def runs(request: Request) -> Response:
        return JSONResponse([{"name": each.run.path.name, "live": each.is_training()} for each in rooms])

    async def atlas(request: Request) -> Response:
        return Response(await _asked(room(request).atlas), media_type="application/json")

    async def scores(request: Request) -> Response:
        return Response(await _asked(room(request).scores), media_type="application/json")

    def octets(verb: str) -> Callable[[Request], Any]:
        async def answer(request: Request) -> Response:
            compute = getattr(room(request), verb)
            body = await _body(request)
            return Response(await _asked(compute, body), media_type="application/octet-stream")

        return answer

    async def sample(request: Request) -> Response:
        where, asked = room(request), request.query_params
        count, seed = _number(asked.get("count"), int, 1, 4096), _number(asked.get("seed", "0"), int, 0, 2**31)
        temperature = _number(asked.get("temperature", "1"), float, 0, 10)
        found = await _asked(where.sample, count, temperature, seed)
        return Response(found, media_type="application/octet-stream")

    async def select(request: Request) -> Response:
        where = room(request)
        await _asked(where.select, await _body(request))
        return PlainTextResponse("kept")

    async def live(request: Request) -> Response:
        return StreamingResponse(_events(room(request), request), media_type="text/event-stream")

    api = "/{token}/api/{run}"
    routes = [
        Route("/{token}/", file),
        Route("/{token}/page/{name}", file),
        Route("/{token}/api/runs", runs),
        Route(f"{api}/atlas", atlas),
        Route(f"{api}/scores", scores),
        *(Route(f"{api}/{verb}", octets(verb), methods=["POST"]) for verb in ("decode", "encode", "score")),
        Route(f"{api}/sample", sample, methods=["POST"]),
        Route(f"{api}/selection", select, methods=["POST"]),
        Route(f"{api}/live", live),
    ]
    app = Starlette(routes=routes, exception_handlers={HTTPException: _refusal})
    return _guarded(app, token, port, policy)


def _guarded(app: ASGIApp, token: str, port: int, policy: str) -> ASGIApp:
    """Let only those requests through that may come, and tell the browser what the page may do."""
    hosts = {f"{name}:{port}" for name in NAMES}
    origins = {f"http://{host}" for host in hosts}
    headers = [
        (b"content-security-policy", policy.encode()),
        (b"referrer-policy", b"no-referrer"),
        (b"x-content-type-options", b"nosniff"),
        (b"cross-origin-resource-policy", b"same-origin"),
        (b"cache-control", b"no-store"),
    ]

    async def guard(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope)
        given = scope["path"].removeprefix("/").partition("/")[0]
        origin = request.headers.get("origin")
        allowed = (
            request.headers.get("host") in hosts
            and (origin is None or origin in origins)
            and secrets.compare_digest(given.encode(), token.encode())
        )
        if not allowed:
            await PlainTextResponse("use the address that vaekit explore printed", 403)(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *headers]
            await send(message)

        await app(scope, receive, sending)

    return guard


def _policy(index: str) -> str:
    """Allow what the page is made of and nothing else; its inline scripts by their digests."""
    digests = [b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in SCRIPT.findall(index)]
    scripts = " ".join(["'self'", *(f"'sha256-{digest}'" for digest in digests)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


async def _asked(compute: Callable[..., Any], *given: Any) -> Any:
    """Compute in another thread, and make a fault of the request, or of the run, one sentence."""
    try:
        return await run_in_threadpool(compute, *given)
    except InputError as error:
        raise HTTPException(400, str(error)) from None
    except (RunError, OSError) as error:
        raise HTTPException(409, str(error)) from None


async def _body(request: Request) -> bytes:
    """Read a request's body, as long as it is not too long."""
    found = bytearray()
    try:
        async for part in request.stream():
            found += part
            if len(found) > LONGEST:
                raise HTTPException(413, f"more than {LONGEST} octets")
    except ClientDisconnect:
        raise HTTPException(400, "the request ended before its body") from None
    return bytes(found)


def _number(text: str | None, kind: type, low: float, high: float) -> Any:
    try:
        value = kind(text or "")
    except ValueError:
        value = None
    if value is None or not low <= value <= high:
        raise HTTPException(400, f"{text!r} is not a number from {low} to {high}")
    return value


async def _refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return PlainTextResponse(error.detail, error.status_code)


async def _events(room: Room, request: Request) -> AsyncIterator[str]:
    """Tell of new rows of metrics and of new weights, until the training ends."""
    count, written, weights, quiet, training = 0, None, await run_in_threadpool(room.weights), 0.0, True
    yield "retry: 2000\n\n"
    while training and not await request.is_disconnected():
        training = room.is_training()  # what it wrote before it ended is told below
        if (stamp := room.written()) != written:
            written = stamp
            count, rows = await run_in_threadpool(room.news, count)
            for row in rows:
                yield f"event: metrics\ndata: {json.dumps(row)}\n\n"
        now = await run_in_threadpool(room.weights)
        if now != weights:
            weights = now
            yield f"event: weights\ndata: {json.dumps(weights)}\n\n"
        quiet += PAUSE
        if quiet >= ALIVE:
            quiet = 0.0
            yield ": still here\n\n"
        await asyncio.sleep(PAUSE if training else 0)
    yield "event: end\ndata:\n\n"


def listen(port: int) -> socket.socket:
    """Take a port of this computer alone; 0 takes any that is free.

    Raises:
        InputError: if it is taken.
    """
    taken = socket.socket(
        socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )  # named, it sends small answers at once
    try:
        taken.bind((HOST, port))
    except (OSError, OverflowError) as error:
        taken.close()
        raise InputError(f"port {port} cannot be used ({error}): choose another (--port 0 takes any)") from None
    return taken


def serve(rooms: Sequence[Room], port: int, ready: Callable[[str], None]) -> None:
    """Answer until interrupted; ``ready`` is told the address as soon as it answers."""
    token, taken = secrets.token_urlsafe(16), listen(port)
    port = taken.getsockname()[1]
    app = application(rooms, token, port)
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1, lifespan="off", ws="none")
    )

    async def run() -> None:
        serving = asyncio.ensure_future(server.serve(sockets=[taken]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if server.started:
            ready(f"http://{HOST}:{port}/{token}/")
        await serving

    asyncio.run(run())
