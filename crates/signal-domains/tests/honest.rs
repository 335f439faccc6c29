//! Laws of splits and batches, from manifest to rows, over 2,000 random manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use signal_domains::{
    Balance, Dataset, Fractions, Item, LabelledItem, LeaveOut, OpenOptions, Part, RecordingEntry, Sampler, SourceRows,
    Split, SplitKind, SplitPlan, TargetRows, split_source, split_target,
};

const MANIFESTS: u64 = 2000;

/// Knuth's generator: the tests need variety, not quality.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.below(i + 1));
        }
    }
}

/// A manifest in two orders, and the length of each recording by its file.
struct Made {
    texts: [String; 2],
    samples: BTreeMap<String, usize>,
}

fn manifest(random: &mut Random) -> Made {
    let (domains, classes) = (1 + random.below(3), 1 + random.below(3));
    let (mut tables, mut samples) = (Vec::new(), BTreeMap::new());
    for domain in 0..domains {
        for i in 0..3 + random.below(9) {
            let class = random.below(classes);
            let file = format!("{domain}/{}.mat", random.below(1000) * 100 + i);
            samples.insert(file.clone(), 20 + random.below(400));
            // some units have recordings of several classes and domains
            let unit = format!("{}{}", ["shared", "own"][random.below(5).min(1)], random.below(5));
            tables.push(format!(
                "[[recording]]\nfile = '{file}'\ndomain = 'd{domain}'\nclass = 'c{class}'\nunit = '{unit}'\n"
            ));
        }
    }
    let mut text = |tables: &mut Vec<String>| {
        random.shuffle(tables);
        tables.iter().fold("[dataset]\nname = 'x'\n".to_owned(), |mut all, t| {
            let _ = writeln!(all, "{t}");
            all
        })
    };
    Made {
        texts: [text(&mut tables), text(&mut tables)],
        samples,
    }
}

fn open(path: &Path, text: &str) -> Dataset {
    fs::write(path, text).unwrap();
    Dataset::open(path, &OpenOptions::default()).unwrap()
}

