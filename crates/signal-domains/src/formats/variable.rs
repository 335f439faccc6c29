//! What a file holds: variables, columns, data sets.

use std::path::Path;

use crate::error::Result;

/// A variable, column or data set of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Variable {
    /// Its name: of the variable (MAT), of the column or its number from 1 (text), the path (HDF5).
    pub name: String,
    /// Its extents in the file's order.
    pub shape: Vec<usize>,
    /// What it holds, in words: `float64`, `int16`, `logical`, `struct`, `cell`, `char` ...
    pub kind: String,
    /// Whether it holds real numbers and so can be read.
    pub numeric: bool,
}

impl Variable {
    /// Samples per channel: the longest extent, if at most two extents differ from 1; the number of elements otherwise.
    pub fn samples(&self) -> usize {
        match self.wide_extents()[..] {
            _ if self.elements() == 0 => 0,
            [] => 1,
            [a] => a,
            [a, b] => a.max(b),
            _ => self.elements(),
        }
    }

    /// Number of channels: 1 for a vector, the shorter extent of a matrix.
    pub fn channels(&self) -> usize {
        match self.wide_extents()[..] {
            [a, b] => a.min(b).max(1),
            _ => 1,
        }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it can be a recording: real numbers, more than one sample, at most two extents other than 1.
    pub fn is_signal(&self) -> bool {
        self.numeric && self.samples() > 1 && self.wide_extents().len() <= 2
    }

    /// `name (121265x1 float64)`.
    pub(crate) fn describe(&self) -> String {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        let space = if shape.is_empty() { "" } else { " " };
        format!("{} ({}{space}{})", self.name, shape.join("x"), self.kind)
    }

    fn wide_extents(&self) -> Vec<usize> {
        self.shape.iter().copied().filter(|&n| n != 1).collect()
    }
}

/// Lists what a file holds, in the file's order, whether it can be read as a signal or not.
pub fn list_variables(path: &Path) -> Result<Vec<Variable>> {
    Ok(super::open(path, super::TextLayout::default())?.variables().to_vec())
}

/// How a matrix lies in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// The first extent varies fastest (MATLAB).
    ColumnMajor,
    /// The last extent varies fastest (HDF5, text).
    RowMajor,
}

/// The channels of a variable from its elements in the file's order; a vector is moved, not copied.
pub(crate) fn into_channels(variable: &Variable, values: Vec<f64>, order: Order) -> Vec<Vec<f64>> {
    let wide = variable.wide_extents();
    let ([first, second], false) = (&wide[..], values.is_empty()) else {
        return vec![values];
    };
    let (first, second) = (*first, *second);
    let (fast, slow) = if order == Order::ColumnMajor {
        (first, second)
    } else {
        (second, first)
    };
    if fast >= slow && (fast > slow || order == Order::ColumnMajor) {
        // time runs along the fast extent: each channel is one contiguous piece
        values.chunks(fast).map(<[f64]>::to_vec).collect()
    } else {
        (0..fast)
            .map(|c| values.iter().skip(c).step_by(fast).copied().collect())
            .collect()
    }
}
