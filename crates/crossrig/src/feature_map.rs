//! Features of many dimensions in two: principal components, and t-SNE for who is next to whom.

use adaptation_metrics::{Pca, Tsne, TsneConfig};

use crate::error::{Error, Result};
use crate::report::{FeatureMap, Layout};

/// Windows of a domain on the map of principal components, at most.
const MOST_OF_A_DOMAIN: usize = 500;
/// Points on the t-SNE map, at most: its time grows with their square.
const MOST_NEIGHBOURS: usize = 400;

/// Features of the windows of one domain.
pub struct DomainFeatures<'a> {
    /// Row-major, one row a window.
    pub features: &'a [f32],
    /// Class of each window; `None` where it has no label.
    pub class: Vec<Option<usize>>,
}

/// The maps of all domains together, `width` features a window; none where there are too few windows to lay out.
pub fn feature_maps(domains: &[DomainFeatures], width: usize) -> Result<Vec<FeatureMap>> {
    let (mut rows, mut domain, mut class) = (Vec::new(), Vec::new(), Vec::new());
    for (i, d) in domains.iter().enumerate() {
        let every = d.class.len().div_ceil(MOST_OF_A_DOMAIN).max(1);
        for r in (0..d.class.len()).step_by(every) {
            rows.extend(d.features[r * width..(r + 1) * width].iter().map(|&v| f64::from(v)));
            domain.push(i);
            class.push(d.class[r]);
        }
    }
    if domain.len() < 3 || width < 2 {
        return Ok(Vec::new());
    }
    let machine = |e: adaptation_metrics::Error| Error::Machine(e.to_string());
    let pca = Pca::fit(&rows, domain.len(), width, 2).map_err(machine)?;
    let flat = pca.transform(&rows).map_err(machine)?;
    let explained = pca.explained_variance_ratio();

    let every = domain.len().div_ceil(MOST_NEIGHBOURS);
    let some: Vec<usize> = (0..domain.len()).step_by(every).collect();
    let some_rows: Vec<f64> = some
        .iter()
        .flat_map(|&r| &rows[r * width..(r + 1) * width])
        .copied()
        .collect();
    let config = TsneConfig {
        perplexity: TsneConfig::default()
            .perplexity
            .min((some.len() - 1) as f64 / 3.0)
            .max(1.0),
        ..TsneConfig::default()
    };
    let near = Tsne::fit(&some_rows, some.len(), &config).map_err(machine)?;
    Ok(vec![
        FeatureMap {
            layout: Layout::Principal {
                explained: [explained[0], explained[1]],
            },
            points: flat.chunks_exact(2).map(|p| [p[0], p[1]]).collect(),
            domain: domain.clone(),
            class: class.clone(),
        },
        FeatureMap {
            layout: Layout::Neighbours,
            points: near.points,
            domain: some.iter().map(|&r| domain[r]).collect(),
            class: some.iter().map(|&r| class[r]).collect(),
        },
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_maps_take_even_shares_of_large_domains_and_keep_labels_with_their_rows() {
        // the first feature is the class
        let domain = |n: usize, labelled: bool| {
            let features: Vec<f32> = (0..n)
                .flat_map(|i| [(i * 3 / n) as f32 * 100.0, (i % 7) as f32])
                .collect();
            (
                features,
                (0..n).map(|i| labelled.then_some(i * 3 / n)).collect::<Vec<_>>(),
            )
        };
        let (source, target) = (domain(1200, true), domain(90, false));
        let domains = [&source, &target].map(|(features, class)| DomainFeatures {
            features,
            class: class.clone(),
        });
        let maps = feature_maps(&domains, 2).unwrap();
        assert_eq!(maps.len(), 2);
        assert_eq!(maps[0].points.len(), 400 + 90);
        assert!((200..=400).contains(&maps[1].points.len()));
        for map in &maps {
            assert_eq!(
                (map.domain.len(), map.class.len()),
                (map.points.len(), map.points.len())
            );
            assert!(map.domain.iter().zip(&map.class).all(|(d, c)| (*d == 0) == c.is_some()));
        }
        // the first component is the first feature, whose sign is chosen
        let centre = |k: usize| {
            let of_class = || {
                maps[0]
                    .points
                    .iter()
                    .zip(&maps[0].class)
                    .filter(move |(_, c)| **c == Some(k))
                    .map(|(p, _)| p[0])
            };
            of_class().sum::<f64>() / of_class().count() as f64
        };
        assert!(centre(0) < centre(1) - 50.0 && centre(1) < centre(2) - 50.0);
    }

    #[test]
    fn too_few_windows_give_no_map() {
        let domain = DomainFeatures {
            features: &[1.0, 2.0],
            class: vec![Some(0)],
        };
        assert!(feature_maps(&[domain], 2).unwrap().is_empty());
    }
}
