//! SE-ResNeXt and a light CNN as 1-D feature extractors for candle
#![forbid(unsafe_code)]
