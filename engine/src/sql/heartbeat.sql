-- heartbeat: this dispatcher lives. Only the change of the counter is read by others, never a clock. A row that was
-- forgotten while its dispatcher could not reach Postgres is made again, or its leases would count as nobody's.
-- $1 dispatcher, $2 state for people, $3 host, $4 version.
insert into posthaste.dispatcher (dispatcher_id, state, host, version)
overriding system value
values ($1, $2::json, $3, $4)
on conflict (dispatcher_id) do update
set beat = dispatcher.beat + 1,
    beat_at = now(),
    state = excluded.state
