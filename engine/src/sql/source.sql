-- source: sources as stored, by name. $1 a name, or null for all.
select name, spec::text as spec, secret, version, created_at, updated_at
from posthaste.source
where namespace = 1 and ($1::text is null or name = $1)
order by name
