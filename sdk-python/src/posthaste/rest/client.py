"""The client of the HTTP API."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from math import ceil
from operator import index
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import quote, urlencode

from .._http import Request, Send, Transport, is_header_text, retrying
from .._json import NotStorable, dumps
from .._trace import traceparent
from ..duration import Duration, seconds
from ..errors import ConfigurationError, FieldError, PosthasteError, Problem, TransportError
from ..invalid_job import InvalidJob
from ..new_job import EMPTY, NewJob, Options, batch_texts, unstorable, wire_fields
from .problems import problem_of, refusal_of
from .records import (
    EndpointRecord,
    Explanation,
    JobRecord,
    State,
    read_endpoint,
    read_explanation,
    read_job,
)

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self, Unpack

T = TypeVar("T")
LONGEST_POLL_S = 60.0
_EXPLAINED_WITHIN_S = 2.0
_NO_HEADERS: Mapping[str, str] = MappingProxyType({})


class Client:
    """Enqueues jobs over HTTP, and reads and steers them. Safe to use from many threads.

    What can be repeated is repeated, up to five times: after a 429, 502, 503, 504 and a lost connection, as
    `retry-after` says. Refusals are raised as `Problem`s.
    """

    def __init__(
        self, url: str, *, api_key: str | None = None, timeout: Duration = 10, send: Send | None = None
    ) -> None:
        """Take the URL of the API, as `https://posthaste.internal:8710`.

        `api_key` is else that of the variable `POSTHASTE_API_KEY`, else none. `timeout` is that of each try.
        `send` replaces the network. Raises `ConfigurationError` for what can be no key.
        """
        self.url = url
        self._key = (api_key or os.environ.get("POSTHASTE_API_KEY", "")).strip()
        if not is_header_text(self._key):
            raise ConfigurationError("the API key holds characters that no key has: copy it again")
        self._timeout = seconds(timeout)
        self._transport = Transport(url)
        self._send = send or self._transport

    def __repr__(self) -> str:
        """Show where, never with what."""
        return f"Client({self.url!r}, api_key={'[REDACTED]' if self._key else None})"

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections that are open."""
        self._transport.close()

    def enqueue(
        self,
        kind: str,
        args: object = EMPTY,
        *,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> int:
        """Enqueue a job, and return its id once it is committed; options are the fields of `NewJob`.

        A request whose answer is lost is sent again and makes no second job. With an `idempotency_key` of
        your own (1 to 255 printable ASCII characters, kept for 24 hours) neither does another call.

        Raises `InvalidJob` with all faults, and `IdempotencyMismatch` where the key came with another job.
        """
        key = str(uuid.uuid4()) if idempotency_key is None else idempotency_key
        if not key or not is_header_text(key):
            raise ValueError("idempotency_key must be 1 to 255 printable ASCII characters")
        wire = wire_fields(NewJob(kind, args, **options))
        try:
            body = dumps(wire)
        except NotStorable as error:
            raise unstorable("", error) from error
        headers = _trace_headers() | {"idempotency-key": key}
        try:
            return self._ask("POST", "/v1/jobs", lambda answer: int(answer["id"]), body, headers)
        except Problem as problem:
            if refusal := refusal_of(problem):
                raise refusal from problem
            raise

    def enqueue_many(self, jobs: Iterable[NewJob]) -> list[int | InvalidJob]:
        """Enqueue at most 10,000 jobs of 16 MiB together: all sound ones are committed, or none.

        Returns, in the order given, the id of each sound job and the `InvalidJob` of each that has faults.
        Not repeated: after a `TransportError` it is not known whether they were committed.
        """
        texts = batch_texts(map(wire_fields, jobs))
        body = "[" + ",".join(text for text in texts if isinstance(text, str)) + "]"

        def read(answer: Any) -> list[int | InvalidJob]:
            answers = iter(answer["jobs"])
            return [text if isinstance(text, InvalidJob) else _outcome(next(answers)) for text in texts]

        return self._ask("POST", "/v1/jobs/batch", read, body, _trace_headers(), repeat=False)

    def job(self, job_id: int) -> JobRecord:
        """Read a job with its newest 50 attempts. Raises `NotFound`."""
        return self._ask("GET", _job(job_id), read_job)

    def wait(self, job_id: int, timeout: Duration = 60) -> JobRecord:
        """Wait until a job has ended, and read it.

        Raises `TimeoutError` when it has not within `timeout`, with what `explain` says, and `NotFound`.
        """
        deadline = time.monotonic() + seconds(timeout)
        while not (job := self._poll(job_id, deadline, LONGEST_POLL_S)).ended:
            if time.monotonic() >= deadline:
                raise self._late(job)
        return job

    def jobs(
        self,
        *,
        state: State | None = None,
        queue: str | None = None,
        kind: str | None = None,
        tag: str | None = None,
        page_size: int = 50,
    ) -> Iterator[JobRecord]:
        """Go through the jobs, newest first, without their attempts.

        Pages of `page_size` (1 to 500) are fetched as needed; an answer may have 16 MiB, so take fewer where
        args are large.
        """
        cursor: str | None = ""
        while cursor is not None:
            page, cursor = self._page(cursor, state=state, queue=queue, kind=kind, tag=tag, limit=page_size)
            yield from page

    def cancel(self, job_id: int, *, reason: str | None = None, force: bool = False) -> State:
        """Cancel a job, and return its state after.

        `cancelled`, or `running` or `waiting`: such a job is asked, and ends within its endpoint's
        `cancel_grace_ms`; with `force` at once. Raises `AlreadyFinished` and `NotFound`.
        """
        body = dumps({"reason": reason, "force": force})
        return self._ask("POST", f"{_job(job_id)}/cancel", _read_state, body)

    def retry(self, job_id: int) -> State:
        """Run an ended job again, or a scheduled one now. Raises `Conflict` and `NotFound`; not repeated."""
        return self._ask("POST", f"{_job(job_id)}/retry", _read_state, repeat=False)

    def explain(self, job_id: int) -> Explanation:
        """Say why a job is not running. Raises `NotFound`."""
        return self._ask("GET", f"{_job(job_id)}/explain", read_explanation)

    def endpoints(self) -> list[EndpointRecord]:
        """Read all endpoints, by name."""
        return self._ask("GET", "/v1/endpoints", lambda answer: list(map(read_endpoint, answer["endpoints"])))

    def endpoint(self, name: str) -> EndpointRecord:
        """Read an endpoint, without its secret. Raises `NotFound`."""
        return self._ask("GET", _endpoint(name), read_endpoint)

    def put_endpoint(self, name: str, spec: Mapping[str, object]) -> EndpointRecord:
        """Write an endpoint whole; fields are those of docs/how-to/endpoints.md.

        A new one answers with its signing `secret`, this once: so the request is not repeated. Raises
        `Conflict` where another takes one of its kinds, and `Problem` with `errors` for wrong fields.
        """
        return self._ask("PUT", _endpoint(name), read_endpoint, dumps(spec), repeat=False)

    def pause_endpoint(self, name: str, *, reason: str | None = None) -> EndpointRecord:
        """Send an endpoint nothing until it is resumed; its jobs stay available."""
        return self._ask("POST", f"{_endpoint(name)}/pause", read_endpoint, dumps({"reason": reason}))

    def resume_endpoint(self, name: str) -> EndpointRecord:
        """Send an endpoint its jobs again."""
        return self._ask("POST", f"{_endpoint(name)}/resume", read_endpoint)

    def _poll(self, job_id: int, deadline: float, longest: float) -> JobRecord:
        wait = min(max(deadline - time.monotonic(), 0.0), longest)
        # Rounded up, or the last millisecond would be asked for many times.
        path = f"{_job(job_id)}?wait_ms={ceil(wait * 1000)}"
        return self._ask("GET", path, read_job, timeout=self._timeout + wait)

    def _late(self, job: JobRecord) -> TimeoutError:
        """Say how a job stands that has not ended, and why, where that is told at the first try."""
        said = f"job {job.id} is still {job.state}"
        try:
            path = f"{_job(job.id)}/explain"
            why = self._ask("GET", path, read_explanation, repeat=False, timeout=_EXPLAINED_WITHIN_S)
        except PosthasteError:
            return TimeoutError(said)
        return TimeoutError(f"{said}: {why.detail}" if why.state == job.state else said)

    def _page(self, cursor: str, **query: object) -> tuple[list[JobRecord], str | None]:
        given = {
            name: value for name, value in {**query, "cursor": cursor}.items() if value not in (None, "")
        }

        def read(answer: Any) -> tuple[list[JobRecord], str | None]:
            return [read_job(job) for job in answer["jobs"]], answer["next_cursor"]

        return self._ask("GET", f"/v1/jobs?{urlencode(given)}", read)

    def _ask(
        self,
        method: str,
        path: str,
        read: Callable[[Any], T],
        body: str = "",
        headers: Mapping[str, str] = _NO_HEADERS,
        *,
        repeat: bool = True,
        timeout: float | None = None,
    ) -> T:
        sent = {"accept": "application/json", **headers}
        if body:
            sent["content-type"] = "application/json"
        if self._key:
            sent["authorization"] = f"Bearer {self._key}"
        request, within = Request(method, path, sent, body.encode()), timeout or self._timeout
        response = retrying(self._send, request, within) if repeat else self._send(request, within)
        if not 200 <= response.status < 300:
            raise problem_of(response)
        try:
            return read(response.json())
        except (LookupError, TypeError, ValueError) as error:
            raise TransportError("the answer is not that of Posthaste's API: check the URL") from error


def _outcome(answer: Mapping[str, Any]) -> int | InvalidJob:
    if "error" not in answer:
        return int(answer["id"])
    problem = Problem(answer["error"]["status"], answer["error"])
    return refusal_of(problem) or InvalidJob([FieldError("", problem.code, problem.detail)])


def _read_state(answer: Mapping[str, Any]) -> State:
    return cast(State, answer["state"])


def _trace_headers() -> dict[str, str]:
    parent = traceparent()
    return {"traceparent": parent} if parent else {}


def _job(job_id: int) -> str:
    try:
        return f"/v1/jobs/{index(job_id)}"
    except TypeError:
        raise TypeError(f"job_id must be an int, not {type(job_id).__name__}") from None


def _endpoint(name: str) -> str:
    return f"/v1/endpoints/{quote(name, safe='')}"
