"""What goes wrong: a function exits, takes too long, is called off, has another secret; and Lambda itself."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import Dev
from serving import HERE, LAMBDA, SECRET, Producer, free_port, serving

from posthaste import AlreadyFinalized, CallbackClient
from posthaste.testing import sign


@pytest.fixture
def producer(dev: Dev) -> Producer:
    return Producer(dev)


def test_a_process_that_exits_in_the_middle_of_a_job_is_tried_again(producer: Producer) -> None:
    port = free_port()
    with serving("wsgiref", port) as url:
        producer.endpoint("exits", url, retry={"policy": "constant", "base_ms": 1000, "jitter": 0})
        job = producer.enqueue("exit", endpoint="exits")
        producer.until(job, ("scheduled",))
    with serving("wsgiref", port):
        ended = producer.ended(job)
    assert ended["result"] == 2
    lost = ended["attempts"][-1]
    assert (lost["class"], lost["error"]["code"]) == ("unknown", "reset")


def test_a_lambda_instance_that_exits_is_a_502_and_a_new_one_takes_the_next_attempt(
    producer: Producer,
) -> None:
    with serving("lambda_url") as url:
        producer.endpoint("lambda_exits", url)
        ended = producer.ended(producer.enqueue("exit", endpoint="lambda_exits"))
    assert ended["result"] == 2
    assert ended["attempts"][-1]["http_status"] == 502


def test_a_handler_that_takes_too_long_is_cancelled_and_tried_again(producer: Producer) -> None:
    with serving("uvicorn") as url:
        producer.endpoint("too_slow", url)
        ended = producer.ended(producer.enqueue("slow", endpoint="too_slow", timeout_ms=500))
    assert ended["attempts"][-1]["error"]["code"] == "timeout"
    assert ended["result"] == "cancelled: True"


def test_a_job_that_is_called_off_cancels_its_handler(producer: Producer) -> None:
    with serving("uvicorn") as url:
        producer.endpoint("called_off", url, cancel_grace_ms=100)
        job = producer.enqueue("slow", endpoint="called_off")
        producer.until(job, ("running",))
        producer.call("POST", f"/v1/jobs/{job}/cancel")
        assert producer.ended(job)["state"] == "cancelled"


def test_a_job_that_waits_hears_from_its_signs_of_life_that_it_is_called_off(
    producer: Producer, tmp_path: Path
) -> None:
    with serving("wsgiref") as url:
        producer.endpoint("obeys", url, cancel_grace_ms=30_000)
        job = producer.enqueue("obeys", {"file": str(tmp_path / "waits")}, endpoint="obeys")
        producer.until(job, ("waiting",))
        producer.call("POST", f"/v1/jobs/{job}/cancel")
        ended = producer.ended(job)
    assert ended["state"] == "cancelled"
    assert "as you wish" in json.dumps(ended)


def test_the_token_of_a_run_that_was_given_up_is_worth_nothing(producer: Producer, tmp_path: Path) -> None:
    file = tmp_path / "grant.json"
    with serving("wsgiref") as url:
        producer.endpoint("late", url)
        job = producer.enqueue("late", {"file": str(file)}, endpoint="late", callback={"timeout_ms": 200})
        ended = producer.ended(job)
    assert ended["result"] == "the second run"
    said = json.loads(file.read_text())
    with pytest.raises(AlreadyFinalized):
        CallbackClient(said["url"], said["token"]).complete("the first run")


@pytest.mark.parametrize("format", ["raw", "cloudevents"])
def test_other_body_formats_reach_the_same_handlers(producer: Producer, format: str) -> None:  # noqa: A002
    with serving("wsgiref", FORMAT=format) as url:
        producer.endpoint(f"as_{format}", url, format=format)
        ended = producer.ended(producer.enqueue("result", {"pages": 3}, endpoint=f"as_{format}"))
        accepted = producer.ended(producer.enqueue("accept", endpoint=f"as_{format}"))
    assert ended["result"] == {"pages": 3, "job": int(ended["id"]), "name": "Zoë"}
    assert accepted["result"] == {"frames": 1440}


def test_a_function_with_another_secret_refuses_and_the_job_keeps_its_attempts(producer: Producer) -> None:
    with serving("wsgiref") as url:
        producer.endpoint("other_secret", url, secret="whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
        job = producer.enqueue("result", {"pages": 3}, endpoint="other_secret")
        read = producer.until(job, ("scheduled",))
        assert "compare the signing secret" in read["attempts"][0]["error"]["message"]
        assert read["attempts"][0]["http_status"] == 401
        producer.endpoint("other_secret", url)
        deadline = time.monotonic() + 60
        while producer.until(job, ("scheduled", "completed"))["state"] == "scheduled":
            assert time.monotonic() < deadline, "the dispatcher never heard of the new secret"
            producer.call("POST", f"/v1/jobs/{job}/retry")


def test_a_secret_is_rotated_without_a_refusal(producer: Producer) -> None:
    with serving("wsgiref") as url:
        producer.endpoint("rotates", url)
        producer.call("POST", "/v1/endpoints/rotates/rotate-secret")
        ended = producer.ended(producer.enqueue("result", {"pages": 3}, endpoint="rotates"))
    assert (ended["state"], len(ended["attempts"])) == ("completed", 1)


@pytest.fixture(scope="module")
def emulator() -> Any:
    """A Lambda whose time-out is two seconds, with one instance."""
    command = [
        sys.executable,
        HERE / "lambda_emulator.py",
        "--timeout-s",
        "2",
        "--instances",
        "1",
        "--",
        *LAMBDA,
    ]
    environment = {"POSTHASTE_SIGNING_SECRET": SECRET, "PYTHONPATH": str(HERE / "functions")}
    process = subprocess.Popen(
        command, env=environment, cwd=HERE / "functions", stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    yield process.stdout.readline().split()[-1]
    process.terminate()
    process.wait(30)


def invoke(url: str, event: object, **headers: str) -> tuple[int, dict[str, str], bytes]:
    path = "/2015-03-31/functions/function/invocations"
    names = {name.replace("_", "-"): text for name, text in headers.items()}
    request = urllib.request.Request(url + path, json.dumps(event).encode(), names)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def event(kind: str, args: object = None) -> dict[str, Any]:
    request = sign(kind, args, secret=SECRET)
    http = {"requestContext": {"http": {"method": "POST"}}, "headers": dict(request.headers)}
    return {"version": "2.0", **http, "body": request.body.decode(), "isBase64Encoded": False}


def test_invoke_with_the_event_of_a_function_url_runs_the_same_handler(emulator: str) -> None:
    status, headers, body = invoke(emulator, event("result", {"pages": 3}))
    assert (status, "x-amz-function-error" in headers) == (200, False)
    said = json.loads(body)
    assert (said["statusCode"], json.loads(said["body"])["pages"]) == (200, 3)


def test_invoke_with_something_else_is_an_error_of_the_function(emulator: str) -> None:
    status, headers, body = invoke(emulator, {"Records": []})
    assert (status, headers["x-amz-function-error"]) == (200, "Unhandled")
    assert "not an HTTP event" in json.loads(body)["errorMessage"]


def test_invoke_of_a_function_that_takes_too_long_or_exits_is_an_error_of_the_function(emulator: str) -> None:
    _, headers, body = invoke(emulator, event("slow"))
    assert headers["x-amz-function-error"] == "Unhandled"
    assert "Task timed out after 2.00 seconds" in json.loads(body)["errorMessage"]
    _, headers, body = invoke(emulator, event("exit"))
    assert json.loads(body)["errorType"] == "Runtime.ExitError"


@pytest.mark.parametrize(
    ("path", "body_format", "status", "code", "message"),
    [
        ("/", "envelope", 502, "http_502", "Internal Server Error"),
        (
            "/2015-03-31/functions/function/invocations",
            "lambda",
            200,
            "function_error",
            "timed out after 2.00 seconds",
        ),
    ],
)
def test_a_lambda_that_takes_too_long_is_stopped_and_tried_again(
    producer: Producer,
    emulator: str,
    path: str,
    body_format: str,
    status: int,
    code: str,
    message: str,
) -> None:
    name = f"stuck_{body_format}"
    producer.endpoint(name, emulator + path, format=body_format)
    ended = producer.ended(producer.enqueue("stuck", endpoint=name))
    stopped = ended["attempts"][-1]
    assert (stopped["outcome"], stopped["class"], stopped["http_status"]) == ("retried", "responded", status)
    assert stopped["error"]["code"] == code
    assert message in stopped["error"]["message"]
    assert (ended["state"], ended["result"]) == ("completed", ended["attempt"])


def test_invoke_as_an_event_is_accepted_at_once_and_too_many_are_throttled(emulator: str) -> None:
    assert invoke(emulator, event("slow"), x_amz_invocation_type="Event")[0] == 202
    deadline = time.monotonic() + 10
    while (answer := invoke(emulator, event("nothing")))[0] != 429:
        assert time.monotonic() < deadline, "the event never ran"
    assert answer[1]["x-amzn-errortype"] == "TooManyRequestsException"
    assert invoke(emulator, {}, x_amz_invocation_type="DryRun")[0] == 204
    while invoke(emulator, event("nothing"))[0] != 200:
        assert time.monotonic() < deadline, "the instance never came free"
