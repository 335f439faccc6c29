use std::fmt;
use std::str::FromStr;

use candle_convnet1d::{BatchNormConfig, Extractor};
use candle_core::Result;
use candle_nn::VarBuilder;

use crate::{
    DefectFamilies, DefectFamiliesConfig, Error, LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig, SeedNet,
    SeedNetConfig,
};

/// The extractors that have a name.
///
/// `Display` writes the name (`seresnext26-small`), `FromStr` reads it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Architecture {
    /// `light-cnn`: four plain convolutions, 512 features. See [`LightCnn`].
    LightCnn,
    /// `defect-families`: a score for each family of defect frequencies by one shared network, 3 features. See [`DefectFamilies`].
    DefectFamilies,
    /// `seresnext26-small`: a narrow SE-ResNeXt-26, 512 features. See [`SeResNeXtConfig::small26`].
    SeResNeXt26Small,
    /// `seresnext26`: SE-ResNeXt-26 (32x4d), 2048 features. See [`SeResNeXtConfig::depth`].
    SeResNeXt26,
    /// `seresnext50`: SE-ResNeXt-50 (32x4d), 2048 features.
    SeResNeXt50,
    /// `seresnext101`: SE-ResNeXt-101 (32x4d), 2048 features.
    SeResNeXt101,
    /// `seresnext152`: SE-ResNeXt-152 (32x4d), 2048 features.
    SeResNeXt152,
    /// `seed18`: the article's network of depth 18, 256 features. See [`SeedNetConfig::depth`].
    Seed18,
    /// `seed34`: the same network as `seed50`, as in the original.
    Seed34,
    /// `seed50`: the article's network of depth 50, 256 features.
    Seed50,
    /// `seed101`: the article's network of depth 101, 256 features.
    Seed101,
    /// `seed152`: the article's network of depth 152, 256 features.
    Seed152,
}

impl Architecture {
    /// All of them: smallest first, then the article's.
    pub const ALL: [Self; 12] = [
        Self::LightCnn,
        Self::DefectFamilies,
        Self::SeResNeXt26Small,
        Self::SeResNeXt26,
        Self::SeResNeXt50,
        Self::SeResNeXt101,
        Self::SeResNeXt152,
        Self::Seed18,
        Self::Seed34,
        Self::Seed50,
        Self::Seed101,
        Self::Seed152,
    ];

    /// The name that `FromStr` reads.
    pub fn name(self) -> &'static str {
        match self {
            Self::LightCnn => "light-cnn",
            Self::DefectFamilies => "defect-families",
            Self::SeResNeXt26Small => "seresnext26-small",
            Self::SeResNeXt26 => "seresnext26",
            Self::SeResNeXt50 => "seresnext50",
            Self::SeResNeXt101 => "seresnext101",
            Self::SeResNeXt152 => "seresnext152",
            Self::Seed18 => "seed18",
            Self::Seed34 => "seed34",
            Self::Seed50 => "seed50",
            Self::Seed101 => "seed101",
            Self::Seed152 => "seed152",
        }
    }

    /// Whether it is one of the article's networks, a [`SeedNet`].
    pub fn is_seed(self) -> bool {
        matches!(
            self,
            Self::Seed18 | Self::Seed34 | Self::Seed50 | Self::Seed101 | Self::Seed152
        )
    }

    /// The batch norm that the network is known with: the article's networks have Keras', all others `PyTorch`'s.
    pub fn batch_norm(self) -> BatchNormConfig {
        if self.is_seed() {
            SeedNetConfig::BATCH_NORM
        } else {
            BatchNormConfig::default()
        }
    }

    /// Builds the network for windows of `in_channels` channels, its variables taken from `vb`. The batch norm is the
    /// caller's; [`Architecture::batch_norm`] has the usual one.
    ///
    /// # Errors
    /// No input channels (for `defect-families`: not a multiple of 3), an impossible batch norm, or variables of `vb` that are missing or have
    /// another shape.
    pub fn build(self, in_channels: usize, batch_norm: BatchNormConfig, vb: VarBuilder) -> Result<Box<dyn Extractor>> {
        let seed = |depth| -> Result<Box<dyn Extractor>> {
            let config = SeedNetConfig {
                batch_norm,
                ..SeedNetConfig::depth(depth, in_channels)?
            };
            Ok(Box::new(SeedNet::new(&config, vb.clone())?))
        };
        let config = match self {
            Self::Seed18 => return seed(18),
            Self::Seed34 => return seed(34),
            Self::Seed50 => return seed(50),
            Self::Seed101 => return seed(101),
            Self::Seed152 => return seed(152),
            Self::LightCnn => {
                let config = LightCnnConfig {
                    batch_norm,
                    ..LightCnnConfig::new(in_channels)
                };
                return Ok(Box::new(LightCnn::new(&config, vb)?));
            }
            Self::DefectFamilies => {
                let config = DefectFamiliesConfig {
                    own_slip: false,
                    in_channels,
                    batch_norm,
                };
                return Ok(Box::new(DefectFamilies::new(&config, vb)?));
            }
            Self::SeResNeXt26Small => SeResNeXtConfig::small26(in_channels),
            Self::SeResNeXt26 => SeResNeXtConfig::depth(26, in_channels)?,
            Self::SeResNeXt50 => SeResNeXtConfig::depth(50, in_channels)?,
            Self::SeResNeXt101 => SeResNeXtConfig::depth(101, in_channels)?,
            Self::SeResNeXt152 => SeResNeXtConfig::depth(152, in_channels)?,
        };
        let config = SeResNeXtConfig { batch_norm, ..config };
        Ok(Box::new(SeResNeXt::new(&config, vb)?))
    }

    /// Length in samples of the shortest window that the network takes.
    pub fn min_length(self) -> usize {
        match self {
            Self::LightCnn => LightCnn::MIN_LENGTH,
            Self::DefectFamilies => DefectFamilies::MIN_LENGTH,
            _ if self.is_seed() => SeedNet::MIN_LENGTH,
            _ => SeResNeXt::MIN_LENGTH,
        }
    }

    /// The known names, for messages.
    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        // not write_str: a width asked for in a table must be kept
        f.pad(self.name())
    }
}

impl FromStr for Architecture {
    type Err = Error;

    fn from_str(name: &str) -> std::result::Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|architecture| architecture.name() == name)
            .ok_or_else(|| Error::UnknownArchitecture { name: name.to_owned() })
    }
}
