"""Callbacks: what is sent, what is read, and what is tried again."""

import asyncio
import json
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from vectors import vectors

from posthaste import (
    ActionNotAllowed,
    AlreadyFinalized,
    AsyncCallbackClient,
    CallbackAnswer,
    CallbackClient,
    CheckpointConflict,
    ConfigurationError,
    InvalidToken,
    LeaseSuperseded,
    PastRetention,
    Problem,
    TransportError,
)
from posthaste._http import Request, Response
from posthaste.callback import read_answer

URL, TOKEN = "https://cb.example.com/v1/callbacks", "ph1.token"
APPLIED = Response(200, {}, b'{"outcome":"applied","job":{"id":"42","state":"completed"}}')


class Gateway:
    """Answers with what it is given, in order, and keeps what it was sent."""

    def __init__(self, *answers: Response | Exception) -> None:
        self.answers = list(answers)
        self.heard: list[Request] = []

    def __call__(self, request: Request, timeout: float) -> Response:
        assert timeout == 10
        self.heard.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def client(*answers: Response | Exception) -> tuple[CallbackClient, Gateway]:
    gateway = Gateway(*answers)
    return CallbackClient(URL, TOKEN, send=gateway), gateway


SAY: dict[str, Callable[[CallbackClient, Any], CallbackAnswer]] = {
    "complete": lambda cb, it: cb.complete(_json(it["result"])),
    "fail": lambda cb, it: cb.fail(
        it["error"], retryable=it["retryable"], retry_after=_seconds(it["retry_after_ms"])
    ),
    "retry": lambda cb, it: cb.retry(_seconds(it["after_ms"])),
    "snooze": lambda cb, it: cb.snooze(_seconds(it["after_ms"])),
    "cancel": lambda cb, it: cb.cancel(it["reason"]),
    "heartbeat": lambda cb, it: cb.heartbeat(_seconds(it["extend_ms"])),
    "progress": lambda cb, it: cb.progress(it["percent"], it["message"], _json(it["metadata"])),
    "checkpoint": lambda cb, it: cb.checkpoint(it["seq"], _json(it["steps"])),
    "resume": lambda cb, it: cb.resume(_json(it["payload"])),
}


def _json(text: str | None) -> Any:
    return json.loads(text or "null")


def _seconds(ms: int | None) -> float | None:
    return None if ms is None else ms / 1000


@vectors("callback", only="expect")
def test_callback(case: dict[str, Any]) -> None:
    action, given = case["given"]["action"], json.loads(case["given"]["body"] or "{}")
    callback, gateway = client(APPLIED)
    SAY[action](callback, case["expect"]["callback"])
    [request] = gateway.heard
    assert (request.method, request.path) == ("POST", f"/{action}")
    assert request.headers == {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
    assert json.loads(request.body) == {name: value for name, value in given.items() if value is not None}


@vectors("callback_answer")
def test_callback_answer(case: dict[str, Any]) -> None:
    said = case["given"]["body"]
    answer = read_answer(said)
    assert (answer is None) == ("error" in case)
    if answer is not None:
        assert answer.outcome == said["outcome"]
        assert answer.state == said.get("job", {}).get("state")
        assert str(answer.job_id or "") == said.get("job", {}).get("id", "")
        assert answer.cancel_requested == said.get("cancel_requested", False)
        assert answer.seq == said.get("seq")
        assert (answer.deadline is None) == ("deadline" not in said)


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (401, "invalid_token", InvalidToken),
        (403, "action_not_allowed", ActionNotAllowed),
        (409, "lease_superseded", LeaseSuperseded),
        (409, "already_finalized", AlreadyFinalized),
        (409, "conflict", Problem),
        (410, "past_retention", PastRetention),
        (422, "invalid", Problem),
        (413, "payload_too_large", Problem),
    ],
)
def test_a_refusal_is_raised_as_what_it_is(status: int, code: str, error: type[Problem]) -> None:
    body = {
        "status": status,
        "code": code,
        "detail": "why",
        "errors": [{"field": "a", "code": "b", "message": "c"}],
    }
    callback, gateway = client(Response(status, {}, json.dumps(body).encode()))
    with pytest.raises(Problem) as raised:
        callback.complete()
    assert type(raised.value) is error
    assert str(raised.value) == f"{status} {code}: why: a: c"
    assert len(gateway.heard) == 1


def test_a_checkpoint_that_came_too_late_is_told_the_number_to_name() -> None:
    callback, _ = client(Response(409, {}, b'{"status":409,"code":"conflict","seq":4}'))
    with pytest.raises(CheckpointConflict) as raised:
        callback.checkpoint(0, {})
    assert raised.value.seq == 4


@pytest.mark.parametrize(
    "trouble",
    [
        Response(429, {"retry-after": "0"}, b"{}"),
        Response(503, {"retry-after": "0.01"}, b"{}"),
        Response(502, {"content-type": "text/html"}, b"<html>"),
        Response(504, {}, b""),
        TransportError("reset"),
    ],
)
def test_what_may_pass_is_tried_again_with_the_same_body(trouble: Any) -> None:
    callback, gateway = client(trouble, trouble, APPLIED)
    assert callback.complete({"frames": 3}).outcome == "applied"
    assert len({request.body for request in gateway.heard}) == 1
    assert len(gateway.heard) == 3


def test_trying_again_ends_after_five_times(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("time.sleep", waits.append)
    callback, gateway = client(*[Response(503, {"retry-after": "3600"}, b'{"code":"overloaded"}')] * 9)
    with pytest.raises(Problem, match="overloaded"):
        callback.complete()
    assert (len(gateway.heard), waits) == (5, [10.0] * 4)
    callback, gateway = client(*[TransportError("away")] * 9)
    with pytest.raises(TransportError, match="away"):
        callback.complete()
    assert len(gateway.heard) == 5


def test_what_is_not_a_gateway_is_told_from_one() -> None:
    callback, _ = client(Response(200, {}, b'{"ok":true}'))
    with pytest.raises(TransportError, match="check the callback URL"):
        callback.complete()


def test_the_async_client_says_the_same() -> None:
    sync, gateway = client(APPLIED)
    answer = asyncio.run(AsyncCallbackClient.of(sync).complete({"frames": 3}))
    assert answer == CallbackAnswer("applied", 42, "completed")
    assert json.loads(gateway.heard[0].body) == {"result": {"frames": 3}}
    actions = {name for name in vars(CallbackClient) if not name.startswith("_")}
    assert actions <= set(vars(AsyncCallbackClient))


def test_a_token_is_never_printed() -> None:
    callback = CallbackClient(URL, TOKEN, hook_url="https://cb.example.com/v1/hooks/ph1.hook")
    assert "ph1" not in repr(callback) + repr(AsyncCallbackClient.of(callback))


@pytest.mark.parametrize("kind", [CallbackClient, AsyncCallbackClient])
def test_a_token_that_is_none_is_told_without_showing_it_and_a_line_s_end_is_not_of_it(kind: Any) -> None:
    broken = f"{TOKEN}\nx: y"
    with pytest.raises(ConfigurationError) as error:
        kind(URL, broken)
    assert TOKEN not in "".join(traceback.format_exception(error.value))
    assert kind(URL, f"{TOKEN}\n").token == TOKEN
