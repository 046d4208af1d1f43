"""For the tests of handlers: sign a dispatch, run a handler, drain a queue. No server is needed."""

from ..envelope import Grant
from ..outcome import Completed
from .dispatch import SignedRequest, sign
from .queue import Queue, QueuedJob, run

__all__ = ["Completed", "Grant", "Queue", "QueuedJob", "SignedRequest", "run", "sign"]
