"""Dispatches: read as Posthaste writes them, in each format; and written so for tests of handlers."""

import json
from typing import Any

import pytest
from vectors import vectors

from posthaste import Resume
from posthaste.envelope import Grant, MalformedDispatch, read
from posthaste.testing.dispatch import Draft, written


@vectors("dispatch")
def test_dispatch(case: dict[str, Any]) -> None:
    given, expect = case["given"]["job"], case["expect"]
    context = case["given"]["context"]
    dispatch = read(expect["headers"], expect["body"].encode(), case["given"]["format"])

    assert (dispatch.id, dispatch.kind, dispatch.queue) == (int(given["id"]), given["kind"], given["queue"])
    assert (dispatch.attempt, dispatch.max_attempts) == (given["attempt"], given["max_attempts"])
    assert (dispatch.run_lease, dispatch.idempotency_key) == (given["run_lease"], given["idempotency_key"])
    assert dispatch.args == json.loads(given["args"])
    assert dispatch.timeout_s == given["timeout_ms"] / 1000
    assert (dispatch.grant is None) == (context["callback"] is None)
    if dispatch.grant:
        assert dispatch.grant.token == expect["headers"]["posthaste-callback-token"]
    if case["given"]["format"] == "envelope":
        assert list(dispatch.tags) == given["tags"]
        assert dispatch.metadata == json.loads(given["metadata"])
        assert dispatch.steps == json.loads(context["steps"] or "{}")
        assert (dispatch.progress and dispatch.progress.percent) == (context["progress"] and 40)
        assert _resume(dispatch.resume) == _given_resume(context["resume"])


@vectors("dispatch")
def test_the_testing_kit_writes_a_dispatch_as_posthaste_does(case: dict[str, Any]) -> None:
    expect = case["expect"]
    body, headers = written(_draft(case), case["given"]["format"])
    document, wanted = json.loads(body), json.loads(expect["body"])
    for each in (document, wanted):
        if isinstance(each.get("callback"), dict):  # what the installation decides
            each["callback"] = (
                each["callback"]["url"],
                each["callback"]["token"],
                each["callback"]["hook_url"],
            )
    assert document == wanted
    assert headers == expect["headers"]


def _draft(case: dict[str, Any]) -> Draft:
    dispatch = read(case["expect"]["headers"], case["expect"]["body"].encode(), case["given"]["format"])
    given = case["given"]["job"]
    body = json.loads(case["expect"]["body"])
    return Draft(
        **{name: given[name] for name in ("kind", "queue", "attempt", "max_attempts", "run_lease", "tags")},
        id=int(given["id"]),
        args=json.loads(given["args"]),
        metadata=json.loads(given["metadata"]),
        timeout_ms=given["timeout_ms"],
        idempotency_key=given["idempotency_key"],
        enqueued_at=__import__("posthaste._json", fromlist=["parse_time"]).parse_time(given["enqueued_at"]),
        grant=dispatch.grant,
        progress=body.get("progress"),
        steps=dispatch.steps,
        resume=dispatch.resume,
    )


def _resume(resume: Resume | None) -> Any:
    return resume and (resume.name, resume.payload, resume.timed_out)


def _given_resume(given: dict[str, Any] | None) -> Any:
    return given and (given["name"], given["payload"] and json.loads(given["payload"]), given["timed_out"])


def test_args_that_look_like_an_envelope_are_args() -> None:
    forged, _ = written(Draft("transfer", {"cents": 1}, id=7))
    _, headers = written(Draft("harmless", {}, id=8), "raw")
    assert read(headers, forged, "raw").kind == "harmless"


def test_a_format_that_is_not_the_endpoints_is_found_out() -> None:
    with pytest.raises(MalformedDispatch, match="this is an envelope"):
        read(*reversed(written(Draft("k", {}))), "raw")  # type: ignore[arg-type]
    with pytest.raises(MalformedDispatch, match="this is no envelope"):
        read(*reversed(written(Draft("k", {}), "raw")))  # type: ignore[arg-type]


def test_what_an_envelope_says_goes_before_headers_that_nobody_signed() -> None:
    body, headers = written(Draft("harmless", {}, grant=Grant("https://ours.example", "ph1.ours")))
    forged = {**headers, "posthaste-queue": "other", "posthaste-callback-url": "https://theirs.example"}
    dispatch = read(forged, body)
    assert dispatch.queue == "default"
    assert dispatch.grant == Grant("https://ours.example", "ph1.ours")


@pytest.mark.parametrize("name", ["posthaste-job-id", "posthaste-kind"])
def test_an_envelope_beside_headers_of_another_job_is_refused(name: str) -> None:
    body, headers = written(Draft("transfer", {"cents": 1}, id=7))
    with pytest.raises(MalformedDispatch, match=f"the envelope and {name} are of different jobs"):
        read({**headers, name: "8"}, body)


def test_a_header_that_is_missing_is_named() -> None:
    with pytest.raises(MalformedDispatch, match="posthaste-job-id is missing"):
        read({}, b"{}", "raw")


@pytest.mark.parametrize(
    ("headers", "body", "says"),
    [
        ({}, b"{", "no JSON"),
        ({}, b"\xff", "no JSON"),
        ({}, b"{}", "this is no envelope"),
        ({}, b'{"protocol":1,"job":{},"args":1,"callback":null}', "id is missing"),
        ({}, b'{"protocol":2,"job":{},"args":1,"callback":null}', "protocol 2 is not known"),
        ({}, b'{"protocol":1,"job":{"id":[],"kind":"k"},"args":1,"callback":null}', "not a dispatch"),
    ],
)
def test_what_is_no_dispatch_is_refused_by_its_fault(headers: dict[str, str], body: bytes, says: str) -> None:
    with pytest.raises(MalformedDispatch, match=says):
        read(headers, body)


def test_a_token_is_never_printed() -> None:
    body, headers = written(
        Draft("k", {}, grant=Grant("https://cb.example", "ph1.token", "https://cb.example/ph1.hook"))
    )
    assert "ph1." not in repr(read(headers, body))


def test_a_token_that_is_none_is_refused_without_being_shown() -> None:
    body, headers = written(Draft("k", {}, grant=Grant("https://cb.example", "ph1.token")), "raw")
    with pytest.raises(MalformedDispatch, match="callback token") as error:
        read({**headers, "posthaste-callback-token": "ph1.to\nken"}, body, "raw")
    assert "ph1" not in str(error.value)
