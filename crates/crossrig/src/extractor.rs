//! From the extractor's settings to a network.

use candle_convnet1d::{BatchNormConfig, Extractor, Statistics};
use candle_nn::VarBuilder;
use candle_seresnext1d::{
    Architecture, DefectFamilies, DefectFamiliesConfig, LightCnn, LightCnnConfig, SeResNeXt, SeResNeXtConfig, SeedNet,
    SeedNetConfig,
};

use crate::error::{Error, Result, message};
use crate::options::BatchNorm;
use crate::settings::Settings;

impl Settings {
    /// The named network.
    pub fn architecture(&self) -> Result<Architecture> {
        self.extractor
            .name
            .as_deref()
            .unwrap_or("light-cnn")
            .parse()
            .map_err(|e| Error::input(format!("--extractor: {e}")))
    }

    /// Batch norm of that network for `domains` domains.
    pub fn batch_norm(&self, architecture: Architecture, domains: usize) -> BatchNormConfig {
        BatchNormConfig {
            statistics: match self.batch_norm {
                BatchNorm::Joint => Statistics::Joint,
                BatchNorm::PerDomain => Statistics::PerDomain(domains),
            },
            // the article's networks have Keras', the others PyTorch's
            ..architecture.batch_norm()
        }
    }

    /// Builds the extractor for windows of `channels` channels.
    pub fn build_extractor(&self, channels: usize, domains: usize, vb: VarBuilder) -> Result<Box<dyn Extractor>> {
        let architecture = self.architecture()?;
        let batch_norm = self.batch_norm(architecture, domains);
        let e = &self.extractor;
        let mut config = match architecture {
            Architecture::LightCnn => {
                let named = LightCnnConfig::new(channels);
                let config = LightCnnConfig {
                    batch_norm,
                    bins: e.bins.unwrap_or(named.bins),
                    ..named
                };
                return Ok(Box::new(LightCnn::new(&config, vb)?));
            }
            Architecture::DefectFamilies => {
                let config = DefectFamiliesConfig {
                    own_slip: self.starts_at_rule(),
                    in_channels: channels,
                    batch_norm,
                };
                return Ok(Box::new(DefectFamilies::new(&config, vb)?));
            }
            Architecture::SeResNeXt26Small => SeResNeXtConfig::small26(channels),
            Architecture::SeResNeXt26 => SeResNeXtConfig::depth(26, channels)?,
            Architecture::SeResNeXt50 => SeResNeXtConfig::depth(50, channels)?,
            Architecture::SeResNeXt101 => SeResNeXtConfig::depth(101, channels)?,
            Architecture::SeResNeXt152 => SeResNeXtConfig::depth(152, channels)?,
            Architecture::Seed18 => return self.build_seed(18, channels, batch_norm, vb),
            Architecture::Seed34 => return self.build_seed(34, channels, batch_norm, vb),
            Architecture::Seed50 => return self.build_seed(50, channels, batch_norm, vb),
            Architecture::Seed101 => return self.build_seed(101, channels, batch_norm, vb),
            Architecture::Seed152 => return self.build_seed(152, channels, batch_norm, vb),
        };
        config.batch_norm = batch_norm;
        config.stem = e.stem.unwrap_or(config.stem);
        config.blocks = e.blocks.clone().unwrap_or(config.blocks);
        config.widths = e.widths.clone().unwrap_or(config.widths);
        config.outputs = e.outputs.clone().unwrap_or(config.outputs);
        config.groups = e.groups.unwrap_or(config.groups);
        config.reduction = e.reduction.unwrap_or(config.reduction);
        let built = SeResNeXt::new(&config, vb).map_err(|e| Error::input(format!("[extractor]: {}", message(&e))))?;
        Ok(Box::new(built))
    }

    /// The article's network of that depth.
    fn build_seed(
        &self,
        depth: usize,
        channels: usize,
        batch_norm: BatchNormConfig,
        vb: VarBuilder,
    ) -> Result<Box<dyn Extractor>> {
        let e = &self.extractor;
        let named = SeedNetConfig::depth(depth, channels)?;
        let config = SeedNetConfig {
            batch_norm,
            filters: e.stem.unwrap_or(named.filters),
            cardinality: e.groups.unwrap_or(named.cardinality),
            ratio: e.reduction.unwrap_or(named.ratio),
            ..named
        };
        let built = SeedNet::new(&config, vb).map_err(|e| Error::input(format!("[extractor]: {e}")))?;
        Ok(Box::new(built))
    }
}
