-- 0015 narrow_gateway: what a gateway writes for a run goes through functions that ask who holds it, and cancels are granted in
-- the order in which runs end.

-- The requests are read without a lock: an end takes its attempt first, then the request, and so must this. Of two at once,
-- one ends each run, and the other finds it ended.
create or replace function posthaste.grant_cancels_v1(p_limit bigint) returns bigint
language plpgsql as $$
declare
  v_request record;
  v_run record;
  v_ended bigint := 0;
begin
  for v_request in
    select c.job_id, c.reason, c.due_at from posthaste.cancel_request c
    where (not exists (select from posthaste.lease l where c.job_id = any (l.job_ids))
        and not exists (select from posthaste.parked w where w.job_id = c.job_id))
      or posthaste.has_ended(c.job_id)
      or (c.due_at <= now() and exists (select from posthaste.parked w where w.job_id = c.job_id))
    order by c.job_id limit p_limit
  loop
    select t.run_lease, t.failures into v_run from posthaste.take_unstarted(v_request.job_id) t;
    if found then
      perform posthaste.end_run(v_request.job_id, v_run.run_lease, null, null, 'cancelled', 'cancelled',
        coalesce(v_request.reason, ''), v_run.failures, 'maintenance');
      v_ended := v_ended + 1;
      delete from posthaste.cancel_request where job_id = v_request.job_id;
      continue;
    end if;
    -- Its grace is over: whoever waits for its callback is told 409.
    select w.run_lease, w.lease_id, w.nonce, w.failures + 1 as attempt into v_run
    from posthaste.parked w where w.job_id = v_request.job_id and v_request.due_at <= now();
    if found and posthaste.end_run(v_request.job_id, v_run.run_lease, v_run.lease_id, v_run.nonce, 'cancelled', 'cancelled',
         coalesce(v_request.reason, ''), v_run.attempt, 'maintenance') then
      v_ended := v_ended + 1;
    elsif posthaste.has_ended(v_request.job_id) then
      delete from posthaste.cancel_request where job_id = v_request.job_id;
    end if;
  end loop;
  return v_ended;
end $$;

