//! Signal conditioning on slices: windows, scaling, polyphase resampling, spectra, and the representations a network learns from
#![forbid(unsafe_code)]
