//! Laws of the splits, over random domains.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use signal_domains::{
    Fractions, Item, LabelledItem, Part, Split, SplitKind, SplitPlan, default_kind, split_source, split_target,
};

#[derive(Clone, Debug)]
struct Made {
    file: String,
    unit: String,
    class: usize,
    samples: usize,
}

impl Made {
    fn item(&self) -> Item<'_> {
        Item {
            file: &self.file,
            unit: Some(&self.unit),
            samples: self.samples,
            windows: None,
        }
    }

    fn labelled(&self) -> LabelledItem<'_> {
        LabelledItem {
            item: self.item(),
            class: self.class,
        }
    }
}

fn plan(kind: SplitKind, seed: u64) -> SplitPlan {
    SplitPlan {
        kind,
        fractions: Fractions::default(),
        window: 10,
        hop: 7,
        seed,
    }
}

/// Two to three classes, at least four recordings and three units each, long enough for blocks.
fn domain() -> impl Strategy<Value = Vec<Made>> {
    proptest::collection::vec(proptest::collection::vec(100usize..400, 4..9), 2..4).prop_map(|classes| {
        let one = |class: usize, i: usize, samples: usize| Made {
            file: format!("{class}-{i}.mat"),
            unit: format!("unit {class}-{}", i % 4),
            class,
            samples,
        };
        let of = |(class, lengths): (usize, Vec<usize>)| -> Vec<Made> {
            lengths.into_iter().enumerate().map(|(i, n)| one(class, i, n)).collect()
        };
        classes.into_iter().enumerate().flat_map(of).collect()
    })
}

fn kinds() -> impl Strategy<Value = SplitKind> {
    proptest::sample::select(SplitKind::ALL.to_vec())
}

fn by_file(made: &[Made], split: &Split) -> BTreeMap<String, [Vec<usize>; 3]> {
    let parts = |i: usize| Part::ALL.map(|p| split.recordings[i].part(p).to_vec());
    made.iter()
        .enumerate()
        .map(|(i, m)| (m.file.clone(), parts(i)))
        .collect()
}

fn source(made: &[Made], plan: &SplitPlan) -> Split {
    let items: Vec<LabelledItem<'_>> = made.iter().map(Made::labelled).collect();
    split_source("rig", &items, plan).unwrap()
}

fn target(made: &[Made], plan: &SplitPlan) -> Split {
    let items: Vec<Item<'_>> = made.iter().map(Made::item).collect();
    split_target("rig", &items, plan).unwrap()
}

