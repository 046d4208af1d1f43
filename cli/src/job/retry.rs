//! `posthaste job retry ID`: run an ended job again, or a scheduled one now.

use anyhow::bail;
use posthaste_engine::retry_job::{self, Retried};
use posthaste_protocol::job::{JobRef, State};

use super::One;
use crate::output;

/// Retries.
pub async fn run(one: One) -> anyhow::Result<()> {
    let mut connection = one.target.connect().await?;
    let id = one.id;
    match retry_job::retry_job(&mut connection, id).await? {
        Retried::Available => {}
        Retried::WasAvailable => output::note(format_args!("job {id} was available already")),
        Retried::WasRunning => bail!("job {id} is running; cancel it first"),
        Retried::Expired => bail!("job {id} is past its expires_at; enqueue a new one"),
        Retried::PastRetention => bail!("only the dead letter of job {id} is left; enqueue a new one"),
    }
    if one.json {
        return output::json(&JobRef { id, state: State::Available });
    }
    output::data(format_args!("job {id} is available"));
    Ok(())
}
