//! The binary as people start it: arguments, exit codes, what it prints, signals.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

fn server(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentflow-server"));
    command.args(arguments).env_clear().env("PATH", std::env::var_os("PATH").unwrap());
    command
}

fn init(folder: &Path) -> Output {
    server(&["init", "--json", "--data-dir", folder.to_str().unwrap()]).output().unwrap()
}

#[track_caller]
fn check_one_line(output: &Output, code: i32, expected: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(expected), "{text}");
    assert!(output.stdout.is_empty());
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A server on a free port, with the address that it printed.
struct Running {
    child: Child,
    printed: Vec<String>,
}

impl Running {
    fn start(folder: &Path) -> Self {
        Self::start_telling(folder, Stdio::null())
    }

    fn start_telling(folder: &Path, log: Stdio) -> Self {
        let mut command = server(&["--listen", "127.0.0.1:0", "--data-dir", folder.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut printed = Vec::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            let listens = line.starts_with("listening on ");
            printed.push(line);
            if listens {
                break;
            }
        }
        Self { child, printed }
    }

    fn stop(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

#[test]
fn init_prints_one_object_with_exactly_these_keys() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let output = init(&data);
    assert!(output.status.success(), "{output:?}");
    let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let mut keys: Vec<_> = printed.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let expected = [
        "admin_email",
        "admin_password",
        "api_token",
        "api_url",
        "certificate_path",
        "curl",
        "dashboard_url",
        "inbound_secret",
        "inbound_url",
        "outbound_secret",
        "workspace_id",
    ];
    assert_eq!(keys, expected);
    assert_eq!(printed["api_url"], "https://127.0.0.1:8443/api/v1");
    assert!(printed["inbound_url"].as_str().unwrap().starts_with("https://127.0.0.1:8443/v1/inbound/"));
    assert!(Path::new(printed["certificate_path"].as_str().unwrap()).is_absolute());
    assert_eq!(
        (mode(&data), mode(&data.join("master.key")), mode(&data.join("key.pem"))),
        (0o700, 0o600, 0o600)
    );
    assert!(!data.join("first-start.json").exists(), "what was told is not kept");
}

#[test]
fn init_takes_an_empty_folder_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    assert!(init(folder.path()).status.success());
    check_one_line(&init(folder.path()), 2, "exists already");
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("notes.txt"), "mine").unwrap();
    check_one_line(&init(other.path()), 2, "exists already");
}

#[test]
fn a_wrong_argument_or_setting_is_one_line_and_exit_2() {
    check_one_line(&server(&["--nope"]).output().unwrap(), 2, "'--nope'");
    check_one_line(&server(&["start"]).output().unwrap(), 2, "'start'");
    check_one_line(&server(&["--listen", "8443"]).output().unwrap(), 2, "--listen: expected");
    check_one_line(&server(&["--config", "/nowhere.toml"]).output().unwrap(), 2, "/nowhere.toml");
    check_one_line(&server(&["init"]).env("AGENTFLOW_LISTN", "x").output().unwrap(), 2, "AGENTFLOW_LISTEN");
    check_one_line(
        &server(&[]).env("AGENTFLOW_STORE_URL", "postgres://db").output().unwrap(),
        2,
        "not supported",
    );
    let help = server(&["--help"]).output().unwrap();
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--data-dir"));
}

#[test]
fn an_address_in_use_is_one_line_and_exit_1_and_makes_no_folder() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let address = taken.local_addr().unwrap().to_string();
    let output = server(&["--listen", &address, "--data-dir", data.to_str().unwrap()]).output().unwrap();
    check_one_line(&output, 1, &address);
    check_one_line(&output, 1, "name another address with --listen");
    assert!(!data.exists());
}

