-- 0013 heard: a signal that comes again is known after its function was woken, too.

-- Of the signals that met waits before functions of this job were woken, the newest 64: the run, 8 bytes, and the digest, 16.
alter table posthaste.continuation add column heard bytea[];
