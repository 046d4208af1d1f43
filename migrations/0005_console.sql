-- 0005 console: what operators do through REST that takes more than one look.

-- Writes an endpoint and the kinds it takes. PH409 when another endpoint takes one of them.
-- `p_secret` replaces the sealed secret; without it the old one is kept, and a new endpoint gets `p_first_secret`.
create function posthaste.put_endpoint_v1(p_name text, p_spec json, p_kinds text[], p_secret bytea, p_first_secret bytea)
returns table (
  created boolean, name text, spec json, secret bytea, version bigint, paused_at timestamptz, paused_reason text,
  created_at timestamptz, updated_at timestamptz)
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_taken record;
begin
  -- One writer at a time, so that two endpoints cannot both find a kind free.
  perform pg_advisory_xact_lock(28776, 4);
  select k.kind, k.endpoint into v_taken from endpoint_kind k
    where k.namespace = 1 and k.kind = any (p_kinds) and k.endpoint <> p_name order by k.kind limit 1;
  if found then
    raise exception using errcode = 'PH409',
      message = format('kind %s is taken by endpoint %s', v_taken.kind, v_taken.endpoint);
  end if;
  insert into endpoint as e (name, spec, secret) values (p_name, p_spec, coalesce(p_secret, p_first_secret))
    on conflict on constraint endpoint_pkey do update
      set spec = excluded.spec, secret = coalesce(p_secret, e.secret), version = e.version + 1, updated_at = now();
  delete from endpoint_kind k where k.namespace = 1 and k.endpoint = p_name and not k.kind = any (p_kinds);
  insert into endpoint_kind (kind, endpoint)
    select distinct kind, p_name from unnest(p_kinds) as n (kind)
    on conflict on constraint endpoint_kind_pkey do nothing;
  perform pg_notify('posthaste_config', 'endpoint');
  return query
    select e.version = 1, e.name, e.spec, e.secret, e.version, e.paused_at, e.paused_reason, e.created_at, e.updated_at
    from endpoint e where e.namespace = 1 and e.name = p_name;
end $$;

revoke all on function posthaste.put_endpoint_v1 from public;

-- Puts a job where it may start now: an ended one with all its attempts before it, a scheduled one at once.
-- Returns 'retried', or why not: 'available', 'running', 'expired', 'past_retention'.
create function posthaste.retry_v1(p_id bigint) returns text
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_job record;
  v_last record;
begin
  select j.lane_id, j.priority, j.expires_at into v_job from job j where j.job_id = p_id;
  if not found then
    if exists (select from dead_letter d where d.job_id = p_id) then
      return 'past_retention';
    end if;
    raise exception using errcode = 'PH404', message = 'no job ' || p_id;
  end if;
  if v_job.expires_at <= now() then
    return 'expired';
  end if;
  -- A job that is moving while we look is not where we looked: look again.
  for turn in 1..20 loop
    -- The delete comes before the number: the floor of the claim rests on it.
    with taken as (
      delete from scheduled s where s.job_id = p_id
      returning s.job_id, s.run_lease, s.uncounted_since, s.lane_id, s.priority, s.failures, s.uncounted
    )
    insert into ready (seq, job_id, run_lease, uncounted_since, lane_id, priority, failures, uncounted)
      select nextval('posthaste.seq'), t.job_id, t.run_lease, t.uncounted_since, t.lane_id, t.priority, t.failures, t.uncounted
      from taken t;
    if found then
      perform wake();
      return 'retried';
    end if;
    if exists (
      select from ready r where r.lane_id = v_job.lane_id and r.priority = v_job.priority and r.seq = p_id
      union all
      select from ready r where r.job_id = p_id and r.seq <> r.job_id
    ) then
      return 'available';
    end if;
    select a.run_lease, a.outcome, a.attempt into v_last from attempt a where a.job_id = p_id order by a.run_lease desc limit 1;
    if found and v_last.outcome in ('completed', 'cancelled', 'dead') then
      -- What was asked of the run before is not asked of the next one.
      delete from cancel_request c where c.job_id = p_id;
      -- This row is the fence: of two retries one writes it, the other looks again.
      with redriven as (
        insert into attempt (job_id, run_lease, outcome, ended_by, attempt)
          values (p_id, v_last.run_lease + 1, 'redriven', 'operator', v_last.attempt)
          on conflict do nothing
          returning job_id, run_lease
      )
      insert into ready (seq, job_id, run_lease, lane_id, priority, failures, uncounted)
        select nextval('posthaste.seq'), x.job_id, x.run_lease + 1, v_job.lane_id, v_job.priority, 0, 0
        from redriven x;
      if found then
        delete from dead_letter d where d.job_id = p_id;
        delete from cancel_request c where c.job_id = p_id;
        perform wake();
        return 'retried';
      end if;
    elsif exists (select from running_run(p_id)) then
      return 'running';
    end if;
  end loop;
  raise exception using errcode = '40001', message = 'job ' || p_id || ' kept moving while it was being retried; try again';
end $$;

-- One job under an idempotency key, in one commit. `word`: new, replayed, mismatch, forgotten or faults.
create function posthaste.enqueue_once_v1(p_jobs json, p_key text, p_fingerprint bytea)
returns table (word text, id bigint, state text, error jsonb)
language plpgsql
set search_path = pg_catalog, posthaste, pg_temp as $$
#variable_conflict use_column
declare
  v_known record;
begin
  for turn in 1..20 loop
    -- A request with the same key that has not committed is waited for here. A key whose time is over is new again.
    insert into request_key as k (key, fingerprint) values (p_key, p_fingerprint)
      on conflict on constraint request_key_pkey do update
        set fingerprint = excluded.fingerprint, job_id = null, expires_at = excluded.expires_at
        where k.expires_at < now();
    if found then
      select e.id, e.state, e.error into id, state, error from enqueue_json_v1(p_jobs) e;
      if id is null then
        delete from request_key k where k.namespace = 1 and k.key = p_key;
        word := 'faults';
      else
        update request_key k set job_id = enqueue_once_v1.id where k.namespace = 1 and k.key = p_key;
        word := 'new';
      end if;
      return next;
      return;
    end if;
    -- What the insert waited for is visible to this second statement.
    select k.fingerprint, k.job_id into v_known from request_key k where k.namespace = 1 and k.key = p_key;
    if found then
      id := v_known.job_id;
      if v_known.fingerprint <> p_fingerprint then
        word := 'mismatch';
      else
        select v.state into state from jobs v where v.id = v_known.job_id;
        word := case when found then 'replayed' else 'forgotten' end;
      end if;
      return next;
      return;
    end if;
  end loop;
  raise exception using errcode = '40001', message = 'the idempotency key kept changing; try again';
end $$;

revoke all on function posthaste.retry_v1, posthaste.enqueue_once_v1 from public;
