//! The commands of the program, each callable from Rust.

pub mod demo;
pub mod evaluate;
pub mod init;
pub mod inspect;
pub mod inspect_physics;
pub mod pack;
pub mod predict;
pub mod train;

/// What a command needs of the program that runs it.
pub struct Context {
    /// The command line, for the record.
    pub command: String,
    /// Set when the user asks to stop.
    pub stop: std::sync::Arc<std::sync::atomic::AtomicBool>,
    /// Called where data do not fit in memory, so that what is freed goes back to the system, at some cost in time.
    pub spare_memory: fn(),
}
