//! Faults made on a real daemon, and the page that arrives at a webhook through Debian's Prometheus and Alertmanager.

use std::path::Path;

use begat_tests::monitors::{Monitoring, Server};
use begat_tests::{Cli, Daemon, Home, Webhook, processes, wait_for};
use rustix::process::Signal;
use serde_json::Value;

/// A scrape every second instead of every 15; what counts as stalled is 40 seconds instead of ten minutes.
const SCALE: f64 = 1.0 / 15.0;
const TOKEN: &str = "the-webhooks-own-token";

/// A daemon, what watches it, and where pages arrive. Fields are dropped in this order.
struct Watched {
    _prometheus: Server,
    _alertmanager: Server,
    daemon: Option<Daemon>,
    webhook: Webhook,
    home: Home,
}

impl Watched {
    /// `None` where the programs are not installed, which the test command then lists for `test`.
    fn new(home: Home, test: &str) -> Option<Self> {
        let folder = home.path().join("monitoring");
        let monitoring = Monitoring::new(&folder, SCALE, test)?;
        let webhook = Webhook::new();
        let daemon = home.start();
        monitoring.target("begatd", Some(&home.endpoint().0));
        let alertmanager = monitoring.alertmanager(&webhook.url(), TOKEN, test)?;
        let prometheus = monitoring.prometheus(&home.path().join("samples"));
        wait_for("the first scrape", || {
            let up = prometheus.instant("up{job=\"begatd\"} == 1", None);
            (up.len() == 1).then_some(())
        });
        Some(Self {
            _prometheus: prometheus,
            _alertmanager: alertmanager,
            daemon: Some(daemon),
            webhook,
            home,
        })
    }

    /// Starts a recipe of one stage that is this shell script.
    fn launch(&self, script: &str) {
        let folder = self.home.path();
        std::fs::write(folder.join("work.sh"), script).unwrap();
        let recipe = "name = \"drill\"\n[stages.work]\nkind = \"command\"\nsource = [\"work.sh\"]\n\
                      argv = [\"sh\", \"work.sh\"]\noutputs = { out = \"files\" }\n";
        std::fs::write(folder.join("drill.toml"), recipe).unwrap();
        let recipe = folder.join("drill.toml");
        self.home.cli().ok(["launch", recipe.to_str().unwrap()]);
    }

    /// Waits until `alert` is paged, and gives it. It came with the token, and names its runbook.
    fn page(&self, alert: &str) -> Value {
        let (page, found) = wait_for(alert, || {
            let mut firing = self.webhook.firing().into_iter();
            firing.find(|(_, found)| found["labels"]["alertname"] == alert)
        });
        assert_eq!(page.authorization, format!("Bearer {TOKEN}"));
        let runbook = found["annotations"]["runbook"].as_str().unwrap();
        assert!(runbook.ends_with(&alert.to_lowercase()), "{found}");
        found
    }

    fn was_paged(&self, alert: &str) -> bool {
        let firing = self.webhook.firing();
        firing
            .iter()
            .any(|(_, found)| found["labels"]["alertname"] == alert)
    }

    /// A page about the only run, by its id, stage and recipe.
    #[track_caller]
    fn names_the_run(&self, page: &Value) {
        let run = only_run(&self.home.cli());
        assert_eq!(page["labels"]["run"], run[..12], "{page}");
        assert_eq!(page["labels"]["stage"], "work");
        assert_eq!(page["labels"]["severity"], "critical");
    }
}

fn only_run(cli: &Cli) -> String {
    let runs = cli.json(["runs"]);
    runs[0]["run"].as_str().unwrap().to_owned()
}

/// The shell of the drill's stage, once it works.
fn stage(home: &Home) -> u32 {
    wait_for("the stage's process", || {
        let all = processes::below(&home.data()).into_iter();
        let mut shells = all.filter(|(_, name)| ["dash", "sh", "bash"].contains(&name.as_str()));
        shells.next().map(|(pid, _)| pid)
    })
}

