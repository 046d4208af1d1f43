-- endpoint: endpoints as stored, by name. $1 a name, or null for all.
select name, spec::text as spec, secret, version, paused_at, paused_reason, created_at, updated_at
from posthaste.endpoint
where namespace = 1 and ($1::text is null or name = $1)
order by name
