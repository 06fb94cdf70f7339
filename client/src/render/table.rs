//! Tables: columns with two spaces between them, no lines, so that they can be read and cut alike.

use comfy_table::{Cell, ContentArrangement, Table, presets};

use super::Look;

/// A table under construction.
pub(super) struct Columns {
    table: Table,
    look: Look,
}

impl Columns {
    pub(super) fn new(look: Look, header: &[&str]) -> Self {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).force_no_tty();
        if let Some(width) = look.width {
            table
                .set_width(width)
                .set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(header.iter().map(|name| look.dim(name)));
        Self { table, look }
    }

    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.table.add_row(cells.into_iter().map(Cell::new));
    }

    pub(super) fn text(mut self) -> String {
        let last = self.table.column_count().saturating_sub(1);
        for (at, column) in self.table.column_iter_mut().enumerate() {
            column.set_padding((0, if at == last { 0 } else { 2 }));
        }
        let trimmed = self.table.trim_fmt();
        debug_assert!(self.look.color || !trimmed.contains('\u{1b}'), "{trimmed}");
        format!("{trimmed}\n")
    }
}

/// Lines of a name and a value, the values below each other.
pub(super) fn pairs(look: Look, rows: &[(&str, String)]) -> String {
    let width = rows
        .iter()
        .map(|(name, _)| name.chars().count())
        .max()
        .unwrap_or(0);
    rows.iter()
        .map(|(name, value)| {
            let padding = " ".repeat(width - name.chars().count());
            format!("{}{padding}  {value}\n", look.dim(name))
        })
        .collect()
}

/// `text` with every line moved to the right.
pub(super) fn indented(text: &str) -> String {
    let moved = |line: &str| match line.is_empty() {
        true => "\n".to_owned(),
        false => format!("  {line}\n"),
    };
    text.lines().map(moved).collect()
}
