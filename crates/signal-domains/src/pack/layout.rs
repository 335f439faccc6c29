//! The names of a packed file, for writing and reading it.

use std::collections::BTreeSet;

use crate::dataset::{Family, RecordingEntry};
use crate::recording::Recording;

/// Attributes of the file.
pub(crate) const FORMAT: &str = "format";
pub(crate) const FORMAT_NAME: &str = "signal-domains pack";
pub(crate) const VERSION: &str = "format_version";
/// Of a file of recordings, and of one of windows.
pub(crate) const VERSION_NOW: &str = "1";
pub(crate) const VERSION_OF_WINDOWS: &str = "2";
pub(crate) const NAME: &str = "name";
pub(crate) const SOURCE: &str = "source";
pub(crate) const LICENCE: &str = "licence";

/// Data sets of texts: the classes, and what each damages (empty: not stated).
pub(crate) const CLASSES: &str = "classes";
pub(crate) const FAMILIES: &str = "families";
/// The windows of a file of windows: (window, channel, sample); its attribute of the samples from a window's start to the next.
pub(crate) const X: &str = "x";
pub(crate) const HOP: &str = "hop";
/// What is said of each window: its class (-1: none), domain, unit (-1: none) and recording by their numbers, its first sample
/// in its recording ..
pub(crate) const Y: &str = "y";
pub(crate) const DOMAIN_NUMBER: &str = "domain";
pub(crate) const UNIT_NUMBER: &str = "unit";
pub(crate) const RECORDING_NUMBER: &str = "recording";
pub(crate) const START: &str = "start";
/// .. and what the numbers mean, beside the classes: the domains, the units, the groups of the recordings. The channels by name.
pub(crate) const DOMAINS: &str = "domains";
pub(crate) const UNIT_NAMES: &str = "unit_ids";
pub(crate) const PATHS: &str = "recording_paths";
pub(crate) const CHANNELS: &str = "channels";
/// The group of all recordings.
pub(crate) const RECORDINGS: &str = "recordings";

/// Attributes of a channel's data set: of its recording ..
pub(crate) const FILE: &str = "file";
pub(crate) const DOMAIN: &str = "domain";
pub(crate) const CLASS: &str = "class";
pub(crate) const LABEL: &str = "label";
/// The bearing or machine; `unit` would be taken for the samples' unit.
pub(crate) const UNIT_ID: &str = "unit_id";
pub(crate) const RPM: &str = "rpm";
pub(crate) const RATE_HZ: &str = "rate_hz";
/// SHA-256 of the file that was packed.
pub(crate) const SHA256: &str = "sha256";
pub(crate) const ORDERS: [&str; 4] = ["bpfi", "bpfo", "bsf", "ftf"];
/// Before the names of attributes that the manifest states.
pub(crate) const OTHERS: &str = "attributes.";
/// Where the channel would be in an HDF5 file; in a table its name.
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "HDF5 has paths of its own"))]
pub(crate) const PATH: &str = "path";
/// .. and of the channel itself: its name in the data set, its number from 1, the variable that it was, its unit.
pub(crate) const CHANNEL: &str = "channel";
pub(crate) const CHANNEL_NUMBER: &str = "channel_number";
pub(crate) const VARIABLE: &str = "variable";
pub(crate) const UNITS: &str = "units";

const NAMES_OF_FAMILIES: [(Family, &str); 5] = [
    (Family::InnerRace, "BPFI"),
    (Family::OuterRace, "BPFO"),
    (Family::RollingElement, "BSF"),
    (Family::Cage, "FTF"),
    (Family::Healthy, "none"),
];

pub(crate) fn family_name(family: Option<Family>) -> &'static str {
    let found = NAMES_OF_FAMILIES.iter().find(|(f, _)| Some(*f) == family);
    found.map_or("", |(_, name)| name)
}

pub(crate) fn family(name: &str) -> Option<Family> {
    let found = NAMES_OF_FAMILIES.iter().find(|(_, n)| *n == name);
    found.map(|(family, _)| *family)
}

/// A group of its own for a recording: by its domain and file, for people; programs read the attributes.
pub(crate) fn group(entry: &RecordingEntry, taken: &mut BTreeSet<String>) -> String {
    let plain = format!("{RECORDINGS}/{}/{}", part(&entry.domain), part(&entry.file));
    unlike(plain, taken)
}

/// Names of the data sets of a recording's channels: as the data set calls them, or where that is a glob as the file does.
pub(crate) fn channel_names(entry: &RecordingEntry, recording: &Recording) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let stated = entry.channels.iter().zip(&recording.names);
    stated
        .map(|(channel, variable)| {
            let is_glob = channel.name.contains(['*', '?', '[']);
            unlike(part(if is_glob { variable } else { &channel.name }), &mut taken)
        })
        .collect()
}

/// A link's name: `/` would make groups, `.` and `..` mean others.
fn part(name: &str) -> String {
    match name {
        "" | "." | ".." => format!("_{name}"),
        _ => name.replace(['/', '\0'], "_"),
    }
}

fn unlike(name: String, taken: &mut BTreeSet<String>) -> String {
    let mut free = name.clone();
    let mut n = 2;
    while !taken.insert(free.clone()) {
        free = format!("{name}~{n}");
        n += 1;
    }
    free
}
