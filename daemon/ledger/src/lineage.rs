//! Who begat whom: the walk from an object upwards to everything it came from, pure over a small trait.

use std::collections::{HashSet, VecDeque};

use begat_schemas::api::{Lineage, LineageEdge, LineageNode, LineageNodeKind};
use begat_schemas::{Digest, RefName, RunId, RunState, TreeDigest};

/// Where a lineage begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineageRoot {
    /// A run.
    Run(RunId),
    /// A tree.
    Tree(TreeDigest),
}

/// What the walk must know of a run.
#[derive(Debug, Clone)]
pub(crate) struct RunFacts {
    pub label: String,
    pub state: RunState,
    pub inputs: Vec<(String, TreeDigest)>,
    pub outputs: Vec<(String, TreeDigest)>,
}

/// What the walk must know of a tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct TreeFacts {
    pub label: String,
    pub refs: Vec<RefName>,
    /// The runs that made it, and under which name.
    pub producers: Vec<(RunId, String)>,
}

/// Answers what a lineage is made of.
pub(crate) trait Ancestry {
    type Error;

    /// The run; `None` if it is not known.
    fn run(&self, run: RunId) -> Result<Option<RunFacts>, Self::Error>;
    /// The tree; `None` if nothing is known of it.
    fn tree(&self, tree: TreeDigest) -> Result<Option<TreeFacts>, Self::Error>;
}

/// The lineage of `root`; `None` if it is not known. A run is shown with its outputs, everything above it with what led
/// to it only.
pub(crate) fn lineage<A: Ancestry>(
    ancestry: &A,
    root: LineageRoot,
) -> Result<Option<Lineage>, A::Error> {
    let id = match root {
        LineageRoot::Run(run) => run.digest(),
        LineageRoot::Tree(tree) => tree.digest(),
    };
    let mut walk = Walk {
        ancestry,
        seen: HashSet::new(),
        waiting: VecDeque::new(),
        found: Lineage {
            root: id,
            nodes: Vec::new(),
            edges: Vec::new(),
        },
    };
    walk.wait_for(root);
    if let LineageRoot::Run(run) = root
        && let Some(facts) = ancestry.run(run)?
    {
        for (name, tree) in facts.outputs {
            walk.edge(run.digest(), tree.digest(), name);
            walk.wait_for(LineageRoot::Tree(tree));
        }
    }
    while let Some(next) = walk.waiting.pop_front() {
        match next {
            LineageRoot::Run(run) => walk.visit_run(run)?,
            LineageRoot::Tree(tree) => walk.visit_tree(tree, root)?,
        }
    }
    let known = walk.found.nodes.iter().any(|node| node.id == id);
    Ok(known.then_some(walk.found))
}

struct Walk<'a, A> {
    ancestry: &'a A,
    seen: HashSet<LineageRoot>,
    waiting: VecDeque<LineageRoot>,
    found: Lineage,
}

impl<A: Ancestry> Walk<'_, A> {
    fn wait_for(&mut self, object: LineageRoot) {
        if self.seen.insert(object) {
            self.waiting.push_back(object);
        }
    }

    fn edge(&mut self, from: Digest, to: Digest, name: String) {
        let edge = LineageEdge { from, to, name };
        if !self.found.edges.contains(&edge) {
            self.found.edges.push(edge);
        }
    }

    fn visit_run(&mut self, run: RunId) -> Result<(), A::Error> {
        let Some(facts) = self.ancestry.run(run)? else {
            return Ok(());
        };
        self.found.nodes.push(LineageNode {
            id: run.digest(),
            kind: LineageNodeKind::Run,
            label: facts.label,
            refs: Vec::new(),
            state: Some(facts.state),
        });
        for (name, tree) in facts.inputs {
            self.edge(tree.digest(), run.digest(), name);
            self.wait_for(LineageRoot::Tree(tree));
        }
        Ok(())
    }

    fn visit_tree(&mut self, tree: TreeDigest, root: LineageRoot) -> Result<(), A::Error> {
        let facts = self.ancestry.tree(tree)?;
        if facts.is_none() && root == LineageRoot::Tree(tree) {
            return Ok(());
        }
        let facts = facts.unwrap_or_else(|| TreeFacts {
            label: tree.short(),
            ..TreeFacts::default()
        });
        self.found.nodes.push(LineageNode {
            id: tree.digest(),
            kind: LineageNodeKind::Tree,
            label: facts.label,
            refs: facts.refs,
            state: None,
        });
        for (run, name) in facts.producers {
            self.edge(run.digest(), tree.digest(), name);
            self.wait_for(LineageRoot::Run(run));
        }
        Ok(())
    }
}

