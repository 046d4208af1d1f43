-- 0015 callback_shape: the fields of `callback` are checked wherever it is written, as REST checks them. A filter that is
-- misspelt would be no filter, and the hook of the job open to any webhook.

-- The checks of 0011, and the fields. A null is as if it were not there. Expressions are not compiled here. In plpgsql, which
-- plans it once a session.
create or replace function posthaste.callback_faults(p_callback json) returns jsonb[]
language plpgsql immutable as $$
begin
  return case
    when json_typeof(p_callback) <> 'object'
      then array[posthaste.fault('callback', 'wrong_type', 'callback must be an object')]
    when octet_length(p_callback::text) > 8192
      then array[posthaste.fault('callback', 'too_large', 'callback must have at most 8192 bytes')]
    when posthaste.json_too_deep(p_callback::text)
      then array[posthaste.fault('callback', 'too_deep', 'callback must be nested at most 64 deep')]
    when posthaste.json_has_nul(p_callback::text)
      then array[posthaste.fault('callback', 'nul_character', 'callback must not contain \u0000')]
    else (
      with part as (
        select e.key, e.value, e.n from json_each(p_callback) with ordinality as e (key, value, n)
      ),
      field as (
        select false as in_cel, p.key, p.value, p.n, 0 as m from part p
        union all
        select true, c.key, c.value, p.n, c.m
        from part p
        cross join lateral json_each(case when p.key = 'cel' and json_typeof(p.value) = 'object' then p.value end)
          with ordinality as c (key, value, m)
      )
      select array_agg(
        posthaste.fault(w.name, w.code, w.name || case w.code
          when 'unknown_field' then ' is not a known field'
          when 'duplicate_field' then ' is given more than once'
          when 'wrong_type' then ' must be ' || t.says
          when 'unknown_word' then ' must be one of complete, fail, ignore'
          when 'out_of_range' then ' must be from 1 to 2592000000 (30 days)'
          when 'too_long' then ' must have at most 2048 bytes'
          else ' must not be empty; leave it out' end)
        order by f.n, f.m)
      from (
        select *, row_number() over (partition by in_cel, key order by n, m) > 1 as again from field
      ) as f
      left join (values
        (false, 'cel', 'object', 'an object'), (false, 'timeout_ms', 'number', 'an integer'),
        (true, 'filter', 'string', 'a string'), (true, 'on_complete', 'string', 'a string'),
        (true, 'on_fail', 'string', 'a string'), (true, 'transform', 'string', 'a string'),
        (true, 'default_action', 'string', 'a string'), (true, 'fail_open', 'boolean', 'true or false')
      ) as t (in_cel, key, type, says) on t.in_cel = f.in_cel and t.key = f.key
      cross join lateral (select
        'callback.' || case when f.in_cel then 'cel.' else '' end || left(f.key, 100),
        case
          when t.key is null then 'unknown_field'
          when f.again then 'duplicate_field'
          when json_typeof(f.value) = 'null' then null
          when json_typeof(f.value) <> t.type then 'wrong_type'
          when t.type = 'number' then case
            when f.value::text !~ '^-?[0-9]+$' then 'wrong_type'
            when f.value::text::numeric not between 1 and 2592000000 then 'out_of_range' end
          when t.type <> 'string' then null
          when t.key = 'default_action' then case
            when f.value #>> '{}' not in ('complete', 'fail', 'ignore') then 'unknown_word' end
          when octet_length(f.value #>> '{}') > 2048 then 'too_long'
          when f.value #>> '{}' !~ '[^ \t\n\f\r]' then 'required'
        end) as w (name, code)
      where w.code is not null
    )
  end;
end $$;
