"""The client for asyncio, against the real API."""

import asyncio
import inspect
import time

import pytest
from conftest import Dev
from opentelemetry.sdk.trace import TracerProvider

from posthaste import AsyncClient, Client, InvalidJob, NewJob, NotFound
from producer.ledger import Ledger


def test_jobs_are_enqueued_listed_cancelled_and_awaited(dev: Dev, ledger: Ledger) -> None:
    async def produce() -> None:
        async with AsyncClient(dev.api_url) as client:
            ids = await asyncio.gather(
                *(client.enqueue("async.many", {"n": n}, priority=1) for n in range(100))
            )
            assert len(set(ids)) == ledger.count("async.many") == 100
            assert [job.id async for job in client.jobs(kind="async.many", page_size=30)] == sorted(ids)[::-1]
            assert (await client.job(ids[0])).args in [{"n": n} for n in range(100)]
            assert await client.cancel(ids[0]) == "cancelled"
            assert (await client.wait(ids[0], timeout=5)).state == "cancelled"
            one, fault = await client.enqueue_many([NewJob("async.batch"), NewJob("not a kind")])
            assert isinstance(one, int)
            assert isinstance(fault, InvalidJob)
            with pytest.raises(NotFound):
                await client.explain(2**60)

    asyncio.run(produce())


def test_waits_end_when_their_jobs_do_and_the_loop_goes_on_meanwhile(dev: Dev) -> None:
    async def produce() -> None:
        async with AsyncClient(dev.api_url) as client:
            ids = [await client.enqueue("async.wait") for _ in range(5)]
            waits = [asyncio.create_task(client.wait(job_id, timeout=30)) for job_id in ids]
            began = time.monotonic()
            await asyncio.gather(*(client.cancel(job_id) for job_id in ids))
            assert [job.state for job in await asyncio.gather(*waits)] == ["cancelled"] * 5
            assert time.monotonic() - began < 9, "a wait ended with its poll, not with its job"
            still = await client.enqueue("async.wait")
            with pytest.raises(TimeoutError, match=f"job {still} is still available: no endpoint"):
                await client.wait(still, timeout=0.1)

    asyncio.run(produce())


def test_the_span_of_the_caller_goes_along_into_the_thread(dev: Dev, ledger: Ledger) -> None:
    tracer = TracerProvider().get_tracer("test")

    async def produce() -> tuple[int, str]:
        async with AsyncClient(dev.api_url) as client:
            with tracer.start_as_current_span("order") as span:
                return await client.enqueue("async.traced"), f"{span.get_span_context().trace_id:032x}"

    job_id, trace_id = asyncio.run(produce())
    assert trace_id in ledger.trace(job_id)


def test_it_has_every_call_of_the_client_with_the_same_arguments() -> None:
    for name, method in inspect.getmembers(Client, inspect.isfunction):
        if not name.startswith("_"):
            twin = inspect.signature(getattr(AsyncClient, name))
            assert twin.parameters == inspect.signature(method).parameters, name
