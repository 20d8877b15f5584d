//! Reads settings from flags, the environment and the TOML file. Pure: everything comes as an argument.

use std::path::PathBuf;

use super::Config;
use super::settings::{SETTINGS, Setting};
use super::value::Given;
use crate::telemetry::check_log_filter;

/// Flags that are settings; both commands take them.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Flags {
    /// Folder for database, keys and certificate [default: agentflow-data]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub data_dir: Option<String>,
    /// Address and port to listen on; port 0 takes a free one [default: 127.0.0.1:8443]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    pub listen: Option<String>,
    /// TOML file with settings
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address under which senders reach the server, for instance `https://hooks.example.com`
    #[arg(long, global = true, value_name = "URL")]
    pub public_url: Option<String>,
}

impl Flags {
    /// The variable that names the TOML file where `--config` does not.
    pub const CONFIG_VARIABLE: &str = "AGENTFLOW_CONFIG";

    /// Each flag that is set, by the key of its setting.
    fn given(&self) -> impl Iterator<Item = (&'static str, &'static str, &str)> {
        [
            ("listen", "--listen", &self.listen),
            ("data_dir", "--data-dir", &self.data_dir),
            ("public_url", "--public-url", &self.public_url),
        ]
        .into_iter()
        .filter_map(|(key, flag, text)| Some((key, flag, text.as_deref()?)))
    }
}

/// The settings, and what their author should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// All settings, checked.
    pub config: Config,
    /// Environment variables with the product's prefix that are no setting of the server; they were passed over.
    pub passed_over: Vec<String>,
}

/// What is wrong with a setting: one line that names it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The value is not what the setting takes.
    #[error("{place}: expected {expected}, found {found}")]
    Value {
        /// The flag, variable or key.
        place: String,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// No setting has this name.
    #[error("{place}: there is no such setting; the nearest are {expected}")]
    Unknown {
        /// The variable or key.
        place: String,
        /// The names that come near it.
        expected: String,
    },
    /// A setting, but of a workspace.
    #[error("{place}: is a setting of the workspace, not of the server; change it with PUT /api/v1/settings")]
    OfWorkspace {
        /// The variable or key.
        place: String,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {fault}")]
    Syntax {
        /// The file and line.
        place: String,
        /// What the parser says.
        fault: String,
    },
    /// The master key is given twice.
    #[error("secrets.key: expected to be the only one beside secrets.key_file, found both; set one of them")]
    TwoKeys,
    /// Of certificate and key only one is set.
    #[error(
        "tls.{missing}: expected beside tls.{set}, found nothing; set both, or neither for a self-signed certificate"
    )]
    HalfTls {
        /// The one that is set.
        set: &'static str,
        /// The one that is not.
        missing: &'static str,
    },
}

/// Puts the settings together: flag before variable before file before default.
///
/// `file` is the file's name, for errors, and its text. An empty variable counts as not set.
///
/// # Errors
/// The first setting that is wrong.
pub fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (String, String)>,
    file: Option<(&str, &str)>,
) -> Result<Loaded, ConfigError> {
    let mut config = Config::default();
    let mut set_keys = Vec::new();
    if let Some((name, text)) = file {
        read_file(&mut config, &mut set_keys, name, text)?;
    }
    let passed_over = read_environment(&mut config, &mut set_keys, environment)?;
    for (key, flag, text) in flags.given() {
        if let Some(setting) = SETTINGS.iter().find(|setting| setting.key == key) {
            put(&mut config, setting, Given::Text(text), || flag.to_owned())?;
        }
    }
    complete(&mut config, &set_keys)?;
    Ok(Loaded { config, passed_over })
}

/// What every variable of the product begins with.
const PREFIX: &str = "AGENTFLOW_";

/// What people look for here, and a workspace has.
const WORKSPACE_SETTINGS: [&str; 7] = [
    "auto_approve_at",
    "auto_reject_below",
    "duplicate_window_seconds",
    "retention_days",
    "retry_schedule_seconds",
    "scoring",
    "supersede_review_requests",
];

fn put(
    config: &mut Config,
    setting: &Setting,
    given: Given<'_>,
    place: impl FnOnce() -> String,
) -> Result<(), ConfigError> {
    // A database's URL may hold a password.
    let found = match given.text() {
        Some(url) if setting.key == "store.url" => {
            format!("{:?}", url.split_inclusive(':').next().unwrap_or_default())
        }
        // A key that was mistyped is nearly the key.
        _ if setting.key == "secrets.key" => "something else, which is not shown".to_owned(),
        _ => given.to_string(),
    };
    (setting.set)(config, given).ok_or_else(|| ConfigError::Value {
        place: place(),
        expected: setting.expected,
        found,
    })
}

fn read_file(
    config: &mut Config,
    set_keys: &mut Vec<&'static str>,
    name: &str,
    text: &str,
) -> Result<(), ConfigError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| syntax(name, text, &error))?;
    for (key, value) in &table {
        let in_section =
            SETTINGS.iter().any(|setting| setting.key.split_once('.').is_some_and(|(it, _)| it == key));
        match value {
            toml::Value::Table(section) if in_section => {
                for (inner, value) in section {
                    read_key(config, set_keys, name, &format!("{key}.{inner}"), value)?;
                }
            }
            value => read_key(config, set_keys, name, key, value)?,
        }
    }
    Ok(())
}

