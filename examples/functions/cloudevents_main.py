"""A Cloud Run function as Google's functions-framework wants it: Posthaste sends it CloudEvents, unchanged.

    pip install functions-framework
    functions-framework --source examples/functions/cloudevents_main.py --target resize --signature-type cloudevent --port 9004
    posthaste endpoint put resizer --spec '{"url": "http://127.0.0.1:9004/", "format": "cloudevents", "kinds": ["resize"]}'
    posthaste enqueue resize --args '{"image": "cat.png", "width": 320}' --wait

The framework answers 200 "OK" whatever the function returns, so the job's result is that text; an exception is a 500,
and the job is tried again. Where a job needs a result of its own, use the plain HTTP signature instead (see
python_stdlib.py).
"""

from __future__ import annotations

import functions_framework
from cloudevents.http import CloudEvent


@functions_framework.cloud_event
def resize(event: CloudEvent) -> None:
    args = event.data
    # An event's id is <job>.<run>: the job's part is the same for every attempt. Do the work once for it.
    job_id = event["id"].partition(".")[0]
    print(f"job {job_id} ({event['type']}): resizing {args['image']} to {args['width']} pixels", flush=True)
    if args["width"] < 1:
        raise ValueError("the width must be positive")
