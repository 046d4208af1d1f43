//! What the machine is, for the report.

use std::{
    fs,
    time::{Duration, Instant},
};

use super::cpu;

/// CPU model, kernel, cores, memory and load, one a line.
pub fn describe() -> Vec<(String, String)> {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map(|(_, value)| value.trim().to_owned()).unwrap_or_default()
    };
    let cpu = read("/proc/cpuinfo");
    let cores = cpu.lines().filter(|line| line.starts_with("processor")).count();
    vec![
        ("CPU".to_owned(), format!("{cores} × {}", field(&cpu, "model name"))),
        ("Kernel".to_owned(), read("/proc/sys/kernel/osrelease").trim().to_owned()),
        ("Memory".to_owned(), field(&read("/proc/meminfo"), "MemTotal")),
        ("Load at the start".to_owned(), load()),
    ]
}

/// The load averages now.
pub fn load() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().trim().to_owned()
}

/// How busy the machine may be before a measurement, percent, and how long that is waited for.
const QUIET: (f64, Duration) = (12.0, Duration::from_secs(12));

/// Waits until the machine is quiet, but not for ever: the report says how busy strangers were meanwhile.
pub async fn settle() {
    let give_up = Instant::now() + QUIET.1;
    loop {
        let (busy, began) = (cpu::machine_us(), Instant::now());
        tokio::time::sleep(Duration::from_millis(400)).await;
        let share = (cpu::machine_us() - busy) / began.elapsed().as_secs_f64() / 2e4;
        if share < QUIET.0 || Instant::now() > give_up {
            return;
        }
    }
}
