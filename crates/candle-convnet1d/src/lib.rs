//! 1-D convolutional layers for candle with correct gradients and fast CPU kernels: convolution, batch norm, pooling, squeeze-and-excitation, dropout, losses
#![forbid(unsafe_code)]
