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
from .invalid_job import InvalidJob
from .job import AsyncJob, Job
from .new_job import NewJob
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
from .rest.async_client import AsyncClient
from .rest.client import Client
from .rest.problems import AlreadyFinished, Conflict, Forbidden, IdempotencyMismatch, NotFound, Unauthorized
from .rest.records import AttemptRecord, EndpointRecord, ErrorRecord, Explanation, JobRecord, State
from .sql.enqueue import enqueue, enqueue_many

__all__ = [
    "Accepted",
    "ActionNotAllowed",
    "AlreadyFinalized",
    "AlreadyFinished",
    "Answer",
    "AsyncCallbackClient",
    "AsyncClient",
    "AsyncJob",
    "AttemptRecord",
    "CallbackAnswer",
    "CallbackClient",
    "CallbackWait",
    "Cancel",
    "CheckpointConflict",
    "Client",
    "ConfigurationError",
    "Conflict",
    "EndpointRecord",
    "ErrorRecord",
    "Explanation",
    "Fail",
    "FieldError",
    "Forbidden",
    "IdempotencyMismatch",
    "InvalidJob",
    "InvalidToken",
    "Job",
    "JobRecord",
    "JobsWait",
    "LeaseSuperseded",
    "NewJob",
    "NotFound",
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
    "State",
    "Suspend",
    "Throttle",
    "TimerWait",
    "TransportError",
    "Unauthorized",
    "enqueue",
    "enqueue_many",
]
