//! The live view: redrawn in place with plain ANSI escapes, four times a second.

mod frame;
mod screen;

pub use screen::{Screen, with_stderr_in};

use std::time::{Duration, Instant};

use posthaste_service::shutdown::Shutdown;

use super::{hints::Hints, meter::Meter, producer::Batch};
use frame::Frame;

const REDRAW: Duration = Duration::from_millis(250);

/// Draws until the shutdown, then gives the terminal back.
pub async fn run(
    screen: Screen,
    mut meter: Meter,
    batch: Batch,
    hints: Hints,
    shutdown: Shutdown,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    let mut last = super::meter::Snapshot::default();
    let mut trouble: Option<String>;
    loop {
        // A look at a database that is away must not hold the end up.
        tokio::select! {
            looked = meter.look() => match looked {
                Ok(snapshot) => {
                    last = snapshot;
                    trouble = None;
                },
                Err(error) => trouble = Some(error.to_string()),
            },
            () = shutdown.soft().cancelled() => return Ok(()),
        }
        let (columns, rows) = Screen::size();
        let frame = Frame {
            snapshot: &last,
            progress: batch.progress(),
            hints: &hints,
            log: screen.log(),
            up: begun.elapsed(),
            trouble: trouble.as_deref(),
        };
        Screen::draw(&frame.lines(columns, rows))?;
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            () = shutdown.soft().cancelled() => return Ok(()),
        }
    }
}
