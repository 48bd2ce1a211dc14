//! lapse
fn main(){}
