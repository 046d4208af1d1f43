-- revoke_api_key: end a key for good. $1 key id.
update posthaste.api_key
set revoked_at = coalesce(revoked_at, now())
where key_id = $1
