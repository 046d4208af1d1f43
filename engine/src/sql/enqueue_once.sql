-- enqueue_once: enqueue under an idempotency key. $1 an array with one job, $2 key, $3 fingerprint of the request.
select word, id, state, error::text as error
from posthaste.enqueue_once_v1($1::text::json, $2, $3)
