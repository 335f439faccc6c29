use std::fs;

use candle_core::DType;

use super::*;

const PREFIX: &str = "test";

fn contents() -> Contents {
    let device = &Device::Cpu;
    let tensors = [
        ("a", Tensor::arange(0f32, 6.0, device).unwrap().reshape((2, 3)).unwrap()),
        ("b.step", Tensor::new(&[41i64], device).unwrap()),
        ("c", Tensor::zeros((0, 2), DType::F32, device).unwrap()),
    ];
    let metadata = [("test.recipe", "{\"rate\": 12000}"), ("note", "ü\t\u{1}")];
    (
        tensors.map(|(k, v)| (k.to_string(), v)).into(),
        metadata.map(|(k, v)| (k.to_string(), v.to_string())).into(),
    )
}

fn bytes() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x");
    let (tensors, metadata) = contents();
    save(&path, &tensors, &metadata, PREFIX).unwrap();
    fs::read(path).unwrap()
}

/// Whether these bytes are a sound file.
fn read(bytes: &[u8]) -> std::result::Result<Contents, String> {
    read::contents(&mut io::Cursor::new(bytes), bytes.len() as u64, &seal_key(PREFIX)).map_err(|fault| match fault {
        Fault::Content(problem) => problem,
        Fault::Reading(e) => panic!("{e}"),
    })
}

#[test]
fn a_file_cut_at_any_offset_or_with_bytes_behind_it_is_damaged() {
    let whole = bytes();
    assert!(read(&whole).is_ok());
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "{length}");
    }
    for more in [1, 8, 100] {
        let mut longer = whole.clone();
        longer.resize(whole.len() + more, 0);
        assert!(read(&longer).is_err(), "{more}");
    }
}

#[test]
fn any_byte_changed_to_any_other_value_is_damaged() {
    let whole = bytes();
    let mut altered = whole.clone();
    for at in 0..whole.len() {
        for value in 0..=255 {
            if value != whole[at] {
                altered[at] = value;
                assert!(read(&altered).is_err(), "byte {at} = {value}");
            }
        }
        altered[at] = whole[at];
    }
}

#[test]
fn equal_contents_give_equal_bytes() {
    assert_eq!(bytes(), bytes());
}
