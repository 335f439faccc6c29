//! Domain-adversarial training (DANN) for candle: any extractor, any number of domains, no way in for a target label
#![forbid(unsafe_code)]
