-- 0006 sweeps: ends that nobody's run brings. Called by maintenance only.

-- Ends up to p_limit unstarted jobs whose expires_at has passed. A job that runs, or ended, keeps nothing here.
create function posthaste.expire_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_due record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_due in
    select e.job_id from posthaste.expiring e where e.expires_at <= now() order by e.expires_at limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_due.job_id) t;
    if found then
      if posthaste.end_run(v_due.job_id, v_run.run_lease, null, null, 'dead', 'expired',
           'expires_at passed before the job could be sent', v_run.failures, 'maintenance') then
        v_ended := v_ended + 1;
      end if;
      delete from posthaste.expiring where job_id = v_due.job_id;
    elsif not exists (select from posthaste.running_run(v_due.job_id)) then
      -- It ended, or it is moving: whoever moves it looks at expires_at when it is claimed.
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
  v_last text;
  v_ended bigint := 0;
begin
  for v_request in
    select c.job_id, c.reason from posthaste.cancel_request c order by c.job_id limit p_limit for update skip locked
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_request.job_id) t;
    if found then
      perform posthaste.end_run(v_request.job_id, v_run.run_lease, null, null, 'cancelled', 'cancelled',
        coalesce(v_request.reason, ''), v_run.failures, 'maintenance');
      v_ended := v_ended + 1;
      delete from posthaste.cancel_request where job_id = v_request.job_id;
    else
      select a.outcome::text into v_last from posthaste.attempt a
        where a.job_id = v_request.job_id order by a.run_lease desc limit 1;
      if v_last in ('completed', 'cancelled', 'dead') then
        delete from posthaste.cancel_request where job_id = v_request.job_id;
      end if;
    end if;
  end loop;
  return v_ended;
end $$;

revoke all on function posthaste.expire_v1, posthaste.grant_cancels_v1 from public;
