//! The server: version, durability, schema.

use posthaste_engine::{doctor, doctor::Server, migrate};
use sqlx::PgConnection;

use super::checkup::Checkup;

/// Below this, features that Posthaste needs are missing.
const MIN_VERSION: i32 = 150_000;

/// Looks at the server's settings.
pub async fn check(checkup: &mut Checkup, connection: &mut PgConnection) {
    let Some(server) = checkup.seen("server", doctor::server(connection).await) else { return };
    judge(checkup, &server);
}

fn judge(checkup: &mut Checkup, server: &Server) {
    if server.version_num >= MIN_VERSION {
        checkup.ok("server", format!("PostgreSQL {}", server.version));
    } else {
        checkup.fail("server", format!("PostgreSQL {} is too old", server.version), "upgrade to 15 or newer");
    }
    if server.standby {
        checkup.fail("primary", "this server is a read-only standby", "point POSTHASTE_DATABASE_URL at the primary");
    }
    switch(checkup, "fsync", server.fsync, "a crash of the machine can destroy the database");
    switch(checkup, "full_page_writes", server.full_page_writes, "a crash of the machine can tear pages");
    // Enqueues and ends are acknowledged once they are committed: that must mean written.
    let durable = matches!(server.synchronous_commit.as_str(), "on" | "remote_write" | "remote_apply" | "local");
    if durable {
        checkup.ok("synchronous_commit", server.synchronous_commit.clone());
    } else {
        checkup.fail(
            "synchronous_commit",
            format!("{}: a crash loses jobs that were acknowledged", server.synchronous_commit),
            "alter system set synchronous_commit = on; select pg_reload_conf()",
        );
    }
}

fn switch(checkup: &mut Checkup, setting: &str, on: bool, otherwise: &str) {
    if on {
        checkup.ok(setting, "on");
    } else {
        let fix = format!("alter system set {setting} = on; select pg_reload_conf()");
        checkup.fail(setting, format!("off: {otherwise}"), fix);
    }
}

/// Looks at the schema; `true` when the tables can be looked into.
pub async fn schema(checkup: &mut Checkup, connection: &mut PgConnection) -> bool {
    match migrate::check(connection).await {
        Ok(()) => {
            checkup.ok("schema", format!("version {}", migrate::SCHEMA_VERSION));
            true
        }
        Err(error) => {
            checkup.fail("schema", error.to_string(), "run `posthaste migrate` with the newest binary");
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::checkup::Verdict, *};

    fn server() -> Server {
        Server {
            version: "15.18".to_owned(),
            version_num: 150_018,
            fsync: true,
            full_page_writes: true,
            synchronous_commit: "on".to_owned(),
            standby: false,
            notification_usage: 0.0,
        }
    }

    fn worst(server: &Server) -> Verdict {
        let mut checkup = Checkup::default();
        judge(&mut checkup, server);
        checkup.worst()
    }

    #[test]
    fn a_server_that_can_lose_commits_fails() {
        assert_eq!(worst(&server()), Verdict::Ok);
        assert_eq!(worst(&Server { fsync: false, ..server() }), Verdict::Fail);
        assert_eq!(worst(&Server { full_page_writes: false, ..server() }), Verdict::Fail);
        assert_eq!(worst(&Server { synchronous_commit: "off".to_owned(), ..server() }), Verdict::Fail);
        assert_eq!(worst(&Server { version_num: 140_010, ..server() }), Verdict::Fail);
        assert_eq!(worst(&Server { standby: true, ..server() }), Verdict::Fail);
    }
}
