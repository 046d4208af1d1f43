"""Callbacks: what a function, or whoever it handed its token to, says to the gateway about a job."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, Literal, ParamSpec, cast, get_args

from . import _json
from ._http import Request, Response, Send, is_header_text, retrying, shared
from .duration import Duration, milliseconds, seconds
from .errors import (
    ActionNotAllowed,
    AlreadyFinalized,
    CheckpointConflict,
    ConfigurationError,
    InvalidToken,
    LeaseSuperseded,
    PastRetention,
    Problem,
    TransportError,
)

CallbackOutcome = Literal["applied", "duplicate", "ignored", "buffered", "quarantined"]
_PROBLEMS: Mapping[int | str, type[Problem]] = {
    401: InvalidToken,
    403: ActionNotAllowed,
    410: PastRetention,
    "lease_superseded": LeaseSuperseded,
    "already_finalized": AlreadyFinalized,
}


@dataclass(frozen=True)
class CallbackAnswer:
    """What the gateway answered. What it did not say is None."""

    outcome: CallbackOutcome
    """`duplicate`: heard before; `ignored`: an expression said no; the last two: kept, and judged later."""
    job_id: int | None = None
    state: str | None = None
    deadline: datetime | None = None
    """Of a heartbeat: until then there must be another sign of life."""
    cancel_requested: bool = False
    """Somebody wants the job cancelled: stop, and answer with `Cancel`."""
    seq: int | None = None
    """Of a checkpoint: the number that the next one names."""


class CallbackClient:
    """Says how a job stands, with the token of one of its runs.

    Each call is repeated after a 429, 502, 503, 504 and a lost connection, up to five times. Refusals are
    raised: `InvalidToken`, `ActionNotAllowed`, `LeaseSuperseded`, `AlreadyFinalized`, `PastRetention`, or
    `Problem`.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        hook_url: str | None = None,
        timeout: Duration = 10,
        send: Send | None = None,
    ) -> None:
        """Take the URL and token of a dispatch; `timeout` is of each try, `send` replaces the network.

        Raises `ConfigurationError` for what can be no token, without it.
        """
        self.url = url
        self.token = token.strip()
        """A secret: whoever has it can end the run."""
        if not is_header_text(self.token):
            raise ConfigurationError("the callback token holds characters that no token has: copy it again")
        self.hook_url = hook_url
        """A URL for a third party, good for the run's next wait. A secret too."""
        self._timeout = seconds(timeout)
        self._send = send

    def __repr__(self) -> str:
        """Show where, never with what."""
        return f"{type(self).__name__}({self.url!r}, token=[REDACTED])"

    def complete(self, result: object = None) -> CallbackAnswer:
        """End the job: completed, with a result of at most 1 MiB of JSON."""
        return self._post("complete", result=result)

    def fail(
        self, error: str | None = None, *, retryable: bool = True, retry_after: Duration | None = None
    ) -> CallbackAnswer:
        """End the run: it failed. Tried again by the endpoint's policy, or dead where not `retryable`."""
        said = None if retryable else False
        return self._post("fail", error=error, retryable=said, retry_after_ms=milliseconds(retry_after))

    def retry(self, after: Duration | None = None) -> CallbackAnswer:
        """End the run: try again, an attempt is used."""
        return self._post("retry", after_ms=milliseconds(after))

    def snooze(self, after: Duration | None = None) -> CallbackAnswer:
        """End the run: ask again later (a minute), no attempt is used."""
        return self._post("snooze", after_ms=milliseconds(after))

    def cancel(self, reason: str | None = None) -> CallbackAnswer:
        """End the job: cancelled."""
        return self._post("cancel", reason=reason)

    def heartbeat(self, extend: Duration | None = None) -> CallbackAnswer:
        """Show a sign of life: the deadline becomes now and `extend`, or the same time-out again."""
        return self._post("heartbeat", extend_ms=milliseconds(extend))

    def progress(
        self,
        percent: float | None = None,
        message: str | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> CallbackAnswer:
        """Say how far the work is: 0 to 100 percent, a text, any data. Kept over retries."""
        return self._post("progress", percent=percent, message=message, metadata=metadata)

    def checkpoint(self, seq: int, steps: Mapping[str, object]) -> CallbackAnswer:
        """Store what was done, merged by name; `seq` must be the stored number (0 at first).

        Raises `CheckpointConflict` where other steps were stored meanwhile.
        """
        return self._post("checkpoint", seq=seq, steps=steps)

    def resume(self, payload: object = None) -> CallbackAnswer:
        """Wake a suspended function: it is POSTed again with this payload."""
        return self._post("resume", payload=payload)

    def _post(self, action: str, **body: object) -> CallbackAnswer:
        said = {name: value for name, value in body.items() if value is not None}
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        request = Request("POST", f"/{action}", headers, _json.dumps(said).encode())
        return _read(retrying(self._send or shared(self.url), request, self._timeout))


P = ParamSpec("P")


def _in_thread(
    method: Callable[Concatenate[CallbackClient, P], CallbackAnswer],
) -> Callable[Concatenate[AsyncCallbackClient, P], Coroutine[Any, Any, CallbackAnswer]]:
    @wraps(method)
    async def call(self: AsyncCallbackClient, /, *args: P.args, **kwargs: P.kwargs) -> CallbackAnswer:
        return await asyncio.to_thread(method, self._client, *args, **kwargs)

    return call


class AsyncCallbackClient:
    """A `CallbackClient` whose calls are awaited. They run in a thread: the loop goes on."""

    def __init__(self, url: str, token: str, *, hook_url: str | None = None, timeout: Duration = 10) -> None:
        """Take `url` and `token` of the dispatch; `timeout` is that of each try."""
        self._client = CallbackClient(url, token, hook_url=hook_url, timeout=timeout)
        self.url, self.token, self.hook_url = url, self._client.token, hook_url

    @classmethod
    def of(cls, client: CallbackClient) -> AsyncCallbackClient:
        """Make the twin of a client."""
        twin = cls(client.url, client.token, hook_url=client.hook_url)
        twin._client = client
        return twin

    def __repr__(self) -> str:
        """Show where, never with what."""
        return f"{type(self).__name__}({self.url!r}, token=[REDACTED])"

    complete = _in_thread(CallbackClient.complete)
    fail = _in_thread(CallbackClient.fail)
    retry = _in_thread(CallbackClient.retry)
    snooze = _in_thread(CallbackClient.snooze)
    cancel = _in_thread(CallbackClient.cancel)
    heartbeat = _in_thread(CallbackClient.heartbeat)
    progress = _in_thread(CallbackClient.progress)
    checkpoint = _in_thread(CallbackClient.checkpoint)
    resume = _in_thread(CallbackClient.resume)


def _read(response: Response) -> CallbackAnswer:
    if response.status not in (200, 202):
        raise _refusal(response)
    answer = read_answer(response.json())
    if answer is None:
        raise TransportError("the answer is not that of a callback gateway: check the callback URL")
    return answer


def _refusal(response: Response) -> Problem:
    problem = response.problem()
    kind = _PROBLEMS.get(problem.code) or _PROBLEMS.get(problem.status)
    if problem.code == "conflict" and isinstance(problem.body.get("seq"), int):
        kind = CheckpointConflict
    return response.problem(kind) if kind else problem


def read_answer(body: object) -> CallbackAnswer | None:
    """Read the body of a 200 or 202; None for what is no such body."""
    if not isinstance(body, dict) or body.get("outcome") not in get_args(CallbackOutcome):
        return None
    job = body.get("job") or {}
    if not isinstance(job, dict) or not isinstance(job.get("id", ""), str):
        return None
    deadline = body.get("deadline")
    return CallbackAnswer(
        outcome=cast(CallbackOutcome, body["outcome"]),
        job_id=int(job["id"]) if "id" in job else None,
        state=job.get("state"),
        deadline=_json.parse_time(deadline) if deadline else None,
        cancel_requested=body.get("cancel_requested") is True,
        seq=body.get("seq"),
    )
