-- look later: suspended runs that this sweep has no time for. Theirs comes before that of those it looks at. $1 jobs, $2 the time
-- that is now (null: the database's).
update posthaste.waiting w
set deadline_at = least(w.hard_at, coalesce($2, now()) + interval '1 second')
where w.job_id = any ($1)
