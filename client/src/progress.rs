//! A bar for bytes that move between this machine's disk and the store.

use indicatif::{ProgressBar, ProgressStyle};

use crate::terminal::Terminal;

/// A bar on a terminal; nothing elsewhere.
pub fn byte_bar(terminal: &Terminal, what: &str, bytes: u64) -> ProgressBar {
    if !terminal.bars {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(bytes);
    bar.set_style(style());
    bar.set_message(what.to_owned());
    bar
}

fn style() -> ProgressStyle {
    let template = "{msg:<10} {wide_bar} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}, {eta} left";
    ProgressStyle::with_template(template).expect("the template is well-formed")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_bar_can_be_drawn() {
        let bar = indicatif::ProgressBar::hidden();
        bar.set_style(super::style());
        bar.inc(3);
    }
}
