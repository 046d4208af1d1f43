"""The client of the HTTP API for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from .._http import Send
from ..duration import Duration, seconds
from .client import Client
from .records import JobRecord, State

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

P = ParamSpec("P")
T = TypeVar("T")
_THREADS = 64
_LONGEST_POLL_S = 10.0


def _in_thread(
    method: Callable[Concatenate[Client, P], T],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, T]]:
    @wraps(method)
    async def call(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._run(partial(method, self._client, *args, **kwargs))

    return call


class AsyncClient:
    """A `Client` whose calls are awaited.

    They run in at most 64 threads of its own: the loop goes on, and no package is needed. A call whose task
    is cancelled goes on in its thread, until it has its answer or has been repeated often enough.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: Duration = 10, send: Send | None = None
    ) -> None:
        """Take what `Client` takes."""
        self._client = Client(url, api_key=api_key, timeout=timeout, send=send)
        self._threads = ThreadPoolExecutor(_THREADS, "posthaste-client")

    def __repr__(self) -> str:
        """Show where, never with what."""
        return f"Async{self._client!r}"

    async def __aenter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections that are open, and let go of the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()

    enqueue = _in_thread(Client.enqueue)
    enqueue_many = _in_thread(Client.enqueue_many)
    job = _in_thread(Client.job)
    cancel = _in_thread(Client.cancel)
    retry = _in_thread(Client.retry)
    explain = _in_thread(Client.explain)
    endpoints = _in_thread(Client.endpoints)
    endpoint = _in_thread(Client.endpoint)
    put_endpoint = _in_thread(Client.put_endpoint)
    pause_endpoint = _in_thread(Client.pause_endpoint)
    resume_endpoint = _in_thread(Client.resume_endpoint)

    async def wait(self, job_id: int, timeout: Duration = 60) -> JobRecord:
        """Wait until a job has ended, and read it; raises as `Client.wait`."""
        deadline = time.monotonic() + seconds(timeout)
        poll = partial(self._client._poll, job_id, deadline, _LONGEST_POLL_S)
        while not (job := await self._run(poll)).ended:
            if time.monotonic() >= deadline:
                raise await self._run(partial(self._client._late, job))
        return job

    async def jobs(
        self,
        *,
        state: State | None = None,
        queue: str | None = None,
        kind: str | None = None,
        tag: str | None = None,
        page_size: int = 50,
    ) -> AsyncIterator[JobRecord]:
        """Go through the jobs, newest first, with `async for`; as `Client.jobs`."""
        query = {"state": state, "queue": queue, "kind": kind, "tag": tag, "limit": page_size}
        cursor: str | None = ""
        while cursor is not None:
            page, cursor = await self._run(partial(self._client._page, cursor, **query))
            for job in page:
                yield job

    async def _run(self, call: Callable[[], T]) -> T:
        # The context goes along: the current span is in it.
        return await asyncio.get_running_loop().run_in_executor(self._threads, copy_context().run, call)
