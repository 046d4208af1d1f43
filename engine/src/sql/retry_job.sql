-- retry_job: put an ended or scheduled job where it may start now. $1 id.
select posthaste.retry_v1($1)
