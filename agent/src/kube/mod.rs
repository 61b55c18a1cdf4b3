//! Kubernetes: which processes of a node are traced, and what their spans are of.
//!
//! Pure, as the rest of the line: objects of the API and records of the kernel go in; what the kernel side
//! is to do, and spans, come out.

mod hold;
mod identity;
pub mod name;
pub mod node;
pub mod object;
pub mod resource;
pub mod scope;
pub mod select;
pub mod story;
