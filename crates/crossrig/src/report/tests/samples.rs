//! Made-up runs of every kind.

use signal_conditioning::{DefectOrderParameters, Geometry, defect_orders};

use crate::report::{DomainScores, Epoch, EvidencePanel, FeatureMap, Layout, Method, Model, Recording, Report};

/// A made-up run that uses every part of the page.
pub fn full() -> Report {
    let classes = [
        "inner-007",
        "ball-007",
        "outer-007",
        "inner-014",
        "ball-014",
        "outer-014",
        "inner-021",
        "ball-021",
        "outer-021",
    ];
    let classes: Vec<String> = classes.map(str::to_owned).to_vec();
    let files: Vec<String> = [105, 118, 130, 169, 185, 197, 209, 222, 234]
        .map(|f| format!("{f}.mat"))
        .to_vec();
    let windows = 118;
    // one class is mistaken for its neighbour more and more often
    let method = |name: &str, wrong: u64| -> Method {
        let mut counts = vec![vec![0_u64; 9]; 9];
        let mut by_file = std::collections::BTreeMap::new();
        for (i, row) in counts.iter_mut().enumerate() {
            let lost = (wrong * (i as u64 * 7 % 5)).min(windows);
            row[i] += windows - lost;
            row[(i + 3) % 9] += lost - lost / 4;
            row[(i + 1) % 9] += lost / 4;
            by_file.insert(files[i].clone(), row[i] as f64 / windows as f64);
        }
        let right: u64 = (0..9).map(|i| counts[i][i]).sum();
        let accuracy = Some(right as f64 / (9 * windows) as f64);
        let domain = DomainScores {
            domain: "load0".into(),
            accuracy,
            macro_f1: accuracy.map(|a| a - 0.004),
            windows: 9 * windows as usize,
            recordings: 9,
            accuracy_by_recording: by_file,
            confusion: Some(counts),
        };
        Method {
            name: name.into(),
            accuracy,
            macro_f1: domain.macro_f1,
            domains: vec![domain],
        }
    };
    let model = |method: Method, adapted: bool| -> Model {
        let history = (1..=30).map(|epoch| {
            let t = f64::from(epoch);
            let on = adapted && epoch > 10;
            let p = (t - 10.0) / 20.0;
            Epoch {
                epoch: epoch as usize,
                label_loss: 2.1 * (-t / 3.0).exp() + 0.02 + if on { 0.05 * (t * 1.3).sin().abs() } else { 0.0 },
                domain_loss: on.then(|| 1.1 + 0.25 * p - 0.1 * (t * 0.7).cos()),
                lambda: on.then(|| 2.0 / (1.0 + (-10.0 * p).exp()) - 1.0),
                domain_accuracy: on.then(|| 0.93 - 0.4 * p + 0.03 * (t * 1.9).sin()),
                source_validation: Some(1.0 - 0.8 * (-t / 2.0).exp() - if on { 0.01 } else { 0.0 }),
            }
        });
        Model {
            history: history.collect(),
            source_validation: Some(if adapted { 0.989 } else { 0.997 }),
            domain_accuracy: adapted.then_some(0.561),
            a_distance: Some(if adapted { 0.42 } else { 1.87 }),
            predicted_mix: (0..9).map(|k| 0.03 + 0.02 * f64::from(k)).collect(),
            maps: maps(if adapted { 0.6 } else { 4.0 }),
            coverage: (1..=50)
                .map(|i| f64::from(i) / 50.0)
                .map(|c| [c, 1.0 - 0.3 * c * c])
                .collect(),
            method,
        }
    };
    let recordings = files.iter().zip(&classes).map(|(file, class)| Recording {
        domain: "load0".into(),
        file: file.clone(),
        class: Some(class.clone()),
        windows: windows as usize,
        predicted: Some(class.clone()),
        agreement: Some(0.87),
    });
    let pairs = |list: &[(&str, &str)]| list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    Report {
        sources: vec!["load3".into()],
        targets: vec!["load0".into()],
        split: "split windows 0.8 / 0 / 0.2, scored on the target's test part".into(),
        leaky: true,
        verdicts: vec![
            "adaptation gains 6.3 points of macro-F1 over source-only".into(),
            "a simple method wins: logistic regression on log-spectra is 4.1 points of macro-F1 above DANN".into(),
        ],
        warnings: vec!["load0: sampling rate of 2 recordings assumed (12000 Hz)".into()],
        known_classes: 9,
        adapted: Some(model(method("DANN (light-cnn)", 6), true)),
        source_only: Some(model(method("source-only (light-cnn)", 14), false)),
        simple: vec![
            method("majority class", 40),
            method("RMS + kurtosis, nearest centroid", 9),
            method("log-spectrum, logistic regression", 1),
        ],
        recordings: recordings.collect(),
        evidence: vec![evidence()],
        settings: pairs(&[
            ("extractor", "light-cnn"),
            ("method", "dann"),
            ("input", "raw"),
            ("scale", "window"),
            ("scale-by", "mean-std"),
            ("standardise", "none"),
            ("window", "1024"),
            ("hop", "1024"),
            ("epochs", "30"),
            ("warmup-epochs", "10"),
            ("batch", "64"),
            ("optimiser", "adam"),
            ("lr", "0.001"),
            ("weight-decay", "0.00001"),
            ("label-head", "hidden:256"),
            ("domain-head", "hidden:256"),
            ("domain-loss", "per-domain-means"),
            ("batch-norm", "joint"),
            ("lambda", "dann:0:1:10"),
            ("seed", "0"),
        ]),
        provenance: pairs(&[
            (
                "data digest",
                "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ),
            ("crossrig", "0.1.0"),
            ("instruction set", "avx512"),
            ("threads", "2"),
            ("seconds", "312.4"),
        ]),
        command: "crossrig train --data datasets/cwru.toml --source load3 --target load0 --classes '!normal' \
                  --split windows --fractions 0.8,0,0.2 --out runs/load3-load0"
            .into(),
        classes,
    }
}

/// Nine clusters of each of two domains, the second moved by `shift`.
fn maps(shift: f64) -> Vec<FeatureMap> {
    let mut state = 7_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut map = FeatureMap {
        layout: Layout::Principal {
            explained: [0.412, 0.187],
        },
        points: Vec::new(),
        domain: Vec::new(),
        class: Vec::new(),
    };
    for i in 0..1000 {
        let (domain, class) = (i % 2, i / 2 % 9);
        let angle = class as f64 * 0.698;
        let mut normal = || (0..6).map(|_| uniform() - 0.5).sum::<f64>();
        let moved = shift * domain as f64;
        map.points.push([
            6.0 * angle.cos() + normal() + moved,
            4.0 * angle.sin() + normal() - 0.5 * moved,
        ]);
        map.domain.push(domain);
        map.class.push(Some(class));
    }
    let mut near = map.clone();
    near.layout = Layout::Neighbours;
    vec![map, near]
}

/// Impacts of an outer race at 107 Hz, a 6205 at 1800 rpm, on which the network says something else.
fn evidence() -> EvidencePanel {
    let x: Vec<f64> = (0..12_000)
        .map(|i| {
            let since = (f64::from(i) / 12_000.0) % (1.0 / 107.0);
            (-since / 0.001).exp() * (since * 18_850.0).sin() + f64::from(i * 7919 % 1009) / 4000.0
        })
        .collect();
    let geometry = Geometry::from_dimensions(9, 0.3126, 1.537, 0.0).unwrap();
    let orders = defect_orders(&x, 12_000.0, 30.0, &geometry, &DefectOrderParameters::default()).unwrap();
    let evidence = orders.evidence();
    EvidencePanel {
        domain: "load0".into(),
        file: "130.mat".into(),
        verdict: "outer race".into(),
        network: Some("inner-007".into()),
        shown_s: 3.0,
        words: evidence.to_string().lines().map(str::to_owned).collect(),
        evidence,
    }
}

/// The same run on a target without labels.
pub fn unlabelled() -> Report {
    let mut report = full();
    let strip = |m: &mut Method| {
        (m.accuracy, m.macro_f1) = (None, None);
        for d in &mut m.domains {
            (d.accuracy, d.macro_f1, d.confusion) = (None, None, None);
            d.accuracy_by_recording.clear();
        }
    };
    for model in [&mut report.adapted, &mut report.source_only].into_iter().flatten() {
        strip(&mut model.method);
        model.coverage.clear();
        for (class, domain) in model.maps.iter_mut().flat_map(|m| m.class.iter_mut().zip(&m.domain)) {
            *class = class.filter(|_| *domain == 0);
        }
    }
    report.simple.iter_mut().for_each(strip);
    for r in &mut report.recordings {
        r.class = None;
    }
    report.verdicts.clear();
    report
}

pub fn variants() -> Vec<(&'static str, Report)> {
    let mut without_twin = full();
    without_twin.source_only = None;
    let mut source_only = full();
    source_only.adapted = None;
    let mut baselines = full();
    (baselines.adapted, baselines.source_only) = (None, None);
    let mut hostile = full();
    let nasty = "<script>alert(\"1\")</script> & 'so' ]]> \u{1}\u{7f}";
    for text in [
        &mut hostile.sources[0],
        &mut hostile.classes[2],
        &mut hostile.command,
        &mut hostile.verdicts[0],
    ] {
        *text = nasty.into();
    }
    hostile.settings.push((nasty.into(), nasty.into()));
    hostile.recordings[0].file = nasty.into();
    hostile.evidence[0].file = nasty.into();
    hostile.evidence[0].network = Some(nasty.into());
    hostile.simple[0].name = nasty.into();
    let mut broken = full();
    for model in [&mut broken.adapted, &mut broken.source_only].into_iter().flatten() {
        model.history[3].label_loss = f64::NAN;
        model.history[4].source_validation = Some(f64::INFINITY);
        model.a_distance = Some(f64::NAN);
        model.predicted_mix[0] = f64::NAN;
        model.method.macro_f1 = Some(f64::NAN);
        for map in &mut model.maps {
            map.points[0] = [f64::NAN, f64::NEG_INFINITY];
            map.layout = Layout::Principal { explained: [0.0, 0.0] };
        }
        model.coverage[2] = [f64::NAN, 0.5];
    }
    let mut one_point = full();
    if let Some(m) = &mut one_point.adapted {
        m.history.truncate(1);
        m.maps = vec![FeatureMap {
            layout: Layout::Neighbours,
            points: vec![[1.0, 1.0]],
            domain: vec![0],
            class: vec![None],
        }];
        m.coverage.truncate(1);
    }
    vec![
        ("full", full()),
        ("several", several()),
        ("unlabelled", unlabelled()),
        ("without-twin", without_twin),
        ("source-only", source_only),
        ("baselines", baselines),
        ("hostile", hostile),
        ("broken", broken),
        ("one-point", one_point),
        ("empty", Report::default()),
    ]
}

/// Two sources, two targets, many classes of long names, one unknown to the source.
fn several() -> Report {
    let mut report = full();
    report.sources = vec!["drive-end".into(), "second test rig".into()];
    report.targets = vec!["fan-end".into(), "plant 7, pump B".into()];
    report.leaky = false;
    report.recordings.clear();
    report.classes = (0..16).map(|k| format!("class with a long name {k}")).collect();
    report.known_classes = 15;
    let grow = |m: &mut Method| {
        let mut second = m.domains[0].clone();
        second.domain = "plant 7, pump B".into();
        m.domains[0].domain = "fan-end".into();
        m.domains.push(second);
        for (n, d) in m.domains.iter_mut().enumerate() {
            let counts = (0..16).map(|i| {
                (0..16)
                    .map(|j| if i == j { 12_345 } else { (i * j + n) as u64 % 7 })
                    .collect()
            });
            let mut counts: Vec<Vec<u64>> = counts.collect();
            counts[5] = vec![0; 16];
            d.confusion = Some(counts);
        }
    };
    for model in [&mut report.adapted, &mut report.source_only].into_iter().flatten() {
        grow(&mut model.method);
        model.predicted_mix = vec![1.0 / 16.0; 16];
        for (i, d) in model.maps.iter_mut().flat_map(|m| m.domain.iter_mut()).enumerate() {
            *d = i % 4;
        }
    }
    report.simple.iter_mut().for_each(grow);
    report
}
