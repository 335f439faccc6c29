//! The convolution and its gradients are those of its definition, on every path, for any shape.

#[path = "../common/mod.rs"]
mod common;

mod definition;
mod edges;
mod layouts;
mod padding;
mod pairs;
