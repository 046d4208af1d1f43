"""ASGI 3. Handlers that are plain functions run in threads; a caller that hangs up cancels its handler."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..answer import Answer, crash, problem
from ..core import MAX_BODY_BYTES, Call, Core
from ..errors import ConfigurationError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Asgi = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


def asgi(core: Core) -> Asgi:
    """Make the application. It takes every path."""

    async def application(scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(core, receive, send)
        elif scope["type"] == "http":
            await _http(core, scope, receive, send)
        else:
            raise ValueError(f"jobs are POSTed by HTTP, not by {scope['type']}")

    return application


async def _lifespan(core: Core, receive: Receive, send: Send) -> None:
    """Refuse to start without a secret: better than to refuse each request."""
    await receive()
    try:
        core.check()
    except ConfigurationError as error:
        await send({"type": "lifespan.startup.failed", "message": str(error)})
        return
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _http(core: Core, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
    body = bytearray()
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > MAX_BODY_BYTES:
            await _send(problem(413, "payload_too_large", f"at most {MAX_BODY_BYTES} bytes are read"), send)
            return
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}
    call = core.open(scope["method"], headers, bytes(body))
    answer = call if isinstance(call, Answer) else await _perform(core, call, receive)
    if answer is not None:
        await _send(answer, send)


async def _perform(core: Core, call: Call, receive: Receive) -> Answer | None:
    """Run a call while listening for the caller hanging up; None: nobody is there any more."""
    handler = asyncio.ensure_future(core.aperform(call))
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({handler, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not handler.done():
            call.job._hang_up()
            if call.handler.is_async:
                handler.cancel()
            await asyncio.wait({handler})
        if handler.cancelled():
            itself = asyncio.CancelledError("it cancelled itself")
            return None if gone.done() else crash(itself, with_traceback=False)
        return handler.result()
    finally:  # the server itself may be ending
        gone.cancel()
        if not handler.done():
            call.job._hang_up()
            handler.cancel()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(answer: Answer, send: Send) -> None:
    headers = [(name.encode(), text.encode()) for name, text in answer.headers.items()]
    headers.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
