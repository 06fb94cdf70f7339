//! begat's side of `make parity`: computes what each case asks for and writes `ours.safetensors` beside it.
//!
//! `parity FOLDER…`: each folder holds a case as `daemon/trainer/parity/cases.py` writes it. Results keep their type, float64
//! included, so that nothing is rounded between the two programs.

mod compute;

use begat_trainer::{Result, Tensor};
use std::path::Path;

fn main() -> Result<()> {
    for folder in std::env::args_os().skip(1) {
        let folder = Path::new(&folder);
        let ours = compute::compute(folder)?;
        Tensor::write_safetensors(&ours, folder.join("ours.safetensors"))?;
    }
    Ok(())
}
