//! Laws of the batches.

use proptest::prelude::*;
use signal_domains::{Balance, BatchRows, Sampler, SamplerState, SourceRows, TargetRows};

fn source(domain: &str, classes: &[usize]) -> SourceRows {
    SourceRows {
        domain: domain.into(),
        classes: classes.to_vec(),
    }
}

fn target(domain: &str, rows: usize) -> TargetRows {
    TargetRows {
        domain: domain.into(),
        rows,
    }
}

fn counts(n: usize, rows: impl IntoIterator<Item = usize>) -> Vec<usize> {
    let mut counts = vec![0; n];
    rows.into_iter().for_each(|r| counts[r] += 1);
    counts
}

proptest! {
    #[test]
    fn every_batch_is_full_and_every_row_comes_equally_often(
        big in 1usize..60, small in 1usize..60, batch in 1usize..20, steps in 1usize..40, seed in any::<u64>()
    ) {
        let (n, rows) = (big.max(small), [vec![0; big], vec![0; small]]);
        let mut sampler = Sampler::new(
            seed, batch, Balance::None, &[source("a", &rows[0]), source("b", &rows[1])], &[target("c", 7)],
        ).unwrap();
        prop_assert_eq!(sampler.steps_per_epoch(), n.div_ceil(batch));
        let batches: Vec<BatchRows> = (0..steps).map(|_| sampler.next_batch()).collect();
        for (domain, size) in [big, small].into_iter().enumerate() {
            let drawn: Vec<usize> = batches.iter().flat_map(|b| b.sources[domain].clone()).collect();
            prop_assert_eq!(drawn.len(), steps * batch);
            // whole passes: a new permutation only when the last is used up
            for pass in drawn.chunks_exact(size) {
                prop_assert_eq!(counts(size, pass.iter().copied()), vec![1; size]);
            }
        }
        prop_assert!(batches.iter().all(|b| b.targets.len() == 1 && b.targets[0].len() == batch));
    }

    #[test]
    fn a_resumed_sampler_goes_on_as_if_nothing_had_happened(
        sizes in proptest::collection::vec(1usize..40, 2..5), batch in 1usize..20, before in 0usize..30, warm in 0usize..10
    ) {
        let sources: Vec<SourceRows> =
            sizes.iter().enumerate().map(|(d, &n)| source(&format!("s{d}"), &(0..n).map(|r| r % 3).collect::<Vec<_>>())).collect();
        for balance in [Balance::None, Balance::Class] {
            let new = || Sampler::new(5, batch, balance, &sources, &[target("t", 11)]).unwrap();
            let mut whole = new();
            for step in 0..before {
                if step < warm { whole.next_source_batch() } else { whole.next_batch() };
            }
            let saved = serde_json::to_string(&whole.state()).unwrap();
            let mut resumed = new();
            resumed.restore(&serde_json::from_str::<SamplerState>(&saved).unwrap()).unwrap();
            for _ in 0..5 {
                prop_assert_eq!(whole.next_batch(), resumed.next_batch());
            }
        }
    }
}

#[test]
fn targets_change_nothing_about_the_sources_and_stand_still_during_warm_up() {
    let rows = vec![0; 23];
    let mut with = Sampler::new(
        1,
        8,
        Balance::None,
        &[source("a", &rows)],
        &[target("t", 5), target("u", 50)],
    )
    .unwrap();
    let mut without = Sampler::new(1, 8, Balance::None, &[source("a", &rows)], &[]).unwrap();
    let mut fresh = with.clone();
    for _ in 0..4 {
        assert_eq!(with.next_source_batch(), without.next_batch());
    }
    for _ in 0..4 {
        assert_eq!(with.next_batch().sources, without.next_source_batch().sources);
    }
    assert_eq!(with.state().targets, [32, 32]);
    let first = fresh.next_batch();
    fresh
        .restore(&SamplerState {
            sources: vec![32],
            targets: vec![0, 0],
        })
        .unwrap();
    assert_eq!(fresh.next_batch().targets, first.targets);
}

#[test]
fn seed_and_domain_name_decide_the_order() {
    let rows = vec![0; 40];
    let draw = |seed, name: &str| {
        Sampler::new(seed, 40, Balance::None, &[source(name, &rows)], &[])
            .unwrap()
            .next_batch()
    };
    assert_eq!(draw(1, "a"), draw(1, "a"));
    assert_ne!(draw(1, "a"), draw(2, "a"));
    assert_ne!(draw(1, "a"), draw(1, "b"));
    let mut sampler = Sampler::new(1, 40, Balance::None, &[source("a", &rows)], &[]).unwrap();
    assert_ne!(
        sampler.next_batch(),
        sampler.next_batch(),
        "each pass has an order of its own"
    );
}

#[test]
fn balancing_draws_every_class_equally_often() {
    let classes: Vec<usize> = (0..60).map(|r| if r < 50 { 2 } else { 4 + r % 2 }).collect();
    let mut sampler = Sampler::new(9, 6, Balance::Class, &[source("a", &classes)], &[]).unwrap();
    for _ in 0..20 {
        let batch = sampler.next_batch();
        let drawn = counts(6, batch.sources[0].iter().map(|&r| classes[r]));
        assert_eq!(drawn, [0, 0, 2, 0, 2, 2]);
    }
    assert_eq!("class".parse::<Balance>().unwrap(), Balance::Class);
    assert_eq!(Balance::None.to_string().parse::<Balance>().unwrap(), Balance::None);
    assert!("classes".parse::<Balance>().is_err());
}

#[test]
fn what_cannot_be_drawn_from_is_refused() {
    let rows = source("a", &[0, 1]);
    let message = |r: Result<Sampler, signal_domains::Error>| r.unwrap_err().to_string();
    assert!(message(Sampler::new(0, 0, Balance::None, std::slice::from_ref(&rows), &[])).contains("batch of 0"));
    assert!(message(Sampler::new(0, 4, Balance::None, &[], &[])).contains("no source"));
    assert!(message(Sampler::new(0, 4, Balance::None, &[source("x", &[])], &[])).contains("domain x has no training"));
    assert!(
        message(Sampler::new(
            0,
            4,
            Balance::None,
            std::slice::from_ref(&rows),
            &[target("t", 0)]
        ))
        .contains("domain t")
    );
    let mut sampler = Sampler::new(0, 4, Balance::None, &[rows], &[]).unwrap();
    let error = sampler
        .restore(&SamplerState {
            sources: vec![1, 2],
            targets: vec![],
        })
        .unwrap_err();
    assert!(error.to_string().contains("2 source"), "{error}");
}
