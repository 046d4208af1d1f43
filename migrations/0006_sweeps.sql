-- 0006 sweeps: ends that nobody's run brings. Called by maintenance only.

-- Whether a job's last run was its end. One that is only moving has not ended.
create function posthaste.has_ended(p_job bigint) returns boolean
language sql stable as $$
  select coalesce((
    select a.outcome in ('completed', 'cancelled', 'dead') from posthaste.attempt a
    where a.job_id = p_job order by a.run_lease desc limit 1), false)
$$;

-- Ends up to p_limit unstarted jobs whose expires_at has passed. A job that runs, or ended, keeps nothing here.
create function posthaste.expire_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_due record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_due in
    select e.job_id from posthaste.expiring e
    -- Running jobs are left out, so that many of them do not hide those that wait.
    where e.expires_at <= now() and not exists (select from posthaste.lease l where e.job_id = any (l.job_ids))
    order by e.expires_at limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_due.job_id) t;
    if found then
      if posthaste.end_run(v_due.job_id, v_run.run_lease, null, null, 'dead', 'expired',
           'expires_at passed before the job could be sent', v_run.failures, 'maintenance') then
        v_ended := v_ended + 1;
      end if;
      delete from posthaste.expiring where job_id = v_due.job_id;
    elsif posthaste.has_ended(v_due.job_id) then
      delete from posthaste.expiring where job_id = v_due.job_id;
    end if;
  end loop;
  return v_ended;
end $$;

-- Cancels up to p_limit jobs whose running run ended with another one to come before the request was seen.
create function posthaste.grant_cancels_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_request record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_request in
    select c.job_id, c.reason from posthaste.cancel_request c
    where not exists (select from posthaste.lease l where c.job_id = any (l.job_ids)) or posthaste.has_ended(c.job_id)
    order by c.job_id limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_request.job_id) t;
    if found then
      perform posthaste.end_run(v_request.job_id, v_run.run_lease, null, null, 'cancelled', 'cancelled',
        coalesce(v_request.reason, ''), v_run.failures, 'maintenance');
      v_ended := v_ended + 1;
      delete from posthaste.cancel_request where job_id = v_request.job_id;
    elsif posthaste.has_ended(v_request.job_id) then
      delete from posthaste.cancel_request where job_id = v_request.job_id;
    end if;
  end loop;
  return v_ended;
end $$;

revoke all on function posthaste.has_ended, posthaste.expire_v1, posthaste.grant_cancels_v1 from public;
