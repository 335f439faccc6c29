//! Vibration of rolling bearings from geometry, speed and defect, on machines that differ physically
#![forbid(unsafe_code)]