proptest! {
    #[test]
    fn a_window_is_inside_its_recording_and_in_one_part_only(made in domain(), kind in kinds(), seed in any::<u64>()) {
        for split in [source(&made, &plan(kind, seed)), target(&made, &plan(kind, seed))] {
            let mut seen = BTreeSet::new();
            for part in Part::ALL {
                let windows = split.windows(part);
                prop_assert_eq!(windows.len(), split.count(part));
                prop_assert!(windows.is_sorted());
                for (i, start) in windows {
                    prop_assert!(start + 10 <= made[i].samples);
                    prop_assert!(seen.insert((i, start)));
                }
            }
            prop_assert_eq!(split.all(), seen.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_order_of_the_recordings_does_not_matter(made in domain(), kind in kinds(), seed in any::<u64>(), turn in 0usize..50) {
        let mut turned = made.clone();
        let n = turned.len();
        turned.rotate_left(turn % n);
        turned.swap(0, n / 2);
        let plan = plan(kind, seed);
        prop_assert_eq!(by_file(&made, &source(&made, &plan)), by_file(&turned, &source(&turned, &plan)));
        prop_assert_eq!(by_file(&made, &target(&made, &plan)), by_file(&turned, &target(&turned, &plan)));
    }

    #[test]
    fn recordings_and_units_are_never_torn(made in domain(), seed in any::<u64>()) {
        for (kind, name) in [
            (SplitKind::Recordings, (|m| m.file.clone()) as fn(&Made) -> String),
            (SplitKind::Units, |m| m.unit.clone()),
        ] {
            for split in [source(&made, &plan(kind, seed)), target(&made, &plan(kind, seed))] {
                let mut part_of = BTreeMap::new();
                for part in Part::ALL {
                    for (i, _) in split.windows(part) {
                        prop_assert_eq!(*part_of.entry(name(&made[i])).or_insert(part), part);
                    }
                }
            }
        }
    }

    #[test]
    fn every_class_of_a_source_is_in_every_part(made in domain(), kind in kinds(), seed in any::<u64>()) {
        let split = source(&made, &plan(kind, seed));
        for part in Part::ALL {
            let classes: BTreeSet<usize> = split.windows(part).into_iter().map(|(i, _)| made[i].class).collect();
            prop_assert_eq!(classes.len(), made.iter().map(|m| m.class).collect::<BTreeSet<_>>().len());
        }
    }

    #[test]
    fn parts_of_blocks_are_a_window_apart(made in domain()) {
        let split = target(&made, &plan(SplitKind::Blocks, 0));
        for r in &split.recordings {
            for (before, after) in [(&r.train, &r.validation), (&r.validation, &r.test), (&r.train, &r.test)] {
                if let (Some(last), Some(first)) = (before.last(), after.first()) {
                    // the window, then a guard of the same length
                    prop_assert!(last + 20 <= *first, "{last} {first}");
                }
            }
        }
    }
}

#[test]
fn a_recording_with_windows_of_its_own_gets_them_and_a_guard_as_long() {
    let two = [made(0, 0, "u"), made(0, 1, "u")];
    // 200 samples; the second one's windows are twice as long
    let items = [
        two[0].item(),
        Item {
            windows: Some((20, 20)),
            ..two[1].item()
        },
    ];
    let split = split_target("rig", &items, &plan(SplitKind::Blocks, 0)).unwrap();
    // guards of 10: 180 samples in parts of 108, 36 and 36
    assert_eq!(split.recordings[0].validation, [118, 125, 132, 139]);
    // guards of 20: 160 samples in parts of 96, 32 and 32
    assert_eq!(split.recordings[1].train, [0, 20, 40, 60]);
    assert_eq!(
        (&split.recordings[1].validation[..], &split.recordings[1].test[..]),
        (&[116][..], &[168][..])
    );
    for kind in [SplitKind::Windows, SplitKind::Recordings] {
        let fractions = Fractions::new(0.5, 0.0, 0.5).unwrap();
        let split = split_target(
            "rig",
            &items,
            &SplitPlan {
                fractions,
                ..plan(kind, 0)
            },
        )
        .unwrap();
        let all = |i: usize| {
            Part::ALL
                .map(|p| split.recordings[i].part(p).len())
                .iter()
                .sum::<usize>()
        };
        assert_eq!((all(0), all(1)), (28, 10), "{kind}");
    }
}

fn made(class: usize, i: usize, unit: &str) -> Made {
    Made {
        file: format!("{class}-{i}"),
        unit: unit.into(),
        class,
        samples: 200,
    }
}

#[test]
fn the_fractions_are_kept_and_the_seed_counts() {
    let ten: Vec<Made> = (0..10).map(|i| made(0, i, "u")).collect();
    let split = source(&ten, &plan(SplitKind::Recordings, 0));
    let counts = Part::ALL.map(|p| split.recordings.iter().filter(|r| !r.part(p).is_empty()).count());
    assert_eq!(counts, [6, 2, 2]);
    let seeds: BTreeSet<String> = (0..20)
        .map(|seed| format!("{:?}", source(&ten, &plan(SplitKind::Recordings, seed))))
        .collect();
    assert!(seeds.len() > 15);
    let windows = source(&ten, &plan(SplitKind::Windows, 0));
    // 28 windows a recording
    assert_eq!(Part::ALL.map(|p| windows.recordings[0].part(p).len()), [17, 6, 5]);
    assert_ne!(
        windows.recordings[0], windows.recordings[1],
        "each recording is shuffled by its own name"
    );
    let blocks = source(&ten, &plan(SplitKind::Blocks, 0));
    assert_eq!(
        blocks,
        source(&ten, &plan(SplitKind::Blocks, 1)),
        "blocks follow time alone"
    );
    assert_eq!(blocks.recordings[0].train[..3], [0, 7, 14]);
}

#[test]
fn a_fraction_of_zero_takes_no_window_and_no_guard() {
    let one = [made(0, 0, "u")];
    let fractions = Fractions::new(0.5, 0.0, 0.5).unwrap();
    let split = target(
        &one,
        &SplitPlan {
            fractions,
            ..plan(SplitKind::Blocks, 0)
        },
    );
    assert!(split.recordings[0].validation.is_empty());
    // 200 samples, one guard of 10: 95 samples each
    assert_eq!(split.recordings[0].test[0], 105);
    let all = target(
        &one,
        &SplitPlan {
            fractions: Fractions::new(1.0, 0.0, 0.0).unwrap(),
            ..plan(SplitKind::Blocks, 0)
        },
    );
    assert_eq!(all.count(Part::Train), 28);
}

#[test]
fn too_few_items_are_an_error_that_suggests_blocks() {
    let few = [
        made(0, 0, "a"),
        made(0, 1, "a"),
        made(0, 2, "a"),
        made(1, 0, "b"),
        made(1, 1, "c"),
    ];
    let items: Vec<LabelledItem<'_>> = few.iter().map(Made::labelled).collect();
    for (kind, words) in [
        (
            SplitKind::Recordings,
            "the class of 1-0 has too few recordings, 2 for 3 parts",
        ),
        (SplitKind::Units, "the class of 0-0 has too few units, 1 for 3 parts"),
    ] {
        let message = split_source("rig", &items, &plan(kind, 0)).unwrap_err().to_string();
        assert!(
            message.contains("domain rig") && message.contains(words) && message.contains("blocks"),
            "{message}"
        );
    }
    let items: Vec<Item<'_>> = few.iter().take(2).map(Made::item).collect();
    let message = split_target("rig", &items, &plan(SplitKind::Recordings, 0))
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("the domain has too few recordings, 2 for 3 parts") && message.contains("blocks"),
        "{message}"
    );
    let nameless = [Item {
        unit: None,
        ..few[0].item()
    }];
    let message = split_target("rig", &nameless, &plan(SplitKind::Units, 0))
        .unwrap_err()
        .to_string();
    assert!(message.contains("states no unit"), "{message}");
}

#[test]
fn a_unit_of_two_classes_is_on_one_side_only() {
    // each machine was recorded healthy, then damaged
    let shared: Vec<Made> = (0..12).map(|i| made(i % 2, i, &format!("machine {}", i / 2))).collect();
    let split = source(&shared, &plan(SplitKind::Units, 3));
    for pair in split.recordings.chunks(2) {
        let side = |r: &signal_domains::RecordingWindows| Part::ALL.map(|p| r.part(p).is_empty());
        assert_eq!(side(&pair[0]), side(&pair[1]));
    }
}

#[test]
fn a_part_without_a_window_is_an_error() {
    let short = [Made {
        samples: 30,
        ..made(0, 0, "u")
    }];
    let items: Vec<Item<'_>> = short.iter().map(Made::item).collect();
    for (kind, window) in [(SplitKind::Blocks, 10), (SplitKind::Windows, 31)] {
        let message = split_target(
            "rig",
            &items,
            &SplitPlan {
                window,
                ..plan(kind, 0)
            },
        )
        .unwrap_err()
        .to_string();
        assert!(
            message.contains("window") && message.contains("longest of 30 samples"),
            "{message}"
        );
    }
    let message = split_target(
        "rig",
        &items,
        &SplitPlan {
            hop: 0,
            ..plan(SplitKind::Windows, 0)
        },
    )
    .unwrap_err();
    assert!(message.to_string().contains("every 0 samples"), "{message}");
}

#[test]
fn the_default_is_recordings_where_all_domains_have_enough() {
    let many: Vec<Made> = (0..6).map(|i| made(i % 2, i, "u")).collect();
    let few: Vec<Made> = many[..4].to_vec();
    let labelled = |m: &'static [Made]| -> Vec<LabelledItem<'static>> { m.iter().map(Made::labelled).collect() };
    let (many, few): (&'static [Made], &'static [Made]) = (many.leak(), few.leak());
    let items = |m: &'static [Made]| -> Vec<Item<'static>> { m.iter().map(Made::item).collect() };
    let fractions = Fractions::default();
    assert_eq!(
        default_kind(&[&labelled(many)], &[&items(few)], &fractions),
        SplitKind::Recordings
    );
    assert_eq!(
        default_kind(&[&labelled(few)], &[&items(many)], &fractions),
        SplitKind::Blocks
    );
    assert_eq!(
        default_kind(&[&labelled(many)], &[&items(&few[..2])], &fractions),
        SplitKind::Blocks
    );
    assert_eq!(
        default_kind(&[&labelled(few)], &[], &"0.8,0,0.2".parse().unwrap()),
        SplitKind::Recordings
    );
}

#[test]
fn names_of_kinds_and_fractions_are_read_back() {
    for kind in SplitKind::ALL {
        assert_eq!(kind.to_string().parse::<SplitKind>().unwrap(), kind);
        assert_eq!(kind.leaky(), kind == SplitKind::Windows);
    }
    assert!("block".parse::<SplitKind>().is_err());
    let fractions: Fractions = "0.5, 0.25,0.25".parse().unwrap();
    assert_eq!(fractions.to_string().parse::<Fractions>().unwrap(), fractions);
    for wrong in [
        "0.5,0.5",
        "0.5,0.5,0.5",
        "-0.2,0.6,0.6",
        "0,0.5,0.5",
        "a,b,c",
        "nan,0,1",
    ] {
        assert!(wrong.parse::<Fractions>().is_err(), "{wrong}");
    }
}
