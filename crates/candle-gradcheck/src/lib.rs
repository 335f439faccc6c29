//! Finite-difference gradient checks for any candle function, with the semantics of torch.autograd.gradcheck
#![forbid(unsafe_code)]
