//! `posthaste keys`: minted, used over REST, listed and revoked.

use crate::support::{Dev, stderr, stdout};

/// The status that `GET /v1/jobs` answers, with this key.
fn status(dev: &Dev, key: Option<&str>) -> u16 {
    let header = key.map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    dev.http("GET /v1/jobs", &header, "").0
}

#[test]
fn a_minted_key_opens_the_api_and_a_revoked_one_stays_in_the_list() {
    let dev = Dev::start();

    let minted = dev.run(&["keys", "mint", "billing service", "--scope", "read", "--scope", "enqueue"]);

    assert!(minted.status.success() && stderr(&minted).contains("this is the first key"), "{}", stderr(&minted));
    let key = stdout(&minted).trim().to_owned();
    // Nobody has asked this API before: nothing is remembered from when there was no key.
    assert_eq!((status(&dev, None), status(&dev, Some(&key))), (401, 200));

    let expired = ["keys", "mint", "old", "--scope", "admin", "--expires-at", "2020-01-01T00:00:00Z", "--json"];
    let expired = dev.json(&expired);
    assert_eq!(status(&dev, expired["key"].as_str()), 401);
    let key_id = key.split('_').nth(1).unwrap();
    assert_eq!(dev.json(&["keys", "revoke", key_id, "--json"])["key_id"], key_id);
    let listed = dev.json(&["keys", "list", "--json"]);
    let of = |name: &str| listed["keys"].as_array().unwrap().iter().find(|key| key["name"] == name).unwrap();
    assert_eq!((&of("billing service")["state"], &of("old")["state"]), (&"revoked".into(), &"expired".into()));
    assert_eq!(of("billing service")["scopes"], serde_json::json!(["read", "enqueue"]));
    let table = stdout(&dev.run(&["keys", "list"]));
    assert!(table.contains(key_id) && table.contains("billing service") && !table.contains(&key), "{table}");
    assert_eq!(dev.run(&["keys", "revoke", "00000000"]).status.code(), Some(1));
}