/// A script that writes one event of the journal: a loss, which may be a word.
fn loss(value: &str) -> String {
    format!(
        "echo '{{\"seq\":1,\"time\":\"'$(date -u +%Y-%m-%dT%H:%M:%S.000Z)'\",\"event\":\"metrics\",\"step\":1,\
         \"values\":{{\"loss\":{value}}}}}' >> $BEGAT_WORK/journal.jsonl\n"
    )
}

const FOREVER: &str = "while true; do sleep 0.2; done\n";

#[test]
fn a_stage_killed_more_often_than_it_resumes_is_paged() {
    let Some(watched) = Watched::new(
        Home::new(),
        "a_stage_killed_more_often_than_it_resumes_is_paged",
    ) else {
        return;
    };
    watched.launch(FOREVER);
    for _ in 0..4 {
        let pid = stage(&watched.home);
        processes::signal(pid, Signal::KILL);
        wait_for("the stage to be gone", || {
            (!Path::new(&format!("/proc/{pid}/exe")).exists()).then_some(())
        });
    }
    let page = watched.page("BegatRunFailed");
    watched.names_the_run(&page);
    let description = page["annotations"]["description"].as_str().unwrap();
    assert!(description.contains("Recipes: drill."), "{description}");
}

#[test]
fn a_loss_that_is_no_number_is_paged() {
    let Some(watched) = Watched::new(Home::new(), "a_loss_that_is_no_number_is_paged") else {
        return;
    };
    watched.launch(&format!("{}{FOREVER}", loss("\"NaN\"")));
    let page = watched.page("BegatLossNotANumber");
    watched.names_the_run(&page);
    assert!(
        page["annotations"]["summary"]
            .as_str()
            .unwrap()
            .ends_with("is NaN"),
        "{page}"
    );
}

#[test]
fn a_stalled_stage_is_paged_and_nothing_else() {
    let Some(watched) = Watched::new(Home::new(), "a_stalled_stage_is_paged_and_nothing_else")
    else {
        return;
    };
    watched.launch(&format!("{}{FOREVER}", loss("2.5")));
    processes::signal(stage(&watched.home), Signal::STOP);
    let page = watched.page("BegatStageStalled");
    watched.names_the_run(&page);
    for other in [
        "BegatRunFailed",
        "BegatRunVanished",
        "BegatLossNotANumber",
        "BegatDaemonDown",
    ] {
        assert!(!watched.was_paged(other), "{other}");
    }
}

#[test]
fn a_stopped_daemon_is_paged_and_its_runs_are_not() {
    let Some(mut watched) = Watched::new(
        Home::new(),
        "a_stopped_daemon_is_paged_and_its_runs_are_not",
    ) else {
        return;
    };
    watched.launch(&format!("{}{FOREVER}", loss("2.5")));
    stage(&watched.home);
    watched.daemon.take().unwrap().kill();
    let page = watched.page("BegatDaemonDown");
    assert_eq!(page["labels"]["severity"], "critical");
    assert!(!watched.was_paged("BegatRunVanished"));
}

/// A file system of a few megabytes, in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount one, which the test command then lists.
    fn new(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64m", "begat-drill"])
            .arg(folder.path())
            .output();
        if mount.is_ok_and(|mount| mount.status.success()) {
            return Some(Self(folder));
        }
        begat_tests::not_run(test, "the right to mount a file system");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
    }
}

#[test]
fn a_full_disk_is_paged() {
    let test = "a_full_disk_is_paged";
    let home = Home::new();
    let Some(disk) = SmallDisk::new(test) else {
        return;
    };
    std::os::unix::fs::symlink(disk.0.path(), home.data()).unwrap();
    let Some(watched) = Watched::new(home, test) else {
        return;
    };
    let ballast = disk.0.path().join("ballast");
    std::fs::write(ballast, vec![0; 62 << 20]).unwrap();
    let page = watched.page("BegatDiskFull");
    assert_eq!(page["labels"]["folder"], "data", "{page}");
}
