//! The key that stored secrets are encrypted under: where it may be, a wrong one, and a change of it that is broken off.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::setup;
use tempfile::TempDir;

fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agentflow-server"));
    command.args(arguments).arg("--data-dir").arg(folder).env_clear();
    command
}

/// Arguments of a start that has to fail, on a port that nobody else can hold.
const START: [&str; 2] = ["--listen", "127.0.0.1:0"];

fn run(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

#[track_caller]
fn check_one_line(output: &Output, code: i32, expected: &str) {
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(text.contains(expected), "{text}");
}

#[track_caller]
fn check_done(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A founded data folder.
fn founded() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    check_done(&run(folder.path(), &["init"]));
    folder
}

/// Opens the folder as the server does.
async fn opens(folder: &Path, change: impl FnOnce(&mut Config)) -> Result<(), String> {
    let mut config = Config { data_dir: folder.to_owned(), ..Config::default() };
    change(&mut config);
    let home = setup::open(&config, "https://localhost", &Clock::system()).await;
    let home = home.map_err(|error| error.to_string())?;
    home.store.close().await;
    Ok(())
}

fn database(folder: &Path) -> rusqlite::Connection {
    rusqlite::Connection::open(folder.join("agentflow.db")).unwrap()
}

fn sealed(folder: &Path) -> Vec<Vec<u8>> {
    let sql = database(folder);
    let select = "SELECT secret FROM secrets UNION ALL SELECT token FROM endpoints";
    sql.prepare(select).unwrap().query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn a_rekey_seals_everything_under_a_fresh_key() {
    let folder = founded();
    let key = folder.path().join("master.key");
    let (old, before) = (std::fs::read(&key).unwrap(), sealed(folder.path()));
    let told = check_done(&run(folder.path(), &["rekey"]));
    assert!(told.starts_with("3 values"), "{told}");
    assert_ne!(std::fs::read(&key).unwrap(), old);
    assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    let after = sealed(folder.path());
    assert!(after.iter().all(|value| !before.contains(value)));
    opens(folder.path(), |_| {}).await.unwrap();

    // Nothing that the old key opens is left in any file.
    for name in ["agentflow.db", "agentflow.db-wal"] {
        let bytes = std::fs::read(folder.path().join(name)).unwrap_or_default();
        for value in &before {
            assert!(!bytes.windows(value.len()).any(|window| window == value.as_slice()), "{name}");
        }
    }
    std::fs::write(&key, old).unwrap();
    let refused = opens(folder.path(), |_| {}).await.unwrap_err();
    assert!(refused.contains("encrypted under the master key"), "{refused}");
}

#[tokio::test]
async fn a_rekey_that_is_broken_off_before_its_commit_is_undone() {
    let folder = founded();
    let before = sealed(folder.path());
    let next = folder.path().join("master.key.next");
    for left in [vec![9; 32], Vec::new(), vec![9; 31]] {
        // Written as a whole or not at all, so the shorter ones are somebody else's and are refused, not used.
        std::fs::write(&next, &left).unwrap();
        let opened = opens(folder.path(), |_| {}).await;
        assert_eq!((opened.is_ok(), next.exists()), (left.len() == 32, left.len() != 32));
        assert_eq!(sealed(folder.path()), before);
    }
}

#[tokio::test]
async fn a_rekey_that_is_broken_off_after_its_commit_is_finished_by_the_next_start() {
    let folder = founded();
    let (key, next) = (folder.path().join("master.key"), folder.path().join("master.key.next"));
    let old = std::fs::read(&key).unwrap();
    check_done(&run(folder.path(), &["rekey"]));
    let new = std::fs::read(&key).unwrap();
    std::fs::rename(&key, &next).unwrap();
    std::fs::write(&key, &old).unwrap();
    opens(folder.path(), |_| {}).await.unwrap();
    assert_eq!((std::fs::read(&key).unwrap(), next.exists()), (new, false));
    // And so by the next rekey.
    check_done(&run(folder.path(), &["rekey"]));
    opens(folder.path(), |_| {}).await.unwrap();
}

#[tokio::test]
async fn a_key_kept_elsewhere_is_named_by_a_setting() {
    let folder = founded();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("agentflow.key");
    let path = file.to_str().unwrap();
    let told = check_done(&run(folder.path(), &["rekey", "--new-key-file", path]));
    assert!(told.contains("name it with secrets.key_file"), "{told}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!folder.path().join("master.key").exists());

    check_one_line(&run(folder.path(), &START), 1, "kept elsewhere");
    check_one_line(&run(folder.path(), &["rekey"]), 1, "kept elsewhere");
    opens(folder.path(), |config| config.secrets.key_file = Some(file.clone())).await.unwrap();
    check_one_line(&run(folder.path(), &["rekey", "--new-key-file", path]), 1, "kept elsewhere");
    let with = |arguments: &[&str], name: &str, value: &str| {
        command(folder.path(), arguments).env(name, value).output().unwrap()
    };
    let named = |arguments: &[&str]| with(arguments, "AGENTFLOW_SECRETS_KEY_FILE", path);
    check_one_line(&named(&["rekey"]), 2, "--new-key-file");
    check_one_line(&named(&["rekey", "--new-key-file", path]), 2, "present master key");

    // The same key, held by a variable.
    let hex: String = std::fs::read(&file).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    let second = elsewhere.path().join("second.key");
    let arguments = ["rekey", "--new-key-file", second.to_str().unwrap()];
    check_done(&with(&arguments, "AGENTFLOW_SECRETS_KEY", &hex));
    check_one_line(&named(&START), 1, "encrypted under the master key");
    opens(folder.path(), |config| config.secrets.key_file = Some(second)).await.unwrap();
}

#[test]
fn a_key_that_is_none_is_one_line_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let short = "0707070707";
    let output = command(&data, &["init"]).env("AGENTFLOW_SECRETS_KEY", short).output().unwrap();
    check_one_line(&output, 2, "AGENTFLOW_SECRETS_KEY: expected 32 bytes");
    assert!(!String::from_utf8_lossy(&output.stderr).contains(short));
    let both = command(&data, &["init"])
        .env("AGENTFLOW_SECRETS_KEY", "07".repeat(32))
        .env("AGENTFLOW_SECRETS_KEY_FILE", "/nowhere")
        .output()
        .unwrap();
    check_one_line(&both, 2, "secrets.key_file");
    let missing = command(&data, &["init"]).env("AGENTFLOW_SECRETS_KEY_FILE", "/nowhere").output().unwrap();
    check_one_line(&missing, 1, "/nowhere");
}

#[tokio::test]
async fn a_folder_is_founded_under_a_key_that_is_kept_elsewhere() {
    let folder = tempfile::tempdir().unwrap();
    let key = "07".repeat(32);
    let output = command(folder.path(), &["init"]).env("AGENTFLOW_SECRETS_KEY", &key).output().unwrap();
    check_done(&output);
    assert!(!folder.path().join("master.key").exists());
    check_one_line(&run(folder.path(), &START), 1, "kept elsewhere");
    let other =
        command(folder.path(), &START).env("AGENTFLOW_SECRETS_KEY", "08".repeat(32)).output().unwrap();
    check_one_line(&other, 1, "encrypted under the master key");
    std::fs::remove_file(folder.path().join("agentflow.db")).unwrap();
    let gone = command(folder.path(), &START).env("AGENTFLOW_SECRETS_KEY", &key).output().unwrap();
    check_one_line(&gone, 1, "the database is missing");
}

#[tokio::test]
async fn a_value_that_was_moved_to_another_row_is_refused() {
    let folder = founded();
    let sql = database(folder.path());
    sql.execute_batch(
        "UPDATE secrets SET secret = (SELECT other.secret FROM secrets AS other WHERE other.direction = 'outbound')
         WHERE direction = 'inbound'",
    )
    .unwrap();
    drop(sql);
    let refused = opens(folder.path(), |_| {}).await.unwrap_err();
    assert!(refused.contains("moved to another row"), "{refused}");
    check_one_line(&run(folder.path(), &["rekey"]), 1, "moved to another row");
    assert!(!folder.path().join("master.key.next").exists(), "nothing was begun");
}

#[tokio::test]
async fn a_rekey_waits_for_nobody_and_touches_nothing_under_a_running_server() {
    let folder = founded();
    let config = Config { data_dir: folder.path().to_owned(), ..Config::default() };
    let home = setup::open(&config, "https://localhost", &Clock::system()).await.unwrap();
    check_one_line(&run(folder.path(), &["rekey"]), 1, "in use by another server");
    home.store.close().await;
    assert!(!folder.path().join("master.key.next").exists());
}
