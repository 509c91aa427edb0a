//! The one entry for people and machines.
fn main() {}
