use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Instant;

use begat_schemas::TreeDigest;

use super::*;
use crate::config::Config;
use crate::telemetry::Figures;

/// A daemon's engine with one inbox, watched with real file-system events.
struct Watched {
    home: tempfile::TempDir,
    engine: Engine,
    _watchers: Watchers,
}

async fn watched(settle: Duration) -> Watched {
    let home = tempfile::tempdir().unwrap();
    let engine = Engine::open(Config::for_tests(&home.path().join("data")))
        .await
        .unwrap();
    let inbox = Inbox {
        name: RefName::new("inbox").unwrap(),
        folder: home.path().join("inbox"),
        settle,
    };
    let watchers = start(vec![inbox], &engine).unwrap();
    Watched {
        home,
        engine,
        _watchers: watchers,
    }
}

const SHORT: Duration = Duration::from_millis(200);
const LONG: Duration = Duration::from_secs(3600);

impl Watched {
    /// A place beside the inbox, in the same file system.
    fn beside(&self) -> std::path::PathBuf {
        self.home.path().join("beside")
    }

    fn inbox(&self) -> std::path::PathBuf {
        self.home.path().join("inbox")
    }

    async fn tree(&self, name: &str) -> Option<TreeDigest> {
        let refs = self.engine.refs().await.unwrap();
        let found = refs.into_iter().find(|known| known.name.as_str() == name);
        found.map(|known| known.tree)
    }

    /// Waits until the ref is there and leads to something else than `but`.
    async fn wait_for(&self, name: &str, but: Option<TreeDigest>) -> TreeDigest {
        let start = Instant::now();
        loop {
            match self.tree(name).await {
                Some(tree) if Some(tree) != but => return tree,
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "`{name}` never came"
            );
        }
    }

    async fn wait_for_metric(&self, line: &str) {
        let start = Instant::now();
        while !self
            .engine
            .telemetry()
            .text(&Figures::default())
            .lines()
            .any(|found| found == line)
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "`{line}` never came"
            );
        }
    }

    /// The digest that the folder or file at `path` has.
    async fn digest(&self, path: &Path) -> TreeDigest {
        let path = path.to_owned();
        let added = self.engine.with_store(move |store| store.add_folder(&path));
        added.await.unwrap().digest
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renamed_in_is_taken_at_once() {
    let watched = watched(LONG).await;
    fs::create_dir(watched.beside()).unwrap();
    fs::write(watched.beside().join("rows.jsonl"), "{}\n").unwrap();
    fs::rename(watched.beside(), watched.inbox().join("corpus")).unwrap();
    let tree = watched.wait_for("inbox/corpus", None).await;
    let corpus = watched.inbox().join("corpus");
    assert_eq!(tree, watched.digest(&corpus).await);
    assert!(
        corpus.join("rows.jsonl").exists(),
        "the drop is left where it is"
    );

    fs::write(watched.beside(), "{\"text\": \"a file\"}\n").unwrap();
    fs::rename(watched.beside(), watched.inbox().join("more.jsonl")).unwrap();
    watched.wait_for("inbox/more.jsonl", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_place_is_taken_when_it_has_settled() {
    let watched = watched(SHORT).await;
    let path = watched.inbox().join("rows.jsonl");
    let mut file = fs::File::create(&path).unwrap();
    for _ in 0..10 {
        writeln!(file, "{{}}").unwrap();
        tokio::time::sleep(SHORT / 4).await;
        assert_eq!(
            watched.tree("inbox/rows.jsonl").await,
            None,
            "it is still being written"
        );
    }
    drop(file);
    let tree = watched.wait_for("inbox/rows.jsonl", None).await;
    assert_eq!(tree, watched.digest(&path).await);
    assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drop_that_changes_later_moves_its_ref() {
    let watched = watched(SHORT).await;
    let path = watched.inbox().join("deep");
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/rows"), "1").unwrap();
    let first = watched.wait_for("inbox/deep", None).await;
    fs::write(path.join("a/b/rows"), "2").unwrap();
    let second = watched.wait_for("inbox/deep", Some(first)).await;
    assert_eq!(second, watched.digest(&path).await);
    let name = RefName::new("inbox/deep").unwrap();
    let history = watched.engine.ref_history(name).await.unwrap();
    let trees: Vec<_> = history.iter().map(|change| change.tree).collect();
    assert_eq!(trees, [Some(first), Some(second)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_while_it_is_hashed_counts() {
    let watched = watched(SHORT).await;
    // Large enough that hashing takes a while, and one more line comes meanwhile.
    fs::create_dir(watched.beside()).unwrap();
    fs::write(watched.beside().join("large"), vec![7; 64 << 20]).unwrap();
    fs::write(watched.beside().join("rows"), "1\n").unwrap();
    fs::rename(watched.beside(), watched.inbox().join("busy")).unwrap();
    let path = watched.inbox().join("busy");
    for line in 0..20 {
        let mut rows = fs::OpenOptions::new()
            .append(true)
            .open(path.join("rows"))
            .unwrap();
        writeln!(rows, "{line}").unwrap();
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let whole = watched.digest(&path).await;
    let start = Instant::now();
    while watched.tree("inbox/busy").await != Some(whole) {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "the last state never came"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_and_impossible_names_are_refused_and_hidden_files_ignored() {
    let watched = watched(SHORT).await;
    fs::create_dir(watched.beside()).unwrap();
    symlink("/etc/passwd", watched.beside().join("passwd")).unwrap();
    fs::rename(watched.beside(), watched.inbox().join("links")).unwrap();
    watched
        .wait_for_metric("begat_inbox_drops_total{inbox=\"inbox\",outcome=\"refused\"} 1")
        .await;
    symlink("/etc", watched.inbox().join("etc")).unwrap();
    watched
        .wait_for_metric("begat_inbox_drops_total{inbox=\"inbox\",outcome=\"refused\"} 2")
        .await;
    fs::write(watched.inbox().join("two words"), "x").unwrap();
    watched
        .wait_for_metric("begat_inbox_drops_total{inbox=\"inbox\",outcome=\"refused\"} 3")
        .await;
    fs::write(watched.inbox().join(".partial"), "x").unwrap();
    fs::write(watched.inbox().join("good"), "x").unwrap();
    watched.wait_for("inbox/good", None).await;
    let refs = watched.engine.refs().await.unwrap();
    assert_eq!(refs.len(), 1, "{refs:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_nobody_watched_is_found_and_taken_once() {
    let watched = watched(SHORT).await;
    fs::write(watched.inbox().join("rows"), "x").unwrap();
    watched.wait_for("inbox/rows", None).await;
    fs::write(watched.inbox().join("later"), "x").unwrap();
    let inbox = Inbox {
        name: RefName::new("inbox").unwrap(),
        folder: watched.inbox(),
        settle: SHORT,
    };
    let _again = start(vec![inbox], &watched.engine).unwrap();
    watched.wait_for("inbox/later", None).await;
    let name = RefName::new("inbox/rows").unwrap();
    assert_eq!(watched.engine.ref_history(name).await.unwrap().len(), 1);
}
