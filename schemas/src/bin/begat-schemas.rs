//! Writes the JSON Schemas: `cargo run -p begat-schemas --bin begat-schemas`.

use std::path::Path;

fn main() -> std::io::Result<()> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("json");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in begat_schemas::schema::all() {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(())
}
