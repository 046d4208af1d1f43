//! What functions answer with a 202.

use posthaste_protocol::accepted::Accepted;
use posthaste_protocol::suspend::Suspension;
use serde::Deserialize;
use serde_json::json;

use super::inbound::map;
use super::{check, faults};

#[test]
fn suspensions_are_read_as_published() {
    #[derive(Deserialize)]
    struct Given {
        body: String,
    }

    check(include_str!("../../../tests/vectors/suspend.json"), |given: &Given| {
        let Suspension { waits, need, steps, seq } = Suspension::parse(&given.body).map_err(faults)?;
        Ok(json!({"waits": waits, "need": need, "steps": steps.map(|steps| steps.get().to_owned()), "seq": seq}))
    });
}

#[test]
fn time_outs_are_read_as_published() {
    #[derive(Deserialize)]
    struct Given {
        headers: Vec<(String, String)>,
    }

    check(include_str!("../../../tests/vectors/accepted.json"), |given: &Given| {
        match Accepted::read(&map(&given.headers)) {
            Ok(Accepted { callback_timeout_ms, heartbeat_timeout_ms }) => {
                Ok(json!({"callback_timeout_ms": callback_timeout_ms, "heartbeat_timeout_ms": heartbeat_timeout_ms}))
            }
            Err(error) => Err(error.to_string().split(' ').nth(2).into()),
        }
    });
}
