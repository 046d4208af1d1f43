"""Jobs from Postgres to functions: write handlers, enqueue in your own transaction, call back."""

from .answer import Answer
from .app import Posthaste
from .callback import AsyncCallbackClient, CallbackAnswer, CallbackClient
from .envelope import Progress
from .errors import (
    ActionNotAllowed,
    AlreadyFinalized,
    CheckpointConflict,
    ConfigurationError,
    FieldError,
    InvalidToken,
    LeaseSuperseded,
    PastRetention,
    PosthasteError,
    Problem,
    SignatureError,
    TransportError,
)
from .job import AsyncJob, Job
from .outcome import (
    Accepted,
    CallbackWait,
    Cancel,
    Fail,
    JobsWait,
    Outcome,
    Resume,
    Retire,
    Retry,
    Snooze,
    Suspend,
    Throttle,
    TimerWait,
)

__all__ = [
    "Accepted",
    "ActionNotAllowed",
    "AlreadyFinalized",
    "Answer",
    "AsyncCallbackClient",
    "AsyncJob",
    "CallbackAnswer",
    "CallbackClient",
    "CallbackWait",
    "Cancel",
    "CheckpointConflict",
    "ConfigurationError",
    "Fail",
    "FieldError",
    "InvalidToken",
    "Job",
    "JobsWait",
    "LeaseSuperseded",
    "Outcome",
    "PastRetention",
    "Posthaste",
    "PosthasteError",
    "Problem",
    "Progress",
    "Resume",
    "Retire",
    "Retry",
    "SignatureError",
    "Snooze",
    "Suspend",
    "Throttle",
    "TimerWait",
    "TransportError",
]

from .invalid_job import InvalidJob
from .new_job import NewJob
from .rest.async_client import AsyncClient
from .rest.client import Client
from .rest.problems import AlreadyFinished, Conflict, Forbidden, IdempotencyMismatch, NotFound, Unauthorized
from .rest.records import AttemptRecord, EndpointRecord, ErrorRecord, Explanation, JobRecord, State
from .sql.enqueue import enqueue, enqueue_many

__all__ += [
    "AlreadyFinished",
    "AsyncClient",
    "AttemptRecord",
    "Client",
    "Conflict",
    "EndpointRecord",
    "ErrorRecord",
    "Explanation",
    "Forbidden",
    "IdempotencyMismatch",
    "InvalidJob",
    "JobRecord",
    "NewJob",
    "NotFound",
    "State",
    "Unauthorized",
    "enqueue",
    "enqueue_many",
]
