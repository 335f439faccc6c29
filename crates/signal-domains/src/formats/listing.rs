//! The list of what a file holds, within the memory that the file may take.

use super::{Limits, Variable};
use crate::dataset::Attribute;

/// Memory of a list besides what grows with the file.
const BASE: usize = 800_000;
/// Memory of a list for each byte of the file.
const PER_BYTE: u64 = 4;
/// Memory of a variable besides its texts: itself, twice while the list grows, and what a reader keeps beside it.
const EACH: usize = 512;

/// Variables, and for each a `Spot`: where a reader finds it.
pub(crate) struct Listing<Spot> {
    pub variables: Vec<Variable>,
    pub spots: Vec<Spot>,
    used: usize,
    budget: usize,
    most: usize,
}

/// There is no room for another variable.
#[derive(Debug)]
pub(crate) struct Full;

impl Full {
    pub const MESSAGE: &'static str = "it holds more arrays than are listed for a file of this size";
}

impl<Spot> Listing<Spot> {
    /// For a file of `bytes`. A description takes a few hundred bytes of memory, one in a compressed file next to none:
    /// without a bound a small file could fill the memory with names.
    pub fn new(limits: &Limits, bytes: u64) -> Self {
        let grown = usize::try_from(bytes.saturating_mul(PER_BYTE)).unwrap_or(usize::MAX);
        Self {
            variables: Vec::new(),
            spots: Vec::new(),
            used: 0,
            budget: BASE.saturating_add(grown),
            most: limits.max_variables,
        }
    }

    pub fn len(&self) -> usize {
        self.variables.len()
    }

    pub fn push(&mut self, variable: Variable, spot: Spot) -> Result<(), Full> {
        let cost = cost(&variable);
        if self.variables.len() >= self.most || cost > self.budget - self.used {
            return Err(Full);
        }
        self.used += cost;
        if self.variables.len() == self.variables.capacity() {
            // growing by a quarter instead of doubling keeps the peak low
            let more = self.variables.len() / 4 + 16;
            self.variables.reserve_exact(more);
            self.spots.reserve_exact(more);
        }
        self.variables.push(variable);
        self.spots.push(spot);
        Ok(())
    }

    /// Adds an attribute to variable `index`, or replaces it.
    pub fn attribute(&mut self, index: usize, name: String, value: Attribute) -> Result<(), Full> {
        let cost = attribute_cost(&name, &value);
        let attributes = &mut self.variables[index].attributes;
        let before = attributes.get(&name).map_or(0, |old| attribute_cost(&name, old));
        let used = self.used - before + cost;
        if used > self.budget {
            return Err(Full);
        }
        self.used = used;
        attributes.insert(name, value);
        Ok(())
    }

    /// Finishes each variable, and keeps another spot for it.
    pub fn map<Other>(mut self, mut finish: impl FnMut(&mut Variable, Spot) -> Other) -> Listing<Other> {
        let spots = self
            .variables
            .iter_mut()
            .zip(self.spots)
            .map(|(v, spot)| finish(v, spot))
            .collect();
        Listing {
            used: self.used,
            budget: self.budget,
            most: self.most,
            variables: self.variables,
            spots,
        }
    }

    /// Takes back all but the first `n`.
    pub fn truncate(&mut self, n: usize) {
        self.used -= self.variables[n..].iter().map(cost).sum::<usize>();
        self.variables.truncate(n);
        self.spots.truncate(n);
    }
}

fn cost(variable: &Variable) -> usize {
    let text = |t: &Option<String>| t.as_ref().map_or(0, String::len);
    let attributes: usize = variable
        .attributes
        .iter()
        .map(|(name, value)| attribute_cost(name, value))
        .sum();
    EACH + variable.name.len()
        + variable.kind.len()
        + 8 * variable.shape.len()
        + text(&variable.unit)
        + text(&variable.reason)
        + attributes
}

fn attribute_cost(name: &str, value: &Attribute) -> usize {
    let value = match value {
        Attribute::Text(text) => text.len(),
        _ => 0,
    };
    128 + name.len() + value
}
