//! What is seen in a recording before it is used.

use signal_domains::Recording;

fn recording(channels: Vec<Vec<f64>>) -> Recording {
    let names = (0..channels.len()).map(|c| format!("c{c}")).collect();
    Recording {
        channels,
        names,
        units: Vec::new(),
        rate_hz: Some(1000.0),
        rpm: None,
        sha256: String::new(),
        dialect: None,
    }
}

fn wave() -> Vec<f64> {
    (0..200).map(|i| (0.37 * f64::from(i)).sin()).collect()
}

#[test]
fn a_sound_recording_has_neither_fault_nor_remark() {
    let scan = recording(vec![wave(), wave()]).scan();
    assert_eq!((scan.fault(), scan.remark(), scan.samples), (None, None, 200));
    assert!(scan.too_short(201) && !scan.too_short(200));
}

#[test]
fn faults_name_what_and_where() {
    let mut spoilt = wave();
    spoilt[3] = f64::NAN;
    spoilt[7] = f64::INFINITY;
    let fault = recording(vec![wave(), spoilt]).scan().fault().unwrap();
    assert_eq!(fault, "1 NaN samples; 1 infinite samples");
    assert_eq!(
        recording(vec![wave(), vec![2.0; 200]]).scan().fault().unwrap(),
        "constant signal (c1)"
    );
    assert!(recording(vec![vec![]]).scan().fault().unwrap().contains("zero length"));
    assert!(
        recording(vec![vec![f64::NAN; 9]])
            .scan()
            .fault()
            .unwrap()
            .contains("9 NaN")
    );
}

#[test]
fn a_flat_top_is_clipping_but_a_flat_middle_is_not() {
    let clipped: Vec<f64> = wave().iter().map(|x| 30.0 * x.clamp(-0.9, 2.0)).collect();
    // slower than the wave: longer at the limit
    let slow: Vec<f64> = (0..400).map(|i| (0.05 * f64::from(i)).sin().min(0.9)).collect();
    assert_eq!(
        recording(vec![clipped]).scan().clipped,
        Vec::new(),
        "three samples at the limit are not a run"
    );
    let scan = recording(vec![wave(), slow.clone()]).scan();
    assert_eq!(scan.clipped.len(), 1);
    let remark = scan.remark().unwrap();
    assert!(
        scan.fault().is_none() && remark.starts_with("c1 is clipped"),
        "{remark}"
    );
    let mut flat = wave();
    flat[50..70].fill(0.0);
    assert!(recording(vec![flat]).scan().clipped.is_empty());
}

#[test]
fn a_missing_rate_is_remarked() {
    let mut r = recording(vec![wave()]);
    r.rate_hz = None;
    assert_eq!(r.scan().remark().unwrap(), "no sampling rate");
}
