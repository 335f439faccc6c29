//! Gradient reversal for candle: the identity forward, the gradient times -lambda backward, with the schedules of domain-adversarial training
#![forbid(unsafe_code)]
