//! A dispatcher in a process of its own: where the libraries of a platform read the environment.

use std::process::{Child, Command, Stdio};

use posthaste_service::{health::Health, shutdown::Shutdown, telemetry::metrics::Registry};
use posthaste_tests::TestDb;

use crate::{callbacks::callbacks, fleet::settings};

const DATABASE: &str = "TEST_OF_A_PROCESS_DATABASE_URL";

/// A dispatcher that ends with this value.
pub struct Process(Child);

impl Process {
    /// Starts one with these variables, and none of AWS besides.
    pub fn start(db: &TestDb, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("a test has a path"));
        command.args(["--exact", "process::a_dispatcher_of_its_own", "--ignored", "--nocapture"]);
        command.env(DATABASE, db.url_as("dispatcher")).env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("AWS_CONFIG_FILE", "/nonexistent").env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent");
        command.envs(variables.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        Self(command.spawn().expect("a process"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "other tests start it, with an environment of its own"]
async fn a_dispatcher_of_its_own() {
    #[expect(clippy::disallowed_methods, reason = "the test that starts this says where the database is")]
    let url = std::env::var(DATABASE).expect("a test starts this");
    let settings = settings(url, 8, Some(callbacks()));
    posthaste_dispatcher::run(settings, &Registry::new(), &Health::new(), Shutdown::new()).await.expect("no error");
}
