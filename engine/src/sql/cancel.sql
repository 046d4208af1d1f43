-- cancel: end a job, or ask its run to end. $1 id, $2 reason, $3 force.
select posthaste.cancel($1, $2, $3)
