"""The app: handlers by kind, and how to serve them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any, TypeVar

from . import adapters, signature
from .answer import Answer
from .core import Core
from .envelope import Format
from .handler import inspected
from .name import NAME_RULE, is_name

F = TypeVar("F", bound=Callable[..., Any])


class Posthaste:
    """Handlers of jobs, by kind. Served as `aws_lambda`, `cloud_function`, `asgi`, `wsgi`, or by `handle`."""

    def __init__(
        self,
        *,
        signing_secret: str | Iterable[str] | None = None,
        format: Format = "envelope",  # noqa: A002, the endpoint's word
        verify: bool = True,
        tracebacks: bool = False,
    ) -> None:
        """Make an app without handlers.

        `signing_secret` is `whsec_…`, or several while one is rotated. Without it they are read from the
        variable `POSTHASTE_SIGNING_SECRET`, separated by commas or spaces, at the first request; where there
        is none, requests are refused. `format` is that of the endpoint. `verify=False` serves whoever finds
        the URL: only where something before it checks who calls. `tracebacks` sends those of exceptions that
        nobody caught to Posthaste, for operators to read.
        """
        secrets = None if signing_secret is None else signature.parse_secrets(signing_secret)
        self._core = Core(secrets, format, verify=verify, tracebacks=tracebacks)

    def __repr__(self) -> str:
        """Show the kinds."""
        return f"Posthaste(kinds={self.kinds})"

    @property
    def kinds(self) -> list[str]:
        """The kinds that have a handler."""
        return sorted(self._core.handlers)

    def job(self, kind: str) -> Callable[[F], F]:
        """Register a handler: a function, or an `async def`, of `(args)`, `(args, job)`, `(job)` or nothing.

        Its annotation says what `args` becomes: a dataclass, a TypedDict, a pydantic model, `dict`. What it
        returns is the result; what else it may say is in `posthaste.outcome`. Raises `TypeError` for what
        cannot be called so, and `ValueError` for a kind that has a handler or that no job can have.
        """
        if not isinstance(kind, str):
            name = getattr(kind, "__name__", "send_receipt")
            raise TypeError(f'app.job needs the kind of the jobs: write @app.job("{name}")')
        if not is_name(kind):
            raise ValueError(f"the kind {kind!r:.50} {NAME_RULE}")

        def register(function: F) -> F:
            if kind in self._core.handlers:
                raise ValueError(f"{kind} has a handler already")
            self._core.handlers[kind] = inspected(function)
            return function

        return register

    def handle(self, method: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Answer a request of any server: its method, its headers, and its body as it came."""
        call = self._core.open(method, headers, body)
        return call if isinstance(call, Answer) else self._core.perform(call)

    @cached_property
    def aws_lambda(self) -> adapters.LambdaHandler:
        """The handler for AWS Lambda: function URLs, API Gateway, load balancers, `Invoke`."""
        return adapters.aws_lambda(self._core)

    @cached_property
    def cloud_function(self) -> adapters.FlaskView:
        """The target for Google's functions-framework; also a view for Flask."""
        return adapters.cloud_function(self._core)

    @cached_property
    def asgi(self) -> adapters.Asgi:
        """The application for uvicorn, or to mount in FastAPI and Starlette."""
        return adapters.asgi(self._core)

    @cached_property
    def wsgi(self) -> adapters.Wsgi:
        """The application for gunicorn, or to mount beside Flask and Django."""
        return adapters.wsgi(self._core)
