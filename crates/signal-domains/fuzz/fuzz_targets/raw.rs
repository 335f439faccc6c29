#![no_main]
use libfuzzer_sys::fuzz_target;
use signal_domains::{RawEndian, RawLayout, RawNumber, RawOrder};
use signal_domains_fuzz::{options, read_all};

// the first bytes choose the layout
fuzz_target!(|data: &[u8]| {
    let Some((&[number, channels, order, offset], data)) = data.split_first_chunk::<4>() else {
        return;
    };
    let numbers = [
        RawNumber::Int8,
        RawNumber::Int24,
        RawNumber::Float16,
        RawNumber::Int64,
        RawNumber::Float64,
    ];
    let mut options = options();
    options.raw = Some(RawLayout {
        number: numbers[usize::from(number) % numbers.len()],
        endian: if number & 128 == 0 {
            RawEndian::Little
        } else {
            RawEndian::Big
        },
        channels: usize::from(channels),
        order: if order & 1 == 0 {
            RawOrder::Interleaved
        } else {
            RawOrder::Consecutive
        },
        offset: u64::from(offset),
    });
    read_all(b"", data, &options);
});
