//! Scores for domain adaptation: accuracy, macro-F1, calibration, proxy A-distance, and the simple baselines beside them
#![forbid(unsafe_code)]
