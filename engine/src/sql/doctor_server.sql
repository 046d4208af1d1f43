-- doctor server: what the settings and the state of this server say about durability and wake-ups.
select
  current_setting('server_version') as version,
  current_setting('server_version_num')::integer as version_num,
  current_setting('fsync') = 'on' as fsync,
  current_setting('full_page_writes') = 'on' as full_page_writes,
  current_setting('synchronous_commit') as synchronous_commit,
  pg_is_in_recovery() as standby,
  pg_notification_queue_usage() as notification_usage
