//! A terminal to run the binary in.

use std::{
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Instant,
};

use rustix::{
    io::{FdFlags, fcntl_setfd},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
};

use crate::support::START_LIMIT;

/// A terminal, and what is shown on it.
pub struct Terminal {
    path: PathBuf,
    shown: Receiver<Vec<u8>>,
}

impl Terminal {
    /// A new one. It is read all the time: a full one would stop who writes.
    pub fn open() -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        // A program that inherited it would wait for itself to be read.
        fcntl_setfd(&controller, FdFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        let path = ptsname(&controller, Vec::new()).unwrap();
        let path = PathBuf::from(OsStr::from_bytes(path.as_bytes()));
        // Held, so that the terminal does not end before somebody writes to it.
        let held = File::options().read(true).write(true).open(&path).unwrap();
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let (mut controller, mut bytes) = (File::from(controller), [0; 4096]);
            while let Ok(read) = controller.read(&mut bytes) {
                if sender.send(bytes[..read].to_vec()).is_err() {
                    break;
                }
            }
            drop(held);
        });
        Self { path, shown }
    }

    /// Starts a program in it.
    pub fn start(&self, command: &mut Command) -> Killed {
        let side = || -> Stdio { OpenOptions::new().read(true).write(true).open(&self.path).unwrap().into() };
        Killed(command.stdout(side()).stderr(side()).spawn().unwrap())
    }

    /// Waits for these words.
    pub fn until_shown(&self, words: &str) {
        let give_up = Instant::now() + START_LIMIT;
        let mut shown = String::new();
        while !shown.contains(words) {
            let left = give_up.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(bytes) => shown.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("never showed {words:?} ({error}), but:\n{shown}"),
            }
        }
    }
}

/// A process that a failed test does not leave behind.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}
