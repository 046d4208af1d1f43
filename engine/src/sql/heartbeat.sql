-- heartbeat: this dispatcher lives. Only the change of the counter is read by others, never a clock.
update posthaste.dispatcher
set beat = beat + 1,
    beat_at = now(),
    state = $2::json
where dispatcher_id = $1
