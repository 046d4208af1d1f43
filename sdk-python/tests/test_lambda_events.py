"""AWS Lambda: every event that holds a request, with its traps."""

import base64
import json
from types import SimpleNamespace
from typing import Any

import pytest

from posthaste import Job, Posthaste
from posthaste.testing import SignedRequest, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
CONTEXT = SimpleNamespace(get_remaining_time_in_millis=lambda: 5000)
app = Posthaste(signing_secret=SECRET)


@app.job("greet")
def greet(args: dict[str, str], job: Job) -> dict[str, Any]:
    assert job.remaining <= 5, "Lambda's own time-out is the nearer one"
    return {"greeting": f"Grüß {args['name']}"}


@app.job("nothing")
def nothing() -> None: ...


def function_url(request: SignedRequest) -> dict[str, Any]:
    return {
        "version": "2.0",
        "headers": dict(request.headers),
        "requestContext": {"http": {"method": "POST", "path": "/"}},
        "body": request.body.decode(),
        "isBase64Encoded": False,
    }


def in_base64(request: SignedRequest) -> dict[str, Any]:
    body = base64.b64encode(request.body).decode()
    return {**function_url(request), "body": body, "isBase64Encoded": True}


def api_gateway_1(request: SignedRequest) -> dict[str, Any]:
    headers = {name.title(): text for name, text in request.headers.items()}
    return {
        "httpMethod": "POST",
        "path": "/",
        "headers": headers,
        "multiValueHeaders": {name: [text] for name, text in headers.items()},
        "body": request.body.decode(),
        "isBase64Encoded": False,
    }


def load_balancer_with_lists(request: SignedRequest) -> dict[str, Any]:
    lists = {name: [text] for name, text in request.headers.items()}
    event = {**api_gateway_1(request), "multiValueHeaders": lists}
    del event["headers"]
    return event


@pytest.mark.parametrize("event", [function_url, in_base64, api_gateway_1, load_balancer_with_lists])
def test_every_event_that_holds_a_request_is_answered(event: Any) -> None:
    answer = app.aws_lambda(event(sign("greet", {"name": "Ada ☕"}, secret=SECRET)), CONTEXT)
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {"greeting": "Grüß Ada ☕"}
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["posthaste-protocol"] == "1"
    assert ("multiValueHeaders" in answer) == (event is load_balancer_with_lists)
    json.dumps(answer)


def test_a_body_that_was_written_anew_on_the_way_is_not_believed() -> None:
    event = function_url(sign("greet", {"name": "Ada"}, secret=SECRET))
    event["body"] = json.dumps(json.loads(event["body"]))
    assert app.aws_lambda(event, CONTEXT)["statusCode"] == 401


def test_nothing_is_a_204_without_a_body() -> None:
    answer = app.aws_lambda(function_url(sign("nothing", secret=SECRET)), None)
    assert (answer["statusCode"], answer["body"]) == (204, "")


def test_a_request_without_a_body_is_refused() -> None:
    event = {"version": "2.0", "requestContext": {"http": {"method": "GET"}}, "headers": None}
    assert app.aws_lambda(event, CONTEXT)["statusCode"] == 405


@pytest.mark.parametrize("event", [{}, {"Records": []}, {"args": {}}])
def test_an_event_that_holds_no_request_is_an_error_of_the_function(event: Any) -> None:
    with pytest.raises(ValueError, match="not an HTTP event"):
        app.aws_lambda(event, CONTEXT)
