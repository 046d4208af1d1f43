//! CPU time of processes, from /proc.

use std::fs;

/// One clock tick, microseconds (100 a second on every Linux that Postgres runs on).
const TICK_US: f64 = 10_000.0;

/// What one line of `/proc/<pid>/stat` says.
struct Stat {
    parent: u32,
    /// User and system, ticks.
    own: u64,
    /// Of children that were waited for, ticks.
    reaped: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold spaces and brackets; the fields begin behind the last bracket.
    let fields: Vec<&str> = text[text.rfind(')')? + 2..].split(' ').collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Stat {
        parent: u32::try_from(number(1)?).ok()?,
        own: number(11)? + number(12)?,
        reaped: number(13)? + number(14)?,
    })
}

/// Microseconds that a process and the children it has waited for have used; 0 when it is gone.
#[expect(clippy::cast_precision_loss, reason = "ticks of minutes")]
pub fn process_us(pid: u32) -> f64 {
    stat(pid).map_or(0.0, |stat| (stat.own + stat.reaped) as f64 * TICK_US)
}

/// Microseconds of a postmaster and all of its children, living and ended.
pub fn postgres_us(postmaster: u32) -> f64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let children = pids.filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == postmaster));
    process_us(postmaster) + children.map(process_us).sum::<f64>()
}

/// Microseconds that the whole machine has been busy, all cores.
#[expect(clippy::cast_precision_loss, reason = "ticks of days")]
pub fn machine_us() -> f64 {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> =
        text.lines().next().unwrap_or_default().split_whitespace().skip(1).filter_map(|f| f.parse().ok()).collect();
    // user nice system idle iowait irq softirq steal
    let busy: u64 = [0, 1, 2, 5, 6, 7].iter().filter_map(|at| fields.get(*at)).sum();
    busy as f64 * TICK_US
}

/// Resident memory of a process now, and at most ever, MiB.
pub fn memory_mib(pid: u32) -> (f64, f64) {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
    };
    (field("VmRSS:"), field("VmHWM:"))
}
