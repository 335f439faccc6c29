//! Which windows go to which part.

use std::collections::BTreeMap;

use signal_conditioning::{Tail, Windowing, window_starts};

use super::apportion::apportion;
use super::{Item, LabelledItem, Part, RecordingWindows, Split, SplitKind, SplitPlan};
use crate::error::{Error, Result};
use crate::keyed::{digest, permutation};

/// Items that are split among themselves.
pub(super) struct Stratum {
    /// For messages.
    pub name: String,
    pub members: Vec<usize>,
}

/// One stratum a class. Classes that share a unit are split together, or that unit could land on both sides.
pub(super) fn strata_of_source(items: &[LabelledItem<'_>], kind: SplitKind) -> Vec<Stratum> {
    let mut leader: BTreeMap<usize, usize> = items.iter().map(|l| (l.class, l.class)).collect();
    if kind == SplitKind::Units {
        let mut first_class: BTreeMap<&str, usize> = BTreeMap::new();
        for labelled in items {
            let Some(unit) = labelled.item.unit else { continue };
            let other = *first_class.entry(unit).or_insert(labelled.class);
            let (a, b) = (leader[&other], leader[&labelled.class]);
            let joined = a.min(b);
            leader
                .values_mut()
                .filter(|l| **l == a || **l == b)
                .for_each(|l| *l = joined);
        }
    }
    let mut strata: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (i, labelled) in items.iter().enumerate() {
        strata.entry(leader[&labelled.class]).or_default().push(i);
    }
    strata
        .into_values()
        .map(|members| {
            // classes are numbers here; a file tells the user which one is meant
            let first = members.iter().map(|&i| items[i].item.file).min().unwrap_or_default();
            let name = format!("the class of {first}");
            Stratum { name, members }
        })
        .collect()
}

pub(super) fn assign(domain: &str, items: &[Item<'_>], strata: &[Stratum], plan: &SplitPlan) -> Result<Split> {
    let recordings = match plan.kind {
        SplitKind::Blocks => items.iter().map(|item| blocks(item, plan)).collect::<Result<_>>()?,
        SplitKind::Windows => items
            .iter()
            .map(|item| shuffled(domain, item, plan))
            .collect::<Result<_>>()?,
        SplitKind::Recordings | SplitKind::Units => {
            let mut recordings = vec![RecordingWindows::default(); items.len()];
            for stratum in strata {
                whole(domain, items, stratum, plan, &mut recordings)?;
            }
            recordings
        }
    };
    Ok(Split { recordings })
}

/// Starts of the windows of a length and hop that lie wholly inside `from..to`.
pub(super) fn starts(from: usize, to: usize, (length, hop): (usize, usize)) -> Result<Vec<usize>> {
    let windowing = Windowing {
        length,
        hop,
        tail: Tail::Drop,
    };
    let starts = window_starts(to - from, &windowing).map_err(|e| Error::Argument(e.to_string()))?;
    Ok(starts.into_iter().map(|start| from + start).collect())
}

/// Stretches of the fractions' lengths in time order, one window of guard between two stretches.
fn blocks(item: &Item<'_>, plan: &SplitPlan) -> Result<RecordingWindows> {
    let mut out = RecordingWindows::default();
    let windows = item.windows(plan);
    let guards = (plan.fractions.parts() - 1).saturating_mul(windows.0);
    let Some(usable) = item.samples.checked_sub(guards).map(|n| n as f64) else {
        return Ok(out);
    };
    let (mut share, mut guard) = (0.0, 0);
    for part in Part::ALL.into_iter().filter(|&p| plan.fractions.of(p) > 0.0) {
        let from = (share * usable).round() as usize + guard;
        share += plan.fractions.of(part);
        let to = (share * usable).round() as usize + guard;
        *out.part_mut(part) = starts(from, to, windows)?;
        guard += windows.0;
    }
    Ok(out)
}

/// Windows shuffled by the seed, the domain and the file, then cut by the fractions.
fn shuffled(domain: &str, item: &Item<'_>, plan: &SplitPlan) -> Result<RecordingWindows> {
    let all = starts(0, item.samples, item.windows(plan))?;
    let seed = plan.seed.to_le_bytes();
    let order = permutation(
        all.len(),
        &[b"split windows", &seed, domain.as_bytes(), item.file.as_bytes()],
    );
    let mut out = RecordingWindows::default();
    let mut rest = &order[..];
    for (part, count) in Part::ALL.into_iter().zip(apportion(all.len(), plan.fractions.all())) {
        let (chosen, later) = rest.split_at(count);
        rest = later;
        let mut chosen: Vec<usize> = chosen.iter().map(|&i| all[i]).collect();
        chosen.sort_unstable();
        *out.part_mut(part) = chosen;
    }
    Ok(out)
}

/// Whole recordings or units, ordered by a keyed hash of their names and cut by the fractions.
fn whole(
    domain: &str,
    items: &[Item<'_>],
    stratum: &Stratum,
    plan: &SplitPlan,
    out: &mut [RecordingWindows],
) -> Result<()> {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for &i in &stratum.members {
        let name = match (plan.kind, items[i].unit) {
            (SplitKind::Units, Some(unit)) => unit,
            (SplitKind::Units, None) => {
                return Err(Error::Split {
                    domain: domain.into(),
                    message: format!(
                        "recording {} states no unit; give every recording its `unit`, or split by recordings or blocks",
                        items[i].file
                    ),
                });
            }
            _ => items[i].file,
        };
        groups.entry(name).or_default().push(i);
    }
    let needed = plan.fractions.parts();
    if groups.len() < needed {
        let (have, what) = (groups.len(), plan.kind);
        return Err(Error::Split {
            domain: domain.into(),
            message: format!(
                "{} has too few {what}, {have} for {needed} parts (fractions {}); split by blocks, or give a fraction of 0",
                stratum.name, plan.fractions
            ),
        });
    }
    let seed = plan.seed.to_le_bytes();
    let kind = plan.kind.to_string();
    let key = |name: &str| digest(&[b"split", kind.as_bytes(), &seed, domain.as_bytes(), name.as_bytes()]);
    let mut order: Vec<(&str, Vec<usize>)> = groups.into_iter().collect();
    order.sort_by_cached_key(|(name, _)| key(name));
    let counts = apportion(order.len(), plan.fractions.all());
    let parts = Part::ALL
        .into_iter()
        .zip(counts)
        .flat_map(|(part, n)| std::iter::repeat_n(part, n));
    for ((_, members), part) in order.into_iter().zip(parts) {
        for i in members {
            *out[i].part_mut(part) = starts(0, items[i].samples, items[i].windows(plan))?;
        }
    }
    Ok(())
}