#[test]
fn the_printed_command_sends_a_first_lead_and_a_signal_ends_the_server_in_order() {
    let folder = tempfile::tempdir().unwrap();
    // A quote and a space, for the command's sake.
    let data = folder.path().join("agent's data");
    let running = Running::start(&data);
    let told = data.join("first-start.txt");
    assert!(running.printed[0].ends_with(told.to_str().unwrap()), "{:?}", running.printed);
    assert_eq!(mode(&told), 0o600);
    let text = std::fs::read_to_string(&told).unwrap();
    let command = text.lines().find(|line| line.starts_with("(secret=")).unwrap();
    let sent = Command::new("bash").args(["-c", command]).output().unwrap();
    let reply: Value = serde_json::from_slice(&sent.stdout).unwrap_or_else(|_| panic!("{sent:?}"));
    assert_eq!((&reply["status"], &reply["duplicate"]), (&"received".into(), &false.into()));
    assert_eq!(running.stop(), Some(0));
    let again = Running::start(&data);
    assert_eq!(again.printed.len(), 1, "told once: {:?}", again.printed);
    assert_eq!(again.stop(), Some(0));
}

#[test]
fn a_signal_ends_the_server_in_order_though_nobody_reads_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, log) = std::io::pipe().unwrap();
    drop(reader);
    let running = Running::start_telling(&folder.path().join("data"), log.into());
    assert_eq!(running.stop(), Some(0));
}

#[test]
fn a_backup_of_a_running_server_starts_with_its_key_and_takes_no_files_place() {
    let folder = tempfile::tempdir().unwrap();
    let (data, copy) = (folder.path().join("data"), folder.path().join("copy.db"));
    let back_up = |to: &Path| {
        server(&["backup", to.to_str().unwrap(), "--data-dir", data.to_str().unwrap()]).output().unwrap()
    };
    check_one_line(&back_up(&copy), 1, "there is no database here");
    assert!(init(&data).status.success());
    let running = Running::start(&data);
    let done = back_up(&copy);
    assert!(done.status.success(), "{done:?}");
    let told = String::from_utf8(done.stdout).unwrap();
    assert!(told.contains("bytes are in") && told.contains("data/master.key"), "{told}");
    check_one_line(&back_up(&copy), 2, "exists already");
    check_one_line(&back_up(&folder.path().join("nowhere/copy.db")), 1, "nowhere/copy.db");
    assert_eq!(running.stop(), Some(0));

    let restored = folder.path().join("restored");
    std::fs::create_dir(&restored).unwrap();
    std::fs::rename(&copy, restored.join("agentflow.db")).unwrap();
    let start = ["--listen", "127.0.0.1:0", "--data-dir", restored.to_str().unwrap()];
    check_one_line(&server(&start).output().unwrap(), 1, "master key is missing");
    std::fs::copy(data.join("master.key"), restored.join("master.key")).unwrap();
    let running = Running::start(&restored);
    assert!(running.printed.iter().all(|line| !line.starts_with("first start")), "it is the same workspace");
    assert_eq!(running.stop(), Some(0));
    let left: Vec<_> =
        std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn whoever_is_locked_out_gets_a_link_from_whoever_has_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let invite = |arguments: &[&str]| {
        let mut command = server(&["invite", "--data-dir", data.to_str().unwrap()]);
        command.args(arguments).output().unwrap()
    };
    check_one_line(&invite(&["admin@localhost"]), 1, "there is no database here");
    assert!(!data.exists());
    assert!(init(&data).status.success());
    check_one_line(&invite(&["nobody@localhost"]), 2, "nobody signs in with this email");
    let running = Running::start(&data);
    check_one_line(&invite(&["admin@localhost"]), 1, "in use by another server");
    assert_eq!(running.stop(), Some(0));

    let invited = invite(&["admin@localhost", "--reset-second-factor"]);
    let told = String::from_utf8(invited.stdout).unwrap();
    let path = told.lines().next().unwrap().strip_prefix("https://127.0.0.1:8443").unwrap();
    let running = Running::start(&data);
    let address = running.printed[0].strip_prefix("listening on ").unwrap();
    let certificate = data.join("cert.pem");
    let page = Command::new("curl")
        .args(["-sS", "--cacert", certificate.to_str().unwrap(), &format!("{address}{path}")])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&page.stdout).contains("Choose the password"), "{page:?}");
    assert_eq!(running.stop(), Some(0));
}
