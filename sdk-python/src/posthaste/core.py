"""What every server shares: a request is verified and read, its handler runs, an answer is written."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import time
from collections.abc import Mapping
from typing import Any

from . import envelope, signature
from ._http import Send
from ._loop import in_thread, run
from .answer import Answer, answer, crash, problem
from .arguments import InvalidArgs
from .errors import ConfigurationError, SignatureError
from .handler import Handler
from .job import AsyncJob, Job
from .outcome import Outcome

SECRET_VARIABLE = "POSTHASTE_SIGNING_SECRET"  # noqa: S105, a name
MAX_BODY_BYTES = 40 * 1024 * 1024
"""The largest body that is read: args, steps, and a resume of 32 MiB."""
_log = logging.getLogger("posthaste")


class Call:
    """A request that was verified and read: a handler, and what it is called with."""

    def __init__(self, handler: Handler, args: Any, job: Job | AsyncJob) -> None:
        """Read the args. Raises `InvalidArgs`."""
        self.handler, self.job = handler, job
        self.arguments = handler.arguments(args, job)


class Core:
    """Handlers by kind, and who may call them."""

    def __init__(
        self,
        secrets: tuple[signature.Secret, ...] | None,
        format: envelope.Format,  # noqa: A002, the endpoint's word
        *,
        verify: bool,
        tracebacks: bool,
    ) -> None:
        """Without `secrets` they are read from the environment when they are first needed."""
        self.handlers: dict[str, Handler] = {}
        self.format = format
        self._secrets = secrets
        self._fault = f"{SECRET_VARIABLE} is not set" if secrets is None else "signing_secret is empty"
        self._verify = verify
        self._tracebacks = tracebacks

    def check(self) -> None:
        """Raise `ConfigurationError` where no signing secret is set up: every request would be refused."""
        if self._verify and not self._known_secrets():
            hint = "set it to what `posthaste endpoint put` printed, or say verify=False"
            raise ConfigurationError(f"{self._fault}: {hint}")

    def open(
        self, method: str, headers: Mapping[str, str], body: bytes, *, limit: float | None = None
    ) -> Call | Answer:
        """Verify and read a request: a call, or the answer that refuses it.

        `limit` is how many seconds the platform gives.
        """
        headers = {name.lower(): text for name, text in headers.items()}
        if method != "POST":
            return problem(405, "method_not_allowed", "jobs are POSTed here", headers={"allow": "POST"})
        if self._verify and (refusal := self._refusal(headers, body)):
            return refusal
        return self.read(headers, body, limit=limit)

    def read(
        self, headers: Mapping[str, str], body: bytes, *, limit: float | None = None, send: Send | None = None
    ) -> Call | Answer:
        """Read a request that was verified. `send` is what takes callbacks, instead of the network."""
        started = time.monotonic()
        try:
            dispatch = envelope.read(headers, body, self.format)
        except envelope.MalformedDispatch as error:
            # Not 400, which would end the job: it is the endpoint that is wrong, or older than Posthaste.
            return problem(404, "malformed_dispatch", str(error))
        handler = self.handlers.get(dispatch.kind)
        if handler is None:
            known = ", ".join(sorted(self.handlers)) or "none"
            return problem(404, "unknown_kind", f"no handler for {dispatch.kind}; kinds here: {known}")
        job = (AsyncJob if handler.is_async else Job)(dispatch, started, limit, send)
        try:
            return Call(handler, dispatch.args, job)
        except InvalidArgs as error:
            return problem(422, "invalid_args", str(error), errors=[vars(one) for one in error.errors[:100]])

    def perform(self, call: Call) -> Answer:
        """Run a call from a thread without a loop."""
        try:
            if call.handler.is_async:
                return answer(run(call.handler.function(*call.arguments)))
            return answer(call.handler.function(*call.arguments))
        except (Exception, concurrent.futures.CancelledError) as error:
            return self._raised(call, error)

    async def aperform(self, call: Call) -> Answer:
        """Run a call on this loop, which goes on whatever the handler is."""
        if not call.handler.is_async:
            return await in_thread(self.perform, call)
        try:
            return answer(await call.handler.function(*call.arguments))
        except Exception as error:
            return self._raised(call, error)

    def _raised(self, call: Call, error: Exception) -> Answer:
        if isinstance(error, Outcome):
            return answer(error)
        _log.error("job %s of kind %s failed", call.job.id, call.job.kind, exc_info=error)
        return crash(error, with_traceback=self._tracebacks)

    def _refusal(self, headers: Mapping[str, str], body: bytes) -> Answer | None:
        try:
            self.check()
            signature.verify(
                self._known_secrets(),
                headers.get("webhook-id", ""),
                headers.get("webhook-timestamp", ""),
                headers.get("webhook-signature", ""),
                body,
                now_unix=time.time(),
            )
        except ConfigurationError as error:
            _log.error("refused a request: %s", error)
            return problem(401, "no_signing_secret", str(error))
        except SignatureError as error:
            _log.warning("refused a request: %s", error)
            return problem(401, "invalid_signature", str(error))
        return None

    def _known_secrets(self) -> tuple[signature.Secret, ...]:
        if self._secrets is None:
            self._secrets = signature.parse_secrets(os.environ.get(SECRET_VARIABLE, ""))
        return self._secrets
