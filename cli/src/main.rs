//! The one binary, `posthaste`: a table of contents. Each command is a file or a folder of its own.

// The tree of commands, and what happens to the one that was typed.
mod command;
// Everything on stdout and stderr; how errors and exit codes look.
mod failure;
mod output;
mod table;
mod time;
// Where the database is: by URL, or that of a running `posthaste dev`.
mod connection;
mod home;
mod secret_keys;
// Documents: text, @FILE, or stdin.
mod input;
// Where dispatches may go, and how their functions call back.
mod callbacks;
mod egress;

// What every service runs on: a runtime, a port.
mod bind;
mod runtime;

// Services.
mod dev;
mod dispatcher;
mod gateway;
mod migrate;
mod process;
mod roles;
mod serve;

// Producers and operators.
mod cel;
mod deliveries;
mod doctor;
mod endpoint;
mod enqueue;
mod job;
mod keys;
mod source;
mod token;

/// A dispatch allocates some dozens of times on several threads; glibc's allocator was a fifth of its CPU.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    command::run()
}
