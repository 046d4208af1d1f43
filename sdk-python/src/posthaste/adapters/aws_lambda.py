"""AWS Lambda: events of function URLs and API Gateway (2.0), of API Gateway (1.0) and of load balancers.

`Invoke` carries the event of a function URL: one handler serves both.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from ..answer import Answer
from ..core import Core

LambdaHandler = Callable[[Mapping[str, Any], Any], dict[str, Any]]


def aws_lambda(core: Core) -> LambdaHandler:
    """Make the handler."""

    def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        """Answer an HTTP event. Raises `ValueError` for another one."""
        remaining = getattr(context, "get_remaining_time_in_millis", None)
        limit = remaining() / 1000 if callable(remaining) else None
        call = core.open(_method(event), _headers(event), _body(event), limit=limit)
        return _written(call if isinstance(call, Answer) else core.perform(call), event)

    return handler


def _method(event: Mapping[str, Any]) -> str:
    http = (event.get("requestContext") or {}).get("http") or {}
    method = http.get("method") or event.get("httpMethod")
    if not isinstance(method, str):
        raise ValueError(
            "not an HTTP event: call by function URL, API Gateway, or Invoke in the format lambda"
        )
    return method


def _headers(event: Mapping[str, Any]) -> dict[str, str]:
    """Read the headers, in the case that the platform likes; some give lists."""
    if many := event.get("multiValueHeaders"):
        return {name: ",".join(values) for name, values in many.items()}
    return dict(event.get("headers") or {})


def _body(event: Mapping[str, Any]) -> bytes:
    """Give the bytes that were signed: the platform made them text, or base64 as it pleased."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()


def _written(answer: Answer, event: Mapping[str, Any]) -> dict[str, Any]:
    written = {
        "statusCode": answer.status,
        "statusDescription": f"{answer.status} {HTTPStatus(answer.status).phrase}",
        "headers": dict(answer.headers),
        "body": answer.body.decode(),
        "isBase64Encoded": False,
    }
    if event.get("multiValueHeaders") and not event.get("headers"):
        # A load balancer that gives lists takes only lists.
        written["multiValueHeaders"] = {name: [text] for name, text in answer.headers.items()}
    return written
