//! Founding a data folder, broken off at every point.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use agentflow_server::clock::Clock;
use agentflow_server::config::Config;
use agentflow_server::setup::{FirstStart, Home, SetupError, check_is_new, open};

struct Folder {
    _folder: tempfile::TempDir,
    config: Config,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config { data_dir: folder.path().join("data"), ..Config::default() };
        Self { _folder: folder, config }
    }

    async fn open(&self) -> Result<Home, SetupError> {
        open(&self.config, "https://localhost:8443", &Clock::system()).await
    }

    /// Opens and closes; answers what is to be told.
    async fn start(&self) -> Option<FirstStart> {
        let home = self.open().await.unwrap();
        home.store.close().await;
        home.untold
    }

    fn told(&self) {
        FirstStart::told(&self.config.data_dir).unwrap();
    }

    fn is_new(&self) -> bool {
        check_is_new(&self.config).is_ok()
    }
}

#[tokio::test]
async fn what_was_not_told_is_told_at_the_next_start() {
    let folder = Folder::new();
    let first = folder.start().await.expect("the first start");
    assert!(folder.is_new(), "`init` takes up what was broken off");
    assert!(folder.start().await == Some(first), "the same credentials");
    folder.told();
    assert!(folder.start().await.is_none());
    assert!(!folder.is_new());
}

#[tokio::test]
async fn a_founding_that_was_broken_off_before_it_was_true_is_made_anew() {
    let (folder, other) = (Folder::new(), Folder::new());
    let never_true = other.start().await.expect("the first start");
    std::fs::create_dir(&folder.config.data_dir).unwrap();
    for broken_off_with in [String::new(), never_true.to_json(true)] {
        std::fs::write(folder.config.data_dir.join("first-start.json"), broken_off_with).unwrap();
        assert!(folder.is_new());
    }
    let told = folder.start().await.expect("the first start");
    assert!(told != never_true);
    assert!(folder.start().await == Some(told));
}

#[tokio::test]
async fn a_folder_without_its_master_key_is_refused() {
    let folder = Folder::new();
    folder.start().await;
    let key = folder.config.data_dir.join("master.key");
    let bytes = std::fs::read(&key).unwrap();
    std::fs::write(&key, &bytes[1..]).unwrap();
    assert!(matches!(folder.open().await, Err(SetupError::NoKey(path)) if path == key));
    std::fs::remove_file(&key).unwrap();
    assert!(matches!(folder.open().await, Err(SetupError::KeyMissing(path)) if path == key));
    std::fs::write(&key, &bytes).unwrap();
    folder.start().await;
}

#[tokio::test]
async fn a_folder_in_use_whose_database_is_gone_or_empty_is_refused() {
    let folder = Folder::new();
    folder.start().await;
    folder.told();
    let database = folder.config.data_dir.join("agentflow.db");
    let missing = |opened: Result<Home, SetupError>| matches!(opened, Err(SetupError::DatabaseMissing(path)) if path == database);
    let kept = std::fs::read(&database).unwrap();
    std::fs::remove_file(&database).unwrap();
    assert!(missing(folder.open().await));
    assert!(!database.exists(), "nothing is made in its place");
    std::fs::write(&database, b"").unwrap();
    assert!(missing(folder.open().await));
    // Restored as a file of its own: the empty one may be held for a moment longer.
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(folder.config.data_dir.join(format!("agentflow.db{suffix}"))).ok();
    }
    std::fs::write(&database, kept).unwrap();
    assert!(folder.start().await.is_none());
}

#[tokio::test]
async fn what_is_told_late_names_the_present_address() {
    let folder = Folder::new();
    let first = folder.start().await.expect("the first start");
    let home = open(&folder.config, "https://hooks.example.com", &Clock::system()).await.unwrap();
    home.store.close().await;
    let told = home.untold.expect("it was not told");
    let token = first.inbound_url.rsplit('/').next().unwrap();
    assert_eq!(told.inbound_url, format!("https://hooks.example.com/v1/inbound/{token}"));
    assert_eq!(told.api_url, "https://hooks.example.com/api/v1");
    assert_eq!((told.api_token, told.inbound_secret), (first.api_token, first.inbound_secret));
}

#[tokio::test]
async fn every_file_is_its_owners_alone_even_in_a_folder_that_is_not() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    std::fs::create_dir(&folder.config.data_dir).unwrap();
    std::fs::set_permissions(&folder.config.data_dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let home = folder.open().await.unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder.config.data_dir).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        names.push(entry.file_name().into_string().unwrap());
    }
    assert!(names.contains(&"agentflow.db-wal".to_owned()), "{names:?}");
    home.store.close().await;
}
