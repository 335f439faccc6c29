//! Recordings of several domains: manifests, readers for instrument files, honest splits, windows and batches
#![forbid(unsafe_code)]