/// A domain split as a source and as a target; `None` where it cannot be.
fn split(entries: &[&RecordingEntry], made: &Made, plan: &SplitPlan) -> Vec<Split> {
    let item = |e: &&'_ RecordingEntry| (e.file.clone(), e.unit.clone(), made.samples[&e.file], e.class.unwrap());
    let owned: Vec<_> = entries.iter().map(item).collect();
    let items: Vec<Item<'_>> = owned
        .iter()
        .map(|(file, unit, samples, _)| Item {
            file,
            unit: unit.as_deref(),
            samples: *samples,
            windows: None,
        })
        .collect();
    let labelled: Vec<LabelledItem<'_>> = items
        .iter()
        .zip(&owned)
        .map(|(&item, (.., class))| LabelledItem { item, class: *class })
        .collect();
    let domain = &entries[0].domain;
    [
        split_source(domain, &labelled, plan),
        split_target(domain, &items, plan),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn check_split(entries: &[&RecordingEntry], made: &Made, plan: &SplitPlan, split: &Split) {
    let mut seen = BTreeSet::new();
    let (mut part_of_unit, mut part_of_file) = (BTreeMap::new(), BTreeMap::new());
    for part in Part::ALL {
        for (i, start) in split.windows(part) {
            let entry = entries[i];
            // inside one recording, and so of one label
            assert!(start + plan.window <= made.samples[&entry.file]);
            assert!(seen.insert((i, start)), "a window in two parts");
            if plan.kind == SplitKind::Units {
                assert_eq!(
                    *part_of_unit.entry(&entry.unit).or_insert(part),
                    part,
                    "a unit on both sides"
                );
            }
            if matches!(plan.kind, SplitKind::Units | SplitKind::Recordings) {
                assert_eq!(
                    *part_of_file.entry(&entry.file).or_insert(part),
                    part,
                    "a torn recording"
                );
            }
        }
    }
    if plan.kind == SplitKind::Windows {
        assert!(plan.kind.leaky());
        return;
    }
    for windows in &split.recordings {
        for (i, before) in Part::ALL.into_iter().enumerate() {
            for after in Part::ALL.into_iter().skip(i + 1) {
                if let (Some(last), Some(first)) = (windows.part(before).last(), windows.part(after).first()) {
                    assert!(
                        last + plan.window + plan.window <= *first,
                        "less than a window between parts"
                    );
                }
            }
        }
    }
}

/// What training would see: the windows of the first steps, by name, of every domain.
fn batches(
    dataset: &Dataset,
    made: &Made,
    plan: &SplitPlan,
    batch: usize,
    balance: Balance,
) -> Option<Vec<Vec<String>>> {
    let mut named: Vec<Vec<(String, usize)>> = Vec::new();
    for domain in dataset.domains() {
        let entries = dataset.domain(domain);
        let splits = split(&entries, made, plan);
        let [source, target] = &splits[..] else { return None };
        // the first domain is the source
        let split = if named.is_empty() { source } else { target };
        let name = |(i, start): (usize, usize)| (format!("{}:{start}", entries[i].file), entries[i].class.unwrap());
        named.push(split.windows(Part::Train).into_iter().map(name).collect());
    }
    let classes: Vec<usize> = named[0].iter().map(|(_, class)| *class).collect();
    let source = SourceRows {
        domain: dataset.domains()[0].into(),
        classes: classes.clone(),
    };
    let targets: Vec<TargetRows> = dataset.domains()[1..]
        .iter()
        .zip(&named[1..])
        .map(|(domain, rows)| TargetRows {
            domain: (*domain).into(),
            rows: rows.len(),
        })
        .collect();
    let kinds = classes.iter().collect::<BTreeSet<_>>().len();
    let batch = if balance == Balance::Class {
        batch * kinds
    } else {
        batch
    };
    let mut sampler = Sampler::new(plan.seed, batch, balance, &[source], &targets).unwrap();
    let mut drawn: Vec<Vec<String>> = vec![Vec::new(); named.len()];
    for _ in 0..6 {
        let rows = sampler.next_batch();
        for (d, rows) in rows.sources.iter().chain(&rows.targets).enumerate() {
            assert_eq!(
                rows.len(),
                batch,
                "every domain gives the same number of rows to every step"
            );
            if d == 0 && balance == Balance::Class {
                let mut counts = BTreeMap::new();
                for &r in rows {
                    *counts.entry(classes[r]).or_insert(0) += 1;
                }
                assert!(
                    counts.len() == kinds && counts.values().all(|&n| n == batch / kinds),
                    "{counts:?}"
                );
            }
            drawn[d].extend(rows.iter().map(|&r| named[d][r].0.clone()));
        }
    }
    for (d, drawn) in drawn.iter().enumerate() {
        let passes: Vec<(usize, Vec<&String>)> = if d == 0 && balance == Balance::Class {
            // class by class: within a class none twice before all were used
            let of_class = |class: usize| named[0].iter().filter(move |(_, c)| *c == class).map(|(name, _)| name);
            classes
                .iter()
                .collect::<BTreeSet<_>>()
                .into_iter()
                .map(|&class| {
                    let mine: BTreeSet<&String> = of_class(class).collect();
                    (mine.len(), drawn.iter().filter(|name| mine.contains(name)).collect())
                })
                .collect()
        } else {
            vec![(named[d].len(), drawn.iter().collect())]
        };
        for (size, drawn) in passes {
            for pass in drawn.chunks(size) {
                assert_eq!(
                    pass.iter().collect::<BTreeSet<_>>().len(),
                    pass.len(),
                    "a window twice before all were used"
                );
            }
        }
    }
    Some(drawn)
}

#[test]
fn two_thousand_random_manifests_keep_every_law() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let mut random = Random(1);
    let (mut splits, mut runs, mut reseeded) = (BTreeMap::new(), 0, 0);
    for seed in 0..MANIFESTS {
        let made = manifest(&mut random);
        let [dataset, other] = [0, 1].map(|i| open(&path, &made.texts[i]));
        assert_eq!(
            dataset.recordings, other.recordings,
            "the order of files decides nothing"
        );
        let window = 5 + random.below(20);
        let fractions = ["0.6,0.2,0.2", "0.5,0,0.5", "0.34,0.33,0.33"][random.below(3)];
        for kind in SplitKind::ALL {
            let plan = SplitPlan {
                kind,
                fractions: fractions.parse::<Fractions>().unwrap(),
                window,
                hop: 1 + random.below(2 * window),
                seed,
            };
            for domain in dataset.domains() {
                let entries = dataset.domain(domain);
                // the same domain with its recordings in another order
                let mut turned = entries.clone();
                random.shuffle(&mut turned);
                let (made_splits, turned_splits) = (split(&entries, &made, &plan), split(&turned, &made, &plan));
                assert_eq!(made_splits.len(), turned_splits.len());
                for (one, two) in made_splits.iter().zip(&turned_splits) {
                    *splits.entry(kind.to_string()).or_insert(0) += 1;
                    check_split(&entries, &made, &plan, one);
                    let by_file = |entries: &[&RecordingEntry], split: &Split| -> BTreeMap<String, Vec<Vec<usize>>> {
                        let parts = |i: usize| Part::ALL.map(|p| split.recordings[i].part(p).to_vec()).to_vec();
                        entries
                            .iter()
                            .enumerate()
                            .map(|(i, e)| (e.file.clone(), parts(i)))
                            .collect()
                    };
                    assert_eq!(
                        by_file(&entries, one),
                        by_file(&turned, two),
                        "order alone changed a split"
                    );
                }
            }
            let (batch, balance) = (1 + random.below(12), [Balance::None, Balance::Class][random.below(2)]);
            let drawn = batches(&dataset, &made, &plan, batch, balance);
            assert_eq!(drawn, batches(&other, &made, &plan, batch, balance));
            if drawn.is_some() {
                runs += 1;
                let later = batches(&dataset, &made, &SplitPlan { seed: seed + 1, ..plan }, batch, balance);
                reseeded += usize::from(later.is_some_and(|later| Some(later) != drawn));
            }
        }
    }
    // no law holds of nothing
    println!("{splits:?}, {runs} runs, {reseeded} changed by the seed");
    assert!(splits.len() == 4 && splits.values().all(|&n| n > 500), "{splits:?}");
    assert!(runs > 1000 && reseeded * 10 > runs * 9, "{runs} {reseeded}");
}

#[test]
fn folds_of_random_manifests_leave_everything_out_once_and_no_file_or_unit_on_both_sides() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    let mut random = Random(2);
    let mut count = [0, 0];
    for _ in 0..500 {
        let made = manifest(&mut random);
        let dataset = open(&path, &made.texts[0]);
        for (k, leave_out) in [LeaveOut::Domain, LeaveOut::Unit].into_iter().enumerate() {
            let Ok(folds) = dataset.folds(leave_out) else { continue };
            assert_eq!(folds, open(&path, &made.texts[1]).folds(leave_out).unwrap());
            count[k] += folds.len();
            let mut tested: Vec<usize> = folds.iter().flat_map(|f| f.test.clone()).collect();
            tested.sort_unstable();
            assert_eq!(tested, (0..dataset.recordings.len()).collect::<Vec<_>>());
            for fold in &folds {
                let of = |side: &[usize], what: fn(&RecordingEntry) -> String| -> BTreeSet<String> {
                    side.iter().map(|&i| what(&dataset.recordings[i])).collect()
                };
                let both = |what: fn(&RecordingEntry) -> String| -> Vec<String> {
                    of(&fold.train, what)
                        .intersection(&of(&fold.test, what))
                        .cloned()
                        .collect()
                };
                assert!(both(|r| r.file.clone()).is_empty());
                let units = both(|r| r.unit.clone().unwrap());
                assert_eq!(units, fold.units_on_both_sides);
                if leave_out == LeaveOut::Unit {
                    assert!(units.is_empty());
                } else {
                    assert!(both(|r| r.domain.clone()).is_empty());
                }
                assert_eq!(fold.train.len() + fold.test.len(), dataset.recordings.len());
            }
        }
    }
    assert!(count.iter().all(|&n| n > 500), "{count:?}");
}
