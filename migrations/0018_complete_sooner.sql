-- Callbacks that complete their runs (engine/src/sql/complete.sql) look each lease up once, and look for what was kept of a wait only where a run waited.

create or replace function posthaste.complete_held_v1(
  bigint[], bigint[], bigint[], uuid[], text[], bytea[], text[], boolean[], integer[]
) returns table (job_id bigint, run_lease bigint, notified bigint, outcome text)
language plpgsql security definer
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
begin
  return query
{{complete}};
end $$;
