"""API keys of the client."""

from collections.abc import Iterator

import pytest
from conftest import Dev, running

from posthaste import AsyncClient, Client, ConfigurationError, Forbidden, Unauthorized

KEY = "a-bootstrap-key-of-the-tests-0123456789"


@pytest.fixture(scope="module")
def guarded() -> Iterator[Dev]:
    """A Posthaste of its own: one key anywhere, and every call needs one."""
    with running(POSTHASTE_API_KEY=KEY) as dev:
        yield dev


def test_a_wrong_key_and_none_are_refused_at_once(guarded: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("POSTHASTE_API_KEY", raising=False)
    for key in ("wrong", None):
        with Client(guarded.api_url, api_key=key) as client, pytest.raises(Unauthorized) as caught:
            client.enqueue("key.wrong")
        assert (caught.value.status, caught.value.code) == (401, "unauthorized")


def test_the_key_comes_from_the_argument_or_the_environment(
    guarded: Dev, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(guarded.api_url, api_key=KEY) as client:
        job_id = client.enqueue("key.right")
    monkeypatch.setenv("POSTHASTE_API_KEY", KEY)
    with Client(guarded.api_url) as client:
        assert client.job(job_id).id == job_id


def test_a_key_without_the_scope_is_forbidden(guarded: Dev, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHASTE_API_KEY", KEY)
    minted = guarded.posthaste("keys", "mint", "reader", "--scope", "read").strip().splitlines()[-1]
    with Client(guarded.api_url, api_key=minted) as client, pytest.raises(Forbidden, match="enqueue"):
        client.enqueue("key.reader")


def test_a_key_that_is_none_is_told_without_showing_it_and_a_line_s_end_is_not_of_it(guarded: Dev) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Client(guarded.api_url, api_key=f"{KEY}\r\nx: y")
    assert KEY not in str(caught.value)
    with Client(guarded.api_url, api_key=f"{KEY}\n") as client:
        assert client.enqueue("key.line") > 0
        with pytest.raises(ValueError, match="printable ASCII"):
            client.enqueue("key.line", idempotency_key="a\nb")


def test_the_key_is_not_in_a_repr_or_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTHASTE_API_KEY", KEY)
    clients = [Client("http://127.0.0.1:9"), AsyncClient("http://127.0.0.1:9")]
    assert [KEY in repr(client) for client in clients] == [False, False]
    assert repr(clients[0]) == "Client('http://127.0.0.1:9', api_key=[REDACTED])"
