//! The article's network is as large as the original, at every size that was counted there.

mod common;

use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Grouping, SeedNet, SeedNetConfig};
use common::Counter;

/// Counted in the original after building each model, with 4 classes, 3 domains, ratio 4 and average pooling: depth,
/// channels, length, F, C; then trainable and total of the extractor, of the DANN model and of its later form.
const COUNTS: &str = "\
 18 2 3000 16  8   329104   337200   330903   338999   429079   437175
 34 2 3000 16  8   716964   738052   718763   739851   816939   838027
 50 2 3000 16  8   716964   738052   718763   739851   816939   838027
101 2 3000 16  8  1494068  1545620  1495867  1547419  1594043  1645595
152 2 3000 16  8  2136740  2215172  2138539  2216971  2236715  2315147
 18 2  257  8  4    83848    86872    84751    87775   151055   154079
 34 2  257  8  4   182930   190594   183833   191497   250137   257801
 50 2  257  8  4   182930   190594   183833   191497   250137   257801
101 2  257  8  4   382170   400714   383073   401617   449377   467921
152 2  257  8  4   547218   575362   548121   576265   614425   642569
 18 2  257  4  4    22132    23644    22587    24099    72955    74467
 34 2  257  4  4    48657    52489    49112    52944    99480   103312
 50 2  257  4  4    48657    52489    49112    52944    99480   103312
101 2  257  4  4   102581   111853   103036   112308   153404   162676
152 2  257  4  4   147473   161545   147928   162000   198296   212368
 18 1 1024 16  4   325920   331968   327719   333767   425895   431943
 34 1 1024 16  4   708212   723540   710011   725339   808187   823515
 50 1 1024 16  4   708212   723540   710011   725339   808187   823515
101 1 1024 16  4  1472260  1509348  1474059  1511147  1572235  1609323
152 1 1024 16  4  2103412  2159700  2105211  2161499  2203387  2259675
 18 1 1024 16  1   323360   327360   325159   329159   423335   427335
 34 1 1024 16  1   735620   745188   737419   746987   835595   845163
 50 1 1024 16  1   735620   745188   737419   746987   835595   845163
101 1 1024 16  1  1557332  1579956  1559131  1581755  1657307  1679931
152 1 1024 16  1  2235268  2269412  2237067  2271211  2335243  2369387
 18 1 2048 32  8  1291328  1307520  1294919  1311111  1456839  1473031
 34 1 2048 32  8  2803560  2845736  2807151  2849327  2969071  3011247
 50 1 2048 32  8  2803560  2845736  2807151  2849327  2969071  3011247
101 1 2048 32  8  5820040  5923144  5823631  5926735  5985551  6088655
152 1 2048 32  8  8309608  8466472  8313199  8470063  8475119  8631983
 18 1 1024 64 32  5189760  5271296  5196935  5278471  5486343  5567879
 34 1 1024 64 32 11293904 11516496 11301079 11523671 11590487 11813079
 50 1 1024 64 32 11293904 11516496 11301079 11523671 11590487 11813079
101 1 1024 64 32 23489296 24042640 23496471 24049815 23785879 24339223
";

fn counts() -> impl Iterator<Item = ([usize; 5], [usize; 6])> {
    COUNTS.lines().map(|line| {
        let numbers: Vec<usize> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        (numbers[..5].try_into().unwrap(), numbers[5..].try_into().unwrap())
    })
}

fn network([depth, channels, _, filters, cardinality]: [usize; 5]) -> SeedNetConfig {
    SeedNetConfig {
        filters,
        cardinality,
        ..SeedNetConfig::depth(depth, channels).unwrap()
    }
}

/// Trained and all parameters of a Keras model.
fn keras_counts(config: &SeedNetConfig, heads: Heads, length: usize) -> (usize, usize) {
    let model = KerasModel::new(config.clone(), heads, length).unwrap();
    model.parameters().iter().fold((0, 0), |(trained, all), parameter| {
        let count = parameter.elements();
        let is_trained = common::trainable(&parameter.name);
        (trained + usize::from(is_trained) * count, all + count)
    })
}

#[test]
fn every_size_is_the_originals() {
    assert_eq!(counts().count(), 34);
    for (row, [trained, all, ..]) in counts() {
        for grouping in [Grouping::OwnGroup, Grouping::LastGroup] {
            let config = SeedNetConfig {
                grouping,
                ..network(row)
            };
            let counter = Counter::default();
            SeedNet::new(&config, counter.builder()).unwrap();
            let (found, running) = counter.counts();
            assert_eq!((found, found + running), (trained, all), "{row:?}");
        }
    }
}

#[test]
fn every_size_with_heads_is_the_originals() {
    for (row, [trained, all, seed_trained, seed_all, late_trained, late_all]) in counts() {
        let config = network(row);
        let [_, _, length, filters, _] = row;
        let dann = |projection, hidden| Heads::Dann {
            projection,
            hidden,
            labels: 4,
            domains: 3,
        };
        let top = 4 * (16 * filters + 1);
        for (heads, expected) in [
            (Heads::None, (trained, all)),
            (Heads::Top { outputs: 4 }, (trained + top, all + top)),
            (dann(None, None), (seed_trained, seed_all)),
            (dann(Some(256), Some(128)), (late_trained, late_all)),
        ] {
            assert_eq!(keras_counts(&config, heads, length), expected, "{row:?} {heads:?}");
        }
    }
    // built as a stand-alone network, and with the hidden layer alone
    let config = network([50, 2, 3000, 16, 8]);
    assert_eq!(
        keras_counts(&config, Heads::Top { outputs: 4 }, 3000),
        (717_992, 739_080)
    );
    let hidden = Heads::Dann {
        projection: None,
        hidden: Some(128),
        labels: 4,
        domains: 3,
    };
    assert_eq!(keras_counts(&config, hidden, 3000).0, 751_147);
}
