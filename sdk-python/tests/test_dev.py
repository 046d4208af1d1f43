"""The Posthaste of these tests."""

import pytest
from conftest import Dev, running


def test_a_job_that_is_enqueued_can_be_read(dev: Dev) -> None:
    job = dev.posthaste("enqueue", "nobody.takes_this").strip()
    assert "nobody.takes_this" in dev.posthaste("job", "get", job)


def test_a_posthaste_that_does_not_start_says_why() -> None:
    with pytest.raises(AssertionError, match="POSTHASTE_API_LISTEN"), running(POSTHASTE_API_LISTEN="nowhere"):
        raise AssertionError("it started")
