//! `crossrig init`: a first manifest for a folder of recordings, to be corrected by a person.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use signal_domains::draft_manifest;

use super::Context;
use crate::corpus::data_error;
use crate::error::{Error, Result};
use crate::output;

/// Flags of `init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// Folder that holds the recordings
    #[arg(value_name = "FOLDER")]
    pub folder: PathBuf,
    /// New file for the manifest; one that is there is never overwritten [default: print it]
    #[arg(long, value_name = "FILE.toml")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// No folder of recordings; `--out` is there already or cannot be written.
pub fn run(args: &InitArgs, _context: &Context) -> Result<()> {
    let Some(out) = &args.out else {
        let text = draft_manifest(&args.folder, &slashes(&args.folder)).map_err(data_error)?;
        output::print(&text);
        return Ok(());
    };
    if out.exists() {
        return Err(exists(out));
    }
    let text = draft_manifest(&args.folder, &root(&args.folder, out)).map_err(data_error)?;
    // created only if new: nothing that another program writes meanwhile is lost
    let write = |source: std::io::Error| Error::Write {
        path: out.clone(),
        source,
    };
    let mut file = match std::fs::File::create_new(out) {
        Ok(file) => file,
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => return Err(exists(out)),
        Err(e) => return Err(write(e)),
    };
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(write)?;
    let open = text.matches("CORRECT").count() + text.matches("PROBLEM").count();
    eprintln!(
        "{}: {open} places to look at; then crossrig inspect {}",
        out.display(),
        out.display()
    );
    Ok(())
}

fn exists(out: &Path) -> Error {
    Error::input_with_hint(
        format!("{} is there already, and is not overwritten", out.display()),
        "name a new file with --out",
    )
}

/// The folder as a manifest in `out` calls it: relative where it lies below the manifest, else in full.
fn root(folder: &Path, out: &Path) -> String {
    let beside = match out.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    match (folder.canonicalize(), beside.canonicalize()) {
        (Ok(folder), Ok(beside)) => match folder.strip_prefix(&beside) {
            Ok(below) if below == Path::new("") => ".".into(),
            Ok(below) => slashes(below),
            Err(_) => slashes(&folder),
        },
        _ => slashes(folder),
    }
}

/// With `/` between folders on every system.
fn slashes(path: &Path) -> String {
    path.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/")
}
