-- 0002 ranges: partitions of job and attempt, made ahead of the sequence.

-- Makes one range [lower, lower + width) of both tables. Attached, not created as a partition: attaching
-- an empty table does not block writers of the other ranges.
create function posthaste.make_range(p_lower bigint, p_width bigint) returns void
language plpgsql as $$
declare
  v_upper bigint := p_lower + p_width;
  v_table text;
begin
  foreach v_table in array array['job', 'attempt'] loop
    execute format('create table posthaste.%I (like posthaste.%I including all)', v_table || '_' || p_lower, v_table);
    execute format('alter table posthaste.%I attach partition posthaste.%I for values from (%s) to (%s)',
      v_table, v_table || '_' || p_lower, p_lower, v_upper);
  end loop;
  insert into posthaste.job_range (lower_id, upper_id) values (p_lower, v_upper);
end $$;

-- Keeps three ranges ahead of the sequence. The width doubles once many ranges exist, because the
-- claim's join to job costs more with each of them (1.6, 4.5, 6.2 µs a job at 0, 32, 128).
create function posthaste.ensure_ranges(p_ahead integer default 3) returns integer
language plpgsql as $$
declare
  v_next bigint;
  v_upper bigint;
  v_width bigint;
  v_count integer;
  v_made integer := 0;
begin
  -- Whoever comes second leaves it to the first: three ranges are in hand.
  if not pg_try_advisory_xact_lock(28776, 3) then
    return 0;
  end if;
  select coalesce(last_value, 0) + 1 into v_next from posthaste.seq;
  select coalesce(max(upper_id), 0), coalesce(max(upper_id - lower_id), 1000000), count(*)
    into v_upper, v_width, v_count
    from posthaste.job_range;
  if v_count >= 24 and v_width < 1000000000 then
    v_width := v_width * 2;
  end if;
  while v_upper < v_next + v_width * p_ahead loop
    perform posthaste.make_range(v_upper, v_width);
    v_upper := v_upper + v_width;
    v_made := v_made + 1;
  end loop;
  return v_made;
end $$;

comment on function posthaste.ensure_ranges is 'Makes partitions ahead of the job ids; called by maintenance, and by enqueue every few thousand ids.';

select posthaste.ensure_ranges();

revoke all on function posthaste.make_range, posthaste.ensure_ranges from public;
