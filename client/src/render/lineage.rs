//! Who begat whom: as a tree for the terminal, as Graphviz's DOT, as a Mermaid flow chart.

use std::collections::{BTreeMap, BTreeSet};

use begat_schemas::Digest;
use begat_schemas::api::{Lineage, LineageEdge, LineageNode, LineageNodeKind};

use super::Look;

/// A tree with the object asked for at the top and what it came from below it. What was shown already is not shown
/// twice.
pub fn tree(lineage: &Lineage, look: Look) -> String {
    let mut painter = Painter {
        nodes: nodes(lineage),
        parents: parents(lineage),
        shown: BTreeSet::new(),
        look,
        text: String::new(),
    };
    painter.node(lineage.root, "", "", "");
    painter.text
}

fn nodes(lineage: &Lineage) -> BTreeMap<Digest, &LineageNode> {
    lineage.nodes.iter().map(|node| (node.id, node)).collect()
}

/// Per object what it came from, by the names of the inputs.
fn parents(lineage: &Lineage) -> BTreeMap<Digest, Vec<&LineageEdge>> {
    let mut parents: BTreeMap<Digest, Vec<&LineageEdge>> = BTreeMap::new();
    for edge in &lineage.edges {
        parents.entry(edge.to).or_default().push(edge);
    }
    for edges in parents.values_mut() {
        edges.sort_by(|a, b| (&a.name, a.from).cmp(&(&b.name, b.from)));
    }
    parents
}

struct Painter<'a> {
    nodes: BTreeMap<Digest, &'a LineageNode>,
    parents: BTreeMap<Digest, Vec<&'a LineageEdge>>,
    shown: BTreeSet<Digest>,
    look: Look,
    text: String,
}

impl Painter<'_> {
    fn node(&mut self, id: Digest, branch: &str, below: &str, input: &str) {
        let is_new = self.shown.insert(id);
        let edges = self.parents.get(&id).cloned().unwrap_or_default();
        let again = !is_new && !edges.is_empty();
        let line = self.describe(id, input, again);
        self.text.push_str(&format!("{branch}{line}\n"));
        if again {
            return;
        }
        let last = edges.len().saturating_sub(1);
        for (at, edge) in edges.iter().enumerate() {
            let (branch, rest) = if at == last {
                ("└─ ", "   ")
            } else {
                ("├─ ", "│  ")
            };
            let consumed = self
                .nodes
                .get(&id)
                .is_some_and(|node| node.kind == LineageNodeKind::Run);
            let input = if consumed { edge.name.as_str() } else { "" };
            self.node(
                edge.from,
                &format!("{below}{branch}"),
                &format!("{below}{rest}"),
                input,
            );
        }
    }

    fn describe(&self, id: Digest, input: &str, again: bool) -> String {
        let look = self.look;
        let mut parts = Vec::new();
        if !input.is_empty() {
            parts.push(look.dim(&format!("{input}:")));
        }
        match self.nodes.get(&id) {
            None => parts.push(id.short()),
            Some(node) => {
                let kind = match node.kind {
                    LineageNodeKind::Run => "run",
                    LineageNodeKind::Tree => "tree",
                };
                parts.push(format!("{kind} {}", id.short()));
                parts.extend(names(node).map(|name| look.heading(name)));
                parts.extend(node.state.map(|state| look.state(state)));
            }
        }
        if again {
            parts.push(look.dim("(above)"));
        }
        parts.join(" ")
    }
}

/// What a person knows a node by: its refs, or its label where that says more.
fn names(node: &LineageNode) -> impl Iterator<Item = &str> {
    let refs = node.refs.iter().map(|name| name.as_str());
    let known = node.refs.iter().any(|name| name.as_str() == node.label);
    let is_digest = super::short(&node.label).len() < node.label.len()
        || node.id.to_hex().starts_with(&node.label);
    let label = (!known && !is_digest && !node.label.is_empty()).then_some(node.label.as_str());
    label.into_iter().chain(refs)
}

fn title(node: &LineageNode) -> Vec<String> {
    let mut lines: Vec<String> = names(node).map(str::to_owned).collect();
    lines.push(node.id.short());
    lines
}

/// A graph in Graphviz's language: runs are boxes, trees are rounded.
pub fn dot(lineage: &Lineage) -> String {
    let mut text =
        String::from("digraph lineage {\n  rankdir=LR;\n  node [fontname=\"monospace\"];\n");
    for node in &lineage.nodes {
        let shape = match node.kind {
            LineageNodeKind::Run => "box",
            LineageNodeKind::Tree => "ellipse",
        };
        let label: Vec<String> = title(node).iter().map(|line| dot_text(line)).collect();
        text.push_str(&format!(
            "  \"{}\" [shape={shape}, label=\"{}\"];\n",
            node.id.short(),
            label.join("\\n")
        ));
    }
    for edge in &lineage.edges {
        text.push_str(&format!(
            "  \"{}\" -> \"{}\" [label=\"{}\"];\n",
            edge.from.short(),
            edge.to.short(),
            dot_text(&edge.name)
        ));
    }
    text.push_str("}\n");
    text
}

fn dot_text(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// A Mermaid flow chart.
pub fn mermaid(lineage: &Lineage) -> String {
    let mut text = String::from("flowchart LR\n");
    for node in &lineage.nodes {
        let (open, close) = match node.kind {
            LineageNodeKind::Run => ("[\"", "\"]"),
            LineageNodeKind::Tree => ("([\"", "\"])"),
        };
        let label: Vec<String> = title(node).iter().map(|line| mermaid_text(line)).collect();
        text.push_str(&format!(
            "  n{}{open}{}{close}\n",
            node.id.short(),
            label.join("<br/>")
        ));
    }
    for edge in &lineage.edges {
        text.push_str(&format!(
            "  n{} -->|{}| n{}\n",
            edge.from.short(),
            mermaid_text(&edge.name),
            edge.to.short()
        ));
    }
    text
}

fn mermaid_text(text: &str) -> String {
    text.replace('"', "#quot;").replace('<', "#lt;")
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn as_a_tree() {
        insta::assert_snapshot!(tree(&samples::lineage(), Look::default()));
    }

    #[test]
    fn as_dot() {
        insta::assert_snapshot!(dot(&samples::lineage()));
    }

    #[test]
    fn as_mermaid() {
        insta::assert_snapshot!(mermaid(&samples::lineage()));
    }

    #[test]
    fn a_cycle_that_cannot_be_ends() {
        let mut lineage = samples::lineage();
        let (root, other) = (lineage.root, lineage.edges[0].from);
        lineage.edges.push(LineageEdge {
            from: root,
            to: other,
            name: "x".to_owned(),
        });
        assert!(tree(&lineage, Look::default()).contains("(above)"));
    }
}
