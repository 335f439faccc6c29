//! Reproducible training for candle: seeded initialisation by name, optimisers with named state, schedules, durable checkpoints
#![forbid(unsafe_code)]
