"""Jobs from Postgres to functions: write handlers, enqueue in your own transaction, call back."""

from ._enqueue import enqueue as enqueue
from ._enqueue import enqueue_many as enqueue_many
from ._invalid_job import FieldError as FieldError
from ._invalid_job import InvalidJob as InvalidJob
from ._new_job import NewJob as NewJob
