//! Postgres goes away and comes back.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use posthaste_tests::TestDb;
use tokio::{
    io::copy_bidirectional,
    net::{UnixListener, UnixStream},
};

use crate::{
    client::{exchange, post},
    rig::{Rig, Served, until},
};

/// A socket that leads to the Postgres of the tests, while the way is open.
struct Way {
    folder: tempfile::TempDir,
    open: Arc<AtomicBool>,
}

impl Way {
    /// Opens a way to the server of this URL, `postgres:///name?host=…&port=…&user=…`.
    fn to(url: &str) -> (Self, String) {
        let query = url.split_once('?').unwrap().1;
        let option = |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let (host, port) = (option("host="), option("port="));
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(format!(".s.PGSQL.{port}"))).unwrap();
        let ours = url.replace(&host, folder.path().to_str().unwrap());
        let open = Arc::new(AtomicBool::new(true));
        tokio::spawn(lead(listener, format!("{host}/.s.PGSQL.{port}"), Arc::clone(&open)));
        (Self { folder, open }, ours)
    }

    fn open(&self) {
        assert!(self.folder.path().exists());
        self.open.store(true, Ordering::Relaxed);
    }

    /// Returns when nothing more gets through.
    async fn close(&self) {
        self.open.store(false, Ordering::Relaxed);
        // One is ours, one the listener's; each connection has another.
        until("every connection is cut", async || Arc::strong_count(&self.open) == 2).await;
    }
}

/// Leads every connection on for as long as the way is open.
async fn lead(listener: UnixListener, to: String, open: Arc<AtomicBool>) {
    while let Ok((mut from, _)) = listener.accept().await {
        let (to, open) = (to.clone(), Arc::clone(&open));
        tokio::spawn(async move {
            let Ok(mut to) = UnixStream::connect(&to).await else { return };
            let closed = async {
                while open.load(Ordering::Relaxed) {
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                }
            };
            tokio::select! {
                _ = copy_bidirectional(&mut from, &mut to) => {}
                () = closed => {}
            }
        });
    }
}

#[tokio::test]
async fn without_postgres_it_is_503_and_afterwards_all_is_well() {
    let db = TestDb::new().await;
    let (way, url) = Way::to(db.url());
    let gateway = Served::start(&url).await;
    let mut rig = Rig::with(db, gateway).await;
    let (one, two) = (rig.park().await, rig.park().await);
    until("it is ready", async || rig.gateway.is_ready()).await;
    assert_eq!(rig.call(&one, "complete", "{}").await.status, 200);

    way.close().await;
    for _ in 0..3 {
        let answer = rig.call(&two, "complete", r#"{"result": 2}"#).await;
        assert_eq!((answer.status, answer.word()), (503, "database_unavailable"));
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    until("it is not ready", async || !rig.gateway.is_ready()).await;

    way.open();
    let answer = rig.call(&two, "complete", r#"{"result": 2}"#).await;
    assert_eq!((answer.status, answer.word(), answer.state()), (200, "applied", "completed"));
    until("it is ready again", async || rig.gateway.is_ready()).await;
}

#[tokio::test]
async fn before_the_sources_are_read_nobody_is_told_that_there_is_none() {
    let gateway = Served::start("postgres://nobody@127.0.0.1:1/nothing").await;
    let answer = exchange(gateway.address, &post("/v1/sources/gh", &[], b"{}")).await;
    assert_eq!((answer.status, answer.word()), (503, "database_unavailable"));
}