fn read_key(
    config: &mut Config,
    set_keys: &mut Vec<&'static str>,
    name: &str,
    key: &str,
    value: &toml::Value,
) -> Result<(), ConfigError> {
    let place = || format!("{name}: {}", printable(key));
    if WORKSPACE_SETTINGS.contains(&key) {
        return Err(ConfigError::OfWorkspace { place: place() });
    }
    let setting = SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| ConfigError::Unknown {
        place: place(),
        expected: one_of(SETTINGS.iter().map(|setting| setting.key.to_owned()), key),
    })?;
    set_keys.push(setting.key);
    put(config, setting, Given::Toml(value), place)
}

fn syntax(name: &str, text: &str, error: &toml::de::Error) -> ConfigError {
    let line = error
        .span()
        .map(|span| 1 + text.as_bytes().iter().take(span.start).filter(|byte| **byte == b'\n').count());
    ConfigError::Syntax {
        place: line.map_or_else(|| name.to_owned(), |line| format!("{name}, line {line}")),
        fault: error.message().replace('\n', "; "),
    }
}

/// Reads the product's variables. What is no setting but looks like one that was mistyped is refused; the rest, which may
/// belong to other programs of the product or to an orchestrator, is passed over.
fn read_environment(
    config: &mut Config,
    set_keys: &mut Vec<&'static str>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Vec<String>, ConfigError> {
    let mut passed_over = Vec::new();
    let (mut variables, others): (Vec<(String, String)>, Vec<_>) = environment
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .partition(|(name, _)| name.starts_with(PREFIX));
    variables.sort();
    if let Some((_, filter)) = others.into_iter().find(|(name, _)| name == "RUST_LOG")
        && !set_keys.contains(&"log.filter")
        && check_log_filter(&filter).is_ok()
    {
        config.log.filter = filter;
    }
    for (name, value) in variables {
        let setting = SETTINGS.iter().find(|setting| setting.variable() == name);
        if let Some(setting) = setting {
            set_keys.push(setting.key);
            put(config, setting, Given::Text(&value), || name.clone())?;
        } else if WORKSPACE_SETTINGS.iter().any(|key| name[PREFIX.len()..].eq_ignore_ascii_case(key)) {
            return Err(ConfigError::OfWorkspace { place: printable(&name) });
        } else if looks_like_a_setting(&name) {
            let expected = one_of(SETTINGS.iter().map(Setting::variable), &name);
            return Err(ConfigError::Unknown { place: printable(&name), expected });
        } else if name != Flags::CONFIG_VARIABLE {
            passed_over.push(name);
        }
    }
    Ok(passed_over)
}

fn looks_like_a_setting(name: &str) -> bool {
    const SECTIONS: [&str; 6] = [
        "AGENTFLOW_TLS_",
        "AGENTFLOW_STORE_",
        "AGENTFLOW_SECRETS_",
        "AGENTFLOW_DELIVERY_",
        "AGENTFLOW_LIMITS_",
        "AGENTFLOW_LOG_",
    ];
    SECTIONS.iter().any(|section| name.starts_with(section))
        || (name != Flags::CONFIG_VARIABLE
            && SETTINGS.iter().any(|setting| distance(&setting.variable(), name) <= 2))
}

/// What holds between settings.
fn complete(config: &mut Config, set_keys: &[&str]) -> Result<(), ConfigError> {
    match (&config.tls.cert, &config.tls.key) {
        (Some(_), None) => return Err(ConfigError::HalfTls { set: "cert", missing: "key" }),
        (None, Some(_)) => return Err(ConfigError::HalfTls { set: "key", missing: "cert" }),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if config.secrets.key.is_some() && config.secrets.key_file.is_some() {
        return Err(ConfigError::TwoKeys);
    }
    if !set_keys.contains(&"limits.connections_per_address_max") {
        config.limits.connections_per_address_max = config.limits.connections_max.div_ceil(2);
    }
    Ok(())
}

/// The names that come nearest to what was given, at most three of them.
fn one_of(names: impl Iterator<Item = String>, given: &str) -> String {
    let mut names: Vec<String> = names.collect();
    let last = |name: &str| name.rsplit(['.', '_']).next().unwrap_or_default().to_owned();
    // A table's name alone is known by the settings in it.
    let table = |name: &str| match name.split_once('.') {
        Some((table, _)) if !given.contains('.') => 1 + distance(table, given),
        _ => usize::MAX,
    };
    names.sort_by_key(|name| {
        distance(name, given).min(1 + distance(&last(name), &last(given))).min(table(name))
    });
    names.truncate(3);
    names.join(", ")
}

/// Edits that make one text the other; texts are cut off after 64 bytes.
fn distance(left: &str, right: &str) -> usize {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let (left, right) = (&left[..left.len().min(64)], &right[..right.len().min(64)]);
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[right.len()]
}

/// A name from outside, on one line and not too long.
fn printable(name: &str) -> String {
    name.chars().map(|c| if c.is_control() { '?' } else { c }).take(80).collect()
}
