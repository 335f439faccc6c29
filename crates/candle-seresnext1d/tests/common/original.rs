//! What the original Keras networks computed, as files.
//!
//! One case lies in `fixtures/seed`. The others are 4 MB that are not part of the repository: with the folder of
//! reference data in `CROSSRIG_REFERENCE`, or beside the one in `CROSSRIG_DATA`, they are found too.
#![allow(dead_code)] // each test file takes what it needs

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result, Tensor};
use candle_seresnext1d::keras::{Heads, KerasModel};
use candle_seresnext1d::{Grouping, SeedNetConfig};

pub type Tensors = HashMap<String, Tensor>;

/// One of the original's networks, with what it was run on.
pub struct Case {
    pub name: &'static str,
    folder: PathBuf,
    pub meta: serde_json::Value,
    pub weights: Tensors,
    pub io: Tensors,
}

impl Case {
    pub fn load(folder: &Path, name: &'static str) -> Self {
        let tensors = |kind: &str| {
            let path = folder.join(format!("{name}.{kind}.safetensors"));
            candle_core::safetensors::load(&path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let meta = std::fs::read_to_string(folder.join(format!("{name}.json"))).unwrap();
        Self {
            name,
            folder: folder.to_owned(),
            meta: serde_json::from_str(&meta).unwrap(),
            weights: tensors("weights"),
            io: tensors("io"),
        }
    }

    pub fn number(&self, key: &str) -> usize {
        self.meta["config"][key].as_u64().unwrap() as usize
    }

    pub fn variants(&self) -> Vec<(&str, Grouping)> {
        let names = self.meta["variants"].as_array().unwrap();
        let variant = |name: &str| match name {
            "quirk" => Grouping::LastGroup,
            // with one branch there is only one form
            "fixed" | "any" => Grouping::OwnGroup,
            other => panic!("variant {other}"),
        };
        names
            .iter()
            .map(|name| name.as_str().unwrap())
            .map(|name| (name, variant(name)))
            .collect()
    }

    pub fn trained(&self, variant: &str) -> Tensors {
        let path = self.folder.join(format!("{}.train_{variant}.safetensors", self.name));
        candle_core::safetensors::load(path, &Device::Cpu).unwrap()
    }

    /// What the case's description says it is.
    pub fn described(&self) -> KerasModel {
        let network = SeedNetConfig {
            filters: self.number("filters"),
            cardinality: self.number("cardinality"),
            ratio: self.number("ratio"),
            grouping: Grouping::LastGroup,
            ..SeedNetConfig::depth(self.number("depth"), self.number("channels")).unwrap()
        };
        let late = self.meta["config"]["head_form"] == "late";
        let heads = Heads::Dann {
            projection: late.then_some(256),
            hidden: late.then_some(128),
            labels: self.number("num_labels"),
            domains: self.number("num_domains"),
        };
        KerasModel::new(network, heads, self.number("length")).unwrap()
    }

    pub fn classes(&self, name: &str) -> Tensor {
        let classes: Vec<u32> = self.io[name]
            .to_vec1::<i32>()
            .unwrap()
            .into_iter()
            .map(|c| c as u32)
            .collect();
        Tensor::new(classes, &Device::Cpu).unwrap()
    }

    /// The windows, `(batch, channels, length)`.
    pub fn windows(&self, dtype: DType) -> Result<Tensor> {
        self.io["input"].transpose(1, 2)?.contiguous()?.to_dtype(dtype)
    }
}

pub fn flat(tensor: &Tensor) -> Vec<f64> {
    let values = tensor.to_dtype(DType::F64).and_then(|t| t.flatten_all()?.to_vec1());
    values.unwrap()
}

pub fn largest(values: &[f64]) -> f64 {
    values.iter().fold(0.0, |most, v| most.max(v.abs()))
}

pub fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/seed")
}

/// Where the other cases lie; `None` where they are not, which `CROSSRIG_REQUIRE_DATA=1` forbids.
pub fn reference() -> Option<PathBuf> {
    let folder = std::env::var_os("CROSSRIG_REFERENCE").map(PathBuf::from);
    let beside = || Some(Path::new(&std::env::var_os("CROSSRIG_DATA")?).join("../reference"));
    let found = folder.or_else(beside).map(|folder| folder.join("seed-fixtures"));
    let found = found.filter(|folder| folder.is_dir());
    if found.is_none() {
        let required = std::env::var("CROSSRIG_REQUIRE_DATA").is_ok_and(|value| value == "1");
        assert!(
            !required,
            "no seed-fixtures in CROSSRIG_REFERENCE or beside CROSSRIG_DATA"
        );
        println!("skipped: no data");
    }
    found
}

/// The folders that there are.
pub fn all_cases() -> Vec<Case> {
    let mut cases = vec![Case::load(&committed(), "d18_f4_c1")];
    if let Some(folder) = reference() {
        cases.extend(["d18_f8_c4", "d50_f4_c4", "d18_f4_c2_late"].map(|name| Case::load(&folder, name)));
    }
    cases
}
