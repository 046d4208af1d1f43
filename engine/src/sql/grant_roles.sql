-- grant roles: gives each role what it needs, at every `posthaste migrate`: an administrator may have made the roles since.
-- Whoever migrates without CREATEROLE has them made by its administrator. Whatever is not granted here is nobody's.
do $$
begin
  perform posthaste.make_roles();
  revoke execute on all functions in schema posthaste from public;

  -- Enqueues and cancels; sees nothing.
  perform posthaste.grant_to('producer', array[
    'usage on schema posthaste',
    'execute on function posthaste.enqueue, posthaste.enqueue_many, posthaste.cancel']);

  -- Looks at jobs, their args and results, and changes nothing.
  perform posthaste.grant_to('reader', array[
    'usage on schema posthaste',
    'select on posthaste.jobs, posthaste.dead_letters, posthaste.queue_depth, posthaste.deliveries']);

  -- Claims, sends and ends runs, and keeps the house. Makes no job, no endpoint and no key.
  perform posthaste.grant_to('dispatcher', array[
    'usage on schema posthaste',
    'usage, select on sequence posthaste.seq',
    'select on all tables in schema posthaste',
    'insert, update, delete on posthaste.ready, posthaste.scheduled, posthaste.lease, posthaste.waiting, posthaste.wait,
       posthaste.continuation, posthaste.inbox, posthaste.progress, posthaste.dispatcher, posthaste.delivery',
    'insert on posthaste.attempt',
    'insert, delete on posthaste.dead_letter',
    'update, delete on posthaste.expiring, posthaste.cancel_request',
    'delete on posthaste.request_key, posthaste.job_range',
    'update (paused_at, paused_reason, version, updated_at) on posthaste.endpoint',
    'execute on function posthaste.ensure_ranges, posthaste.drop_range_v1, posthaste.expire_v1, posthaste.grant_cancels_v1,
       posthaste.end_run, posthaste.take_unstarted, posthaste.has_ended, posthaste.running_run, posthaste.finalize_v3,
       posthaste.end_held_v1, posthaste.meet_v1, posthaste.go_on_v1, posthaste.checkpoint_v1, posthaste.wake']);
  if exists (select from pg_roles where rolname = 'posthaste_dispatcher') then
    revoke select on posthaste.api_key, posthaste.source from posthaste_dispatcher;
  end if;

  -- Ends, wakes and keeps alive the runs that a token names. Sees no args and no result of any job, and no secret.
  perform posthaste.grant_to('gateway', array[
    'usage on schema posthaste',
    'select (job_id, created_at, lane_id, max_attempts, namespace, priority, tags, metadata, callback) on posthaste.job',
    'select (job_id, run_lease, lease_id, finished_at, outcome, ended_by, action, digest) on posthaste.attempt',
    'select (id, state, run_lease) on posthaste.jobs',
    'select on posthaste.lane, posthaste.lease, posthaste.waiting, posthaste.parked, posthaste.cancel_request, posthaste.endpoint_kind,
       posthaste.source',
    'select (namespace, name, spec, version, paused_at, paused_reason, created_at, updated_at) on posthaste.endpoint',
    'select on posthaste.schema_migration',
    'update (deadline_at) on posthaste.waiting',
    -- Not what came for it.
    'select (job_id, run_lease, deadline_at, met_at, n, need, awaits, timed_out, name, jobs, digest, cel, signature) on posthaste.wait',
    'select (job_id, resumes, heard) on posthaste.continuation',
    -- What is kept it may move between runs, and judge again; never make a signal of it that nobody judges.
    'select, delete on posthaste.inbox',
    'update (run_lease, lease_id, nonce, wait, judge_at, verified, error) on posthaste.inbox',
    'select, insert, update, delete on posthaste.delivery',
    'select, insert, update on posthaste.progress',
    'execute on function posthaste.complete_held_v1, posthaste.end_held_v1, posthaste.park_held_v1, posthaste.meet_v1, posthaste.go_on_v1, posthaste.checkpoint_v1,
       posthaste.keep_v1, posthaste.running_run']);

  -- Everything that an administrator does through the command line and the API, except sending.
  perform posthaste.grant_to('operator', array[
    'usage on schema posthaste',
    'usage on sequence posthaste.seq',
    'select on all tables in schema posthaste',
    'insert, update, delete on posthaste.endpoint, posthaste.endpoint_kind, posthaste.api_key, posthaste.source, posthaste.request_key',
    'update, delete on posthaste.inbox',
    'insert, update on posthaste.delivery',
    'execute on all functions in schema posthaste']);
end $$;
