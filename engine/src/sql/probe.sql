-- probe: which of these lanes have a run that may start; one look for all of an idle dispatcher's lanes.
-- Parallel arrays: $1 lanes, $2 priorities, $3 floors.
select distinct scan.lane_id
from unnest($1::integer[], $2::smallint[], $3::bigint[]) as scan (lane_id, priority, floor)
where exists (
  select from posthaste.ready r
  where r.lane_id = scan.lane_id and r.priority = scan.priority and r.seq > scan.floor)
