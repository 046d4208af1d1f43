-- Callbacks that complete their runs do so in one statement, and the grants are shipped with the binary.

-- engine/src/sql/complete.sql, for whoever need not be allowed to see jobs. A lease and a nonce are the key to each run.
create function posthaste.complete_held_v1(
  bigint[], bigint[], bigint[], uuid[], text[], bytea[], text[], boolean[], integer[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  return query
{{complete_v1}};
end $$;

drop function posthaste.grant_roles();
