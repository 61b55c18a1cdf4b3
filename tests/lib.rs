//! What the tests on real kernels share: running `lynceus`, reading its spans, and saying what a
//! machine lacks.

pub mod lynceus;
pub mod need;
pub mod port;
pub mod tree;
