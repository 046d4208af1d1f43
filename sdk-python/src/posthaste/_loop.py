"""Where handlers run that the server's own thread cannot: a loop in a thread, threads beside a loop."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
# As many as an endpoint's `concurrency` is unless set. Callbacks have the loop's own threads, so that
# handlers cannot keep each other's signs of life waiting.
_threads = ThreadPoolExecutor(64, thread_name_prefix="posthaste")
_lock = threading.Lock()
_loop: tuple[asyncio.AbstractEventLoop, threading.Thread] | None = None


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine from a thread without a loop, on one loop for the whole process.

    Clients that belong to a loop, such as pools of connections, so live on from one job to the next.
    """
    return asyncio.run_coroutine_threadsafe(coroutine, _running_loop()).result()


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run a function that blocks, while the loop goes on; context variables are those of the caller."""
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_threads, lambda: context.run(function, *args, **kwargs))


def _running_loop() -> asyncio.AbstractEventLoop:
    global _loop
    with _lock:
        # A thread does not survive a fork: servers that fork get a new one in each process.
        if _loop is None or not _loop[1].is_alive():
            loop = asyncio.new_event_loop()
            thread = threading.Thread(target=_go_on, args=(loop,), name="posthaste-loop", daemon=True)
            thread.start()
            _loop = (loop, thread)
        return _loop[0]


def _go_on(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop for ever. `sys.exit()` in one task is for whoever waits for it; the others go on."""
    while True:
        # A loop sets these as the outcome of the task, and then ends: nothing is lost by beginning again.
        with contextlib.suppress(SystemExit, KeyboardInterrupt):
            loop.run_forever()
