-- mint_api_key: store what verifies a key. $1 key id, $2 name, $3 verifier, $4 scopes, $5 expiry or null.
insert into posthaste.api_key (key_id, name, verifier, scopes, expires_at)
values ($1, $2, $3, $4, $5)
