//! Trees, refs, reports and the store's upkeep.

use begat_schemas::api::{DiskUsage, FsckReport, GcReport, RefChange, RefView};
use begat_schemas::{Report, Tree, TreeDigest};

use super::table::{Columns, indented, pairs};
use super::{Look, bytes, count, several, value};
use crate::text::printable;

/// A tree: each file with its whole digest, as `b3sum` prints it.
pub fn tree_listing(digest: TreeDigest, names: &[String], tree: &Tree, look: Look) -> String {
    let mut head = vec![
        ("tree", digest.to_string()),
        ("files", count(tree.entries().len() as u64)),
        ("size", bytes(tree.size())),
    ];
    if !names.is_empty() {
        head.push(("refs", names.join(", ")));
    }
    let mut table = Columns::new(
        Look {
            width: None,
            ..look
        },
        &["DIGEST", "SIZE", "FILE"],
    );
    for entry in tree.entries() {
        let mark = if entry.executable {
            " (executable)"
        } else {
            ""
        };
        table.row([
            entry.blob.to_string(),
            bytes(entry.size),
            format!("{}{mark}", entry.path),
        ]);
    }
    format!("{}\n{}", pairs(look, &head), table.text())
}

/// A report's values.
pub fn report(report: &Report, look: Look) -> String {
    let mut rows: Vec<(&str, String)> = report
        .metrics
        .iter()
        .map(|(name, metric)| (name.as_str(), value(metric.0)))
        .collect();
    rows.extend(
        report
            .counts
            .iter()
            .map(|(name, number)| (name.as_str(), count(*number))),
    );
    format!(
        "\n{}\n{}",
        look.heading("report"),
        indented(&pairs(look, &rows))
    )
}

/// Every ref.
pub fn refs(refs: &[RefView], look: Look) -> String {
    if refs.is_empty() {
        return "no refs\n".to_owned();
    }
    let mut table = Columns::new(look, &["REF", "TREE", "SINCE", "BY"]);
    for one in refs {
        table.row([
            one.name.to_string(),
            one.tree.short(),
            one.updated.to_string(),
            printable(&one.reason),
        ]);
    }
    table.text()
}

/// Where a ref pointed.
pub fn ref_history(changes: &[RefChange], look: Look) -> String {
    let mut table = Columns::new(look, &["SINCE", "TREE", "BY"]);
    for change in changes {
        table.row([
            change.time.to_string(),
            change
                .tree
                .map_or("removed".to_owned(), |tree| tree.short()),
            printable(&change.reason),
        ]);
    }
    table.text()
}

/// What the store holds.
pub fn disk_usage(usage: &DiskUsage, look: Look) -> String {
    let share = |part: u64| match usage.logical_bytes {
        0 => String::new(),
        whole => format!(" ({:.1}% of the trees)", part as f64 / whole as f64 * 100.0),
    };
    let head = [
        ("trees, each whole", bytes(usage.logical_bytes)),
        (
            "distinct chunks",
            format!("{}{}", bytes(usage.unique_bytes), share(usage.unique_bytes)),
        ),
        (
            "on disk",
            format!("{}{}", bytes(usage.stored_bytes), share(usage.stored_bytes)),
        ),
        ("free on disk", bytes(usage.free_bytes)),
        (
            "objects",
            format!(
                "{}, {}, {}",
                several(usage.blobs, "blob"),
                several(usage.chunks, "chunk"),
                several(usage.packs, "pack")
            ),
        ),
    ];
    let mut text = pairs(look, &head);
    if !usage.refs.is_empty() {
        let mut table = Columns::new(look, &["REF", "TREE", "FILES", "SIZE"]);
        for entry in &usage.refs {
            table.row([
                entry.name.clone(),
                entry.tree.short(),
                count(entry.files),
                bytes(entry.bytes),
            ]);
        }
        text.push_str(&format!("\n{}", table.text()));
    }
    text
}

/// What a check found.
pub fn fsck(report: &FsckReport, look: Look) -> String {
    let mut text = format!(
        "checked {}, {}, {}",
        several(report.packs, "pack"),
        several(report.chunks, "chunk"),
        several(report.blobs, "blob")
    );
    if report.bytes_read > 0 {
        text.push_str(&format!("; read and verified {}", bytes(report.bytes_read)));
    }
    text.push('\n');
    for fault in &report.faults {
        let id = super::short(&fault.id);
        text.push_str(&format!(
            "{} {} {id}: {}\n",
            look.bad("damaged"),
            fault.kind,
            fault.problem
        ));
    }
    text.push_str(&match report.faults.len() {
        0 => format!("{}\n", look.good("everything is as it was stored")),
        faults => format!("{}\n", several(faults as u64, "fault")),
    });
    text
}

/// What a collection did.
pub fn gc(report: &GcReport) -> String {
    let would = if report.dry_run { "would be " } else { "" };
    format!(
        "needed: {}\n{would}removed: {}\n{would}written anew or removed: {}\n{would}freed: {} ({} to {})\n",
        several(report.live_blobs, "blob"),
        several(report.dead_blobs, "blob"),
        several(report.packs_rewritten, "pack"),
        bytes(report.bytes_before.saturating_sub(report.bytes_after)),
        bytes(report.bytes_before),
        bytes(report.bytes_after)
    )
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn a_tree() {
        let tree = samples::tree();
        let names = ["gpt/sft".to_owned()];
        let text = tree_listing(tree.digest(), &names, &tree, Look::default());
        insta::assert_snapshot!(text);
    }

    #[test]
    fn a_report() {
        insta::assert_snapshot!(report(&samples::report(), Look::default()));
    }

    #[test]
    fn upkeep() {
        let look = Look::default();
        let text = [
            disk_usage(&samples::disk_usage(), look),
            fsck(&samples::fsck(), look),
            gc(&samples::gc(true)),
            gc(&samples::gc(false)),
            refs(&samples::refs(), look),
            ref_history(&samples::ref_history(), look),
        ];
        insta::assert_snapshot!(text.join("\n"));
    }
}
