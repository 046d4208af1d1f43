//! The envelope: a JSON object around the args.
//!
//! Whatever needs no formatting is copied: a formatter takes a third longer for the whole envelope.

use std::io::{self, Write as _};

use super::{CallbackGrant, DispatchJob, PROTOCOL, Resume, Rfc3339, RunContext};

/// Appends the envelope of `job` to `out`, which is given the room for it first.
pub(super) fn write(job: &DispatchJob, context: &RunContext, out: &mut Vec<u8>) -> io::Result<()> {
    out.reserve(room(job, context));
    write!(out, r#"{{"protocol":{PROTOCOL},"job":{{"id":"{}","kind":"#, job.id)?;
    serde_json::to_writer(&mut *out, job.kind)?;
    copy(out, r#","queue":"#);
    serde_json::to_writer(&mut *out, job.queue)?;
    write!(
        out,
        r#","attempt":{},"max_attempts":{},"run_lease":{},"enqueued_at":"{}","tags":"#,
        job.attempt,
        job.max_attempts,
        job.run_lease,
        Rfc3339(job.enqueued_at),
    )?;
    serde_json::to_writer(&mut *out, job.tags)?;
    copy(out, r#","metadata":"#);
    copy(out, job.metadata);
    copy(out, r#"},"args":"#);
    copy(out, job.args);
    copy(out, r#","callback":"#);
    match &context.callback {
        Some(grant) => write_callback(grant, out)?,
        None => copy(out, "null"),
    }
    copy(out, r#","progress":"#);
    copy(out, context.progress.unwrap_or("null"));
    copy(out, r#","steps":"#);
    copy(out, context.steps.unwrap_or("{}"));
    copy(out, r#","resume":"#);
    match &context.resume {
        Some(resume) => write_resume(resume, out)?,
        None => copy(out, "null"),
    }
    copy(out, r#","parents":{}}"#);
    Ok(())
}

/// About how long the envelope is. Longer names and tags make the buffer grow once more.
fn room(job: &DispatchJob, context: &RunContext) -> usize {
    let callback = context.callback.as_ref().map_or(0, |grant| 600 + 2 * grant.gateway.callbacks().len());
    let carried = [context.progress, context.steps, context.resume.as_ref().and_then(|resume| resume.payload)];
    let carried: usize = carried.into_iter().flatten().map(str::len).sum();
    400 + job.args.len() + job.metadata.len() + callback + carried
}

fn write_callback(grant: &CallbackGrant, out: &mut Vec<u8>) -> io::Result<()> {
    // Tokens and URLs hold nothing that JSON escapes.
    copy(out, r#"{"url":""#);
    copy(out, grant.gateway.callbacks());
    copy(out, r#"","token":""#);
    copy(out, grant.token.expose());
    write!(out, r#"","deadline_in_ms":{},"token_expires_in_ms":{}"#, grant.deadline_in_ms, grant.token_expires_in_ms)?;
    copy(out, r#","hook_url":"#);
    match grant.hook_token {
        Some(token) => {
            copy(out, "\"");
            copy(out, grant.gateway.hooks());
            copy(out, "/");
            copy(out, token.expose());
            copy(out, "\"");
        }
        None => copy(out, "null"),
    }
    copy(out, r#","actions":"#);
    serde_json::to_writer(&mut *out, &grant.actions)?;
    copy(out, "}");
    Ok(())
}

fn write_resume(resume: &Resume, out: &mut Vec<u8>) -> io::Result<()> {
    copy(out, r#"{"name":"#);
    serde_json::to_writer(&mut *out, resume.name)?;
    copy(out, r#","payload":"#);
    copy(out, resume.payload.unwrap_or("null"));
    copy(out, if resume.timed_out { r#","timed_out":true}"# } else { r#","timed_out":false}"# });
    Ok(())
}

fn copy(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}
