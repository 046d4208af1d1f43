-- look_up_api_key: the key of an id, if there is one, and whether there is any. $1 key id or null.
select
  exists (select from posthaste.api_key) as any_key,
  k.key_id,
  k.name,
  k.verifier,
  k.scopes,
  k.created_at,
  k.expires_at,
  k.revoked_at,
  k.revoked_at is null and coalesce(k.expires_at > now(), true) as active
from (values (1)) as one (row)
left join posthaste.api_key k on k.key_id = $1
