//! Carry a fault diagnosis from one machine to another: train, evaluate and predict with domain adaptation on vibration recordings
#![forbid(unsafe_code)]
