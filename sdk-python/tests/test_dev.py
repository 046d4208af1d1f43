"""The Posthaste of these tests."""

from conftest import Dev


def test_a_job_that_is_enqueued_can_be_read(dev: Dev) -> None:
    job = dev.posthaste("enqueue", "nobody.takes_this").strip()
    assert "nobody.takes_this" in dev.posthaste("job", "get", job)