/// The runs that `run` came from and `run` itself, each after those it needs. Of several runs that made the same tree
/// the first counts.
pub(crate) fn ancestors<A: Ancestry>(ancestry: &A, run: RunId) -> Result<Vec<RunId>, A::Error> {
    let mut order = Vec::new();
    let mut seen = HashSet::new();
    // A run is met twice: first to put its parents before it, then to take its place behind them.
    let mut stack = vec![(run, false)];
    while let Some((run, parents_done)) = stack.pop() {
        if parents_done {
            order.push(run);
        } else if seen.insert(run) {
            let Some(facts) = ancestry.run(run)? else {
                continue;
            };
            stack.push((run, true));
            for (_, tree) in facts.inputs.iter().rev() {
                let facts = ancestry.tree(*tree)?.unwrap_or_default();
                let first = facts.producers.first();
                stack.extend(first.map(|(producer, _)| (*producer, false)));
            }
        }
    }
    Ok(order)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    use super::*;

    /// `run: inputs > outputs`, each a letter; a run's id and a tree's digest are those of its letters.
    struct Family(BTreeMap<String, (Vec<String>, Vec<String>)>);

    impl Family {
        fn new(lines: &[&str]) -> Self {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect();
            let lines = lines.iter().map(|line| {
                let (run, rest) = line.split_once(':').unwrap();
                let (inputs, outputs) = rest.split_once('>').unwrap();
                (run.to_owned(), (words(inputs), words(outputs)))
            });
            Self(lines.collect())
        }
    }

    fn named(names: &[String]) -> Vec<(String, TreeDigest)> {
        let pair = |name: &String| (name.clone(), TreeDigest::of(name.as_bytes()));
        names.iter().map(pair).collect()
    }

    impl Ancestry for Family {
        type Error = Infallible;

        fn run(&self, run: RunId) -> Result<Option<RunFacts>, Infallible> {
            let found = self
                .0
                .iter()
                .find(|(name, _)| RunId::of(name.as_bytes()) == run);
            Ok(found.map(|(name, (inputs, outputs))| RunFacts {
                label: name.clone(),
                state: RunState::Succeeded,
                inputs: named(inputs),
                outputs: named(outputs),
            }))
        }

        fn tree(&self, tree: TreeDigest) -> Result<Option<TreeFacts>, Infallible> {
            let made =
                |names: &[String]| named(names).into_iter().find(|(_, found)| *found == tree);
            let all = self.0.values();
            let name = all
                .flat_map(|(inputs, outputs)| made(inputs).or(made(outputs)))
                .next();
            let producers = self.0.iter().filter_map(|(run, (_, outputs))| {
                made(outputs).map(|(name, _)| (RunId::of(run.as_bytes()), name))
            });
            Ok(name.map(|(label, _)| TreeFacts {
                label,
                refs: Vec::new(),
                producers: producers.collect(),
            }))
        }
    }

    fn check(family: &[&str], root: LineageRoot, expected: &[&str]) {
        let found = lineage(&Family::new(family), root).unwrap().unwrap();
        let label = |id: Digest| {
            let node = found.nodes.iter().find(|node| node.id == id);
            node.unwrap().label.clone()
        };
        let edges: Vec<String> = found
            .edges
            .iter()
            .map(|edge| format!("{} {}", label(edge.from), label(edge.to)))
            .collect();
        assert_eq!(edges, expected);
    }

    const GPT: [&str; 4] = [
        "TOKENIZE: corpus > tokenizer",
        "PRETRAIN: corpus tokenizer > model other",
        "SFT: model data > better",
        "EVALUATE: better > report",
    ];

    #[test]
    fn a_tree_leads_to_all_it_came_from_once() {
        check(
            &GPT,
            LineageRoot::Tree(TreeDigest::of(b"better")),
            &[
                "SFT better",
                "model SFT",
                "data SFT",
                "PRETRAIN model",
                "corpus PRETRAIN",
                "tokenizer PRETRAIN",
                "TOKENIZE tokenizer",
                "corpus TOKENIZE",
            ],
        );
    }

    #[test]
    fn a_run_is_shown_with_its_outputs() {
        check(
            &GPT,
            LineageRoot::Run(RunId::of(b"TOKENIZE")),
            &["TOKENIZE tokenizer", "corpus TOKENIZE"],
        );
    }

    #[test]
    fn what_is_not_known_has_no_lineage() {
        let family = Family::new(&GPT);
        let tree = LineageRoot::Tree(TreeDigest::of(b"nothing"));
        assert_eq!(lineage(&family, tree).unwrap(), None);
        let run = LineageRoot::Run(RunId::of(b"nothing"));
        assert_eq!(lineage(&family, run).unwrap(), None);
    }

    #[test]
    fn a_run_that_gives_back_what_it_took_ends_the_walk() {
        check(
            &["COPY: same > same"],
            LineageRoot::Tree(TreeDigest::of(b"same")),
            &["COPY same", "same COPY"],
        );
    }

    #[test]
    fn ancestors_come_before_their_children() {
        let found = ancestors(&Family::new(&GPT), RunId::of(b"EVALUATE")).unwrap();
        let expected = ["TOKENIZE", "PRETRAIN", "SFT", "EVALUATE"];
        assert_eq!(found, expected.map(|name| RunId::of(name.as_bytes())));
    }
}
