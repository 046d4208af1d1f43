//! A database of its own for each test.

use posthaste_engine::session::{self, Role, Session};
use sqlx::{Connection, PgConnection, PgPool};

use crate::cluster;

/// A migrated, empty database, dropped with this value.
#[derive(Debug)]
pub struct TestDb {
    name: String,
    url: String,
}

impl TestDb {
    /// A fresh copy of the migrated template.
    pub async fn new() -> Self {
        let (name, url) = cluster::create().await;
        Self { name, url }
    }

    /// Its URL, as superuser.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its URL for whoever connects with the privileges of `posthaste_<role>`.
    pub fn url_as(&self, role: &str) -> String {
        format!("{}&options[role]=posthaste_{role}", self.url)
    }

    /// A connection with the settings of this role.
    pub async fn connect(&self, role: Role) -> PgConnection {
        connect(&self.url, role).await
    }

    /// A connection with the settings of this role that waits for locks as long as the test lets it: for forced
    /// interleavings, where the product would give up after 100 ms and try again.
    pub async fn patient(&self, role: Role) -> PgConnection {
        patient(&self.url, role).await
    }

    /// A session, which connects at its first call.
    pub fn session(&self, role: Role) -> Session {
        Session::new(&self.url, role).expect("the URL of a test database")
    }

    /// A pool of at most eight connections for single statements.
    pub fn pool(&self) -> PgPool {
        session::pool(&self.url, Role::General, 8).expect("the URL of a test database")
    }
}

/// A connection with the settings of this role.
pub(crate) async fn connect(url: &str, role: Role) -> PgConnection {
    let options = session::options(url, role).expect("the URL of a test database");
    PgConnection::connect_with(&options).await.expect("connecting to a test database")
}

/// One that waits for locks for as long as it takes.
pub(crate) async fn patient(url: &str, role: Role) -> PgConnection {
    let mut connection = connect(url, role).await;
    sqlx::query("set lock_timeout = 0").execute(&mut connection).await.expect("set lock_timeout");
    connection
}

impl Drop for TestDb {
    fn drop(&mut self) {
        // A test that failed because there is no server must not fail twice.
        if !std::thread::panicking() {
            cluster::drop_database(&self.name);
        }
    }
}
