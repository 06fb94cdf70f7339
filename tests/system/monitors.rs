//! Debian's Prometheus and Alertmanager on the configuration that begat ships, beside a test's daemon.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::{debian_tool, http, not_run, root, wait_for};

/// The shipped configuration as a test needs it: its durations scaled, its targets the test's own.
pub struct Monitoring {
    folder: PathBuf,
    prometheus: PathBuf,
}

impl Monitoring {
    /// Generates the configuration in `folder` with every duration times `scale`. `None` where the programs are not
    /// installed, which the test command then lists for `test`.
    pub fn new(folder: &Path, scale: f64, test: &str) -> Option<Self> {
        let prometheus = debian_tool("prometheus", test)?;
        generate(folder, scale);
        std::fs::create_dir_all(folder.join("prometheus/targets")).unwrap();
        let monitoring = Self {
            folder: folder.to_owned(),
            prometheus,
        };
        monitoring.target("begatd", None);
        monitoring.target("alertmanager", None);
        Some(monitoring)
    }

    /// What `job` is to be asked at, or nobody.
    pub fn target(&self, job: &str, address: Option<&str>) {
        let targets: Vec<&str> = address.into_iter().collect();
        let text = serde_json::json!([{ "targets": targets }]).to_string();
        // YAML has JSON in it.
        let path = self.folder.join(format!("prometheus/targets/{job}.yml"));
        std::fs::write(path, text).unwrap();
    }

    /// Starts Prometheus; `data` is where it keeps its samples.
    pub fn prometheus(&self, data: &Path) -> Server {
        let address = free_address();
        let mut command = Command::new(&self.prometheus);
        command
            .arg(flag(
                "config.file",
                self.folder.join("prometheus/prometheus.yml"),
            ))
            .arg(flag("storage.tsdb.path", data))
            .arg(format!("--web.listen-address={address}"))
            .arg("--enable-feature=exemplar-storage");
        Server::start(command, address, &self.folder.join("prometheus.log"))
    }

    /// Starts Alertmanager; its pages go to `webhook`, with `token`. `None`, as above, where it cannot run.
    pub fn alertmanager(&self, webhook: &str, token: &str, test: &str) -> Option<Server> {
        let program = debian_tool("prometheus-alertmanager", test)?;
        if !may_unshare() {
            not_run(test, "the right to make a mount namespace");
            return None;
        }
        let folder = self.folder.join("alertmanager");
        let config = folder.join("alertmanager.yml");
        let text = std::fs::read_to_string(&config).unwrap();
        let shipped = "http://127.0.0.1:9095/";
        assert!(text.contains(shipped), "{text}");
        std::fs::write(&config, text.replace(shipped, webhook)).unwrap();
        std::fs::write(folder.join("webhook_token"), token).unwrap();
        let address = free_address();
        let mut command = with_own_share(&program);
        command
            .arg(flag("config.file", config))
            .arg(flag("storage.path", folder.join("data")))
            .arg(format!("--web.listen-address={address}"))
            .arg("--cluster.listen-address=");
        let server = Server::start(command, address, &self.folder.join("alertmanager.log"));
        self.target("alertmanager", Some(&server.address));
        Some(server)
    }
}

/// Debian's Alertmanager reads its templates from /usr/share, wherever it lies itself. In a mount namespace of its own that
/// is the folder beside it; what the test sees does not change.
fn with_own_share(program: &Path) -> Command {
    let share = program.ancestors().nth(2).unwrap().join("share");
    let mut command = Command::new("unshare");
    command
        .args(["--map-root-user", "--mount", "sh", "-c"])
        .arg("mount --bind \"$0\" /usr/share && exec \"$@\"")
        .arg(share)
        .arg(program);
    command
}

/// Writes boards, rules and configuration into `folder`, as `make dashboards` does.
#[track_caller]
pub fn generate(folder: &Path, scale: f64) {
    let status = Command::new("python3")
        .arg("-B")
        .arg(root().join("dashboards/generate"))
        .arg("--out")
        .arg(folder)
        .args(["--scale", &scale.to_string()])
        .status()
        .unwrap();
    assert!(status.success(), "dashboards/generate ended with {status}");
}

fn may_unshare() -> bool {
    let mut command = Command::new("unshare");
    let tried = command
        .args(["--map-root-user", "--mount", "true"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

fn flag(name: &str, path: impl AsRef<Path>) -> String {
    format!("--{name}={}", path.as_ref().display())
}

/// An address that nobody listens on. Neither program says which port it got for 0.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

/// A running Prometheus or Alertmanager; dropped, it is killed.
pub struct Server {
    child: Child,
    address: String,
}

impl Server {
    fn start(mut command: Command, address: String, log: &Path) -> Self {
        let file = std::fs::File::create(log).unwrap();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        wait_for("the server to be ready", || {
            if let Some(status) = child.try_wait().unwrap() {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                panic!("{command:?} ended with {status}:\n{said}");
            }
            let ready = http::try_get(&address, "/-/ready");
            ready.is_some_and(|(status, _)| status == 200).then_some(())
        });
        Self { child, address }
    }

    /// Where it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// What Prometheus's API answers to `path` with these parameters: its data, or what it finds wrong.
    pub fn api(&self, path: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let pairs: Vec<String> = parameters
            .iter()
            .map(|(name, value)| format!("{name}={}", http::encoded(value)))
            .collect();
        let path = format!("/api/v1/{path}?{}", pairs.join("&"));
        let (_, body) = http::get(&self.address, &path);
        let mut answer: Value =
            serde_json::from_str(&body).map_err(|error| format!("{error}: {body}"))?;
        match answer["status"] == "success" {
            true => Ok(answer["data"].take()),
            false => Err(answer["error"].to_string()),
        }
    }

    /// The series that `expression` gives now, or at `time` (seconds).
    #[track_caller]
    pub fn instant(&self, expression: &str, time: Option<f64>) -> Vec<Value> {
        let time = time.map(|time| time.to_string());
        let mut parameters = vec![("query", expression)];
        parameters.extend(time.as_deref().map(|time| ("time", time)));
        let found = self.api("query", &parameters);
        let mut found = found.unwrap_or_else(|error| panic!("{expression}: {error}"));
        match found["result"].take() {
            Value::Array(series) => series,
            other => vec![other],
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
