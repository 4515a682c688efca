//! Tables of what is accepted and what is refused, with the words of each refusal.

mod tenants;

use super::*;
use std::time::Duration;

const REFERENCE: &str = include_str!("../../config.reference.toml");

fn file(text: &str) -> RawConfig {
    let mut raw = RawConfig::default();
    raw.read_text(Path::new("celeriac.toml"), text)
        .expect("TOML");
    raw
}

fn variables(pairs: &[(&str, &str)]) -> std::vec::IntoIter<(String, String)> {
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    pairs.into_iter()
}

fn refusal(raw: RawConfig) -> String {
    Config::check(raw).expect_err("refused").to_string()
}

#[test]
fn nothing_written_gives_the_defaults() {
    let (config, effective) = Config::check(RawConfig::default()).unwrap();
    assert_eq!(config.data, Path::new("./.celeriac"));
    assert_eq!(config.broker, Address::Embedded("./.celeriac".into()));
    assert_eq!(config.result_backend, config.broker);
    assert_eq!(config.timezone, jiff::tz::TimeZone::UTC);
    assert_eq!(config.worker.queues, ["celery"]);
    assert_eq!(config.worker.concurrency, 64);
    assert_eq!(config.worker.result_keep, Some(Duration::from_secs(86_400)));
    assert_eq!(config.limits, Limits::default());
    assert!(
        effective
            .iter()
            .all(|known| known.source == Source::Default)
    );
}

#[test]
fn a_later_layer_wins_and_is_named_as_the_source() {
    let mut raw = file("[worker]\nconcurrency = 1\ndrain = \"1s\"\nlease = \"1s\"\n");
    raw.read_environment(variables(&[
        ("CELERIAC_WORKER__CONCURRENCY", "2"),
        ("CELERIAC_WORKER__DRAIN", "2s"),
    ]));
    raw.set_flag("worker.concurrency", "-c", "3".to_owned());
    let (config, effective) = Config::check(raw).unwrap();
    let source = |key: &str| {
        effective
            .iter()
            .find(|known| known.key == key)
            .unwrap()
            .source
            .to_string()
    };
    assert_eq!(config.worker.concurrency, 3);
    assert_eq!(config.worker.drain, Duration::from_secs(2));
    assert_eq!(config.worker.lease, Duration::from_secs(1));
    assert_eq!(source("worker.concurrency"), "flag -c");
    assert_eq!(source("worker.drain"), "environment CELERIAC_WORKER__DRAIN");
    assert_eq!(source("worker.lease"), "celeriac.toml:4");
    assert_eq!(source("worker.listen"), "default");
}

#[test]
fn the_reference_names_every_key_with_a_value_of_its_own() {
    // Beside an embedded broker nothing else is accepted.
    const ALIKE: [&str; 1] = ["worker.rate_limit_scope"];
    let (_, defaults) = Config::check(RawConfig::default()).unwrap();
    let (_, reference) = Config::check(file(REFERENCE)).unwrap();
    for known in &reference {
        assert_ne!(
            known.source,
            Source::Default,
            "{} is missing in config.reference.toml",
            known.key
        );
        let default = defaults.iter().find(|default| default.key == known.key);
        assert_eq!(
            default.map(|default| &default.value) == Some(&known.value),
            ALIKE.contains(&known.key.as_str()),
            "{} has its default value",
            known.key
        );
    }
    assert!(
        defaults
            .iter()
            .all(|known| reference.iter().any(|other| other.key == known.key))
    );
}

/// What is written, and the refusal.
const WRONG: &[(&str, &str)] = &[
    (
        "[worker]\nconfine = \"yes\"\n",
        "worker.confine is \"yes\": \"auto\", \"require\" or \"off\" is wanted, in celeriac.toml:2",
    ),
    (
        "[worker]\nuser = \"a:b\"\n",
        "worker.user is \"a:b\": the name or the number of a user is wanted, in celeriac.toml:2",
    ),
    (
        "[worker]\nconcurency = 4\n",
        "there is no key \"worker.concurency\" in celeriac.toml:2; did you mean \"worker.concurrency\"?",
    ),
    (
        "concurrency = 4\n",
        "there is no key \"concurrency\" in celeriac.toml:1; did you mean \"worker.concurrency\"?",
    ),
    ("[zzz]\n", "there is no key \"zzz\" in celeriac.toml:1"),
    (
        "[worker]\nconcurrency = 9000\n",
        "worker.concurrency is 9000; at most 4000 is allowed, in celeriac.toml:2",
    ),
    (
        "[worker]\nconcurrency = 0\n",
        "worker.concurrency is 0; at least 1 is allowed, in celeriac.toml:2",
    ),
    (
        "[worker]\nconcurrency = -1\n",
        "worker.concurrency is -1: at least 1 is wanted, in celeriac.toml:2",
    ),
    (
        "[worker]\nconcurrency = \"4\"\n",
        "worker.concurrency is \"4\": a whole number is wanted, in celeriac.toml:2",
    ),
    (
        "[worker]\nlease = \"500ms\"\n",
        "worker.lease is \"500ms\"; at least \"1s\" is allowed, in celeriac.toml:2",
    ),
    (
        "[worker]\ndrain = 30\n",
        "worker.drain is 30: it has no unit; write \"30s\", in celeriac.toml:2",
    ),
    (
        "[limits]\nmemory = \"1GiB\"\n",
        "limits.memory is \"1GiB\"; at most \"256MiB\" is allowed, in celeriac.toml:2",
    ),
    (
        "[limits]\nmemory = \"64MB\"\n",
        "limits.memory is \"64MB\": it is not a size such as \"512B\", \"64KiB\", \"64MiB\" or \"1GiB\", in celeriac.toml:2",
    ),
    (
        "[limits]\ncpu = \"10m\"\n",
        "limits.cpu is 10m; at most tenants.default.cpu = 5m is allowed, in celeriac.toml:2",
    ),
    (
        "[tenants.default]\nwall = \"1m\"\n",
        "limits.wall is 5m; at most tenants.default.wall = 1m is allowed, in celeriac.toml:2",
    ),
    (
        "[worker]\nmax_retries = 200\n",
        "worker.max_retries is 200; at most tenants.default.max_retries = 100 is allowed, in celeriac.toml:2",
    ),
    (
        "[tenants.acme]\ncpus = \"1m\"\n",
        "there is no key \"tenants.acme.cpus\" in celeriac.toml:2; did you mean \"tenants.acme.cpu\"?",
    ),
    (
        "[worker]\nqueues = []\n",
        "worker.queues is a list of 0; 1 to 100 queues are allowed, in celeriac.toml:2",
    ),
    (
        "[worker]\nqueues = \"celery\"\n",
        "worker.queues is \"celery\": a list of strings is wanted, such as [\"celery\"], in celeriac.toml:2",
    ),
    (
        "[worker]\ntrack_started = 1\n",
        "worker.track_started is 1: true or false is wanted, in celeriac.toml:2",
    ),
    (
        "[worker]\nlisten = \"9464\"\n",
        "worker.listen is \"9464\": an address and a port are wanted, such as \"127.0.0.1:9464\", or \"off\", in celeriac.toml:2",
    ),
    (
        "[worker]\nhostname = \"%q\"\n",
        "worker.hostname is \"%q\": %q is not known; %h (host), %n (its first part), %d (its domain) and %% are, in celeriac.toml:2",
    ),
    (
        "broker = \"kafka://:pw@h\"\n",
        "broker is \"kafka://:***@h\": kafka:// is not known; brokers that work: sqlite://FOLDER (the embedded file), redis://HOST:PORT/DB, sentinel://HOST:PORT;sentinel://HOST:PORT, amqp://HOST:PORT/VHOST, in celeriac.toml:1",
    ),
    (
        "[broker_transport_options]\nglobal_keyprefix = \"a\\nb\"\n",
        "broker_transport_options.global_keyprefix is \"a\\nb\": a prefix has at most 255 bytes and no control characters, in celeriac.toml:2",
    ),
    (
        "[broker_transport_options]\nvisibility_timeout = 3600\n",
        "broker_transport_options.visibility_timeout is 3600: it has no unit; write \"3600s\", in celeriac.toml:2",
    ),
    (
        "data = \"\"\n",
        "data is \"\": the path of a folder is wanted, in celeriac.toml:1",
    ),
    (
        "timezone = \"Europe/Pariss\"\n",
        "timezone is \"Europe/Pariss\": no time zone has that name; did you mean \"Europe/Paris\"?, in celeriac.toml:1",
    ),
    (
        "timezone = 1\n",
        "timezone is 1: a string is wanted, in celeriac.toml:1",
    ),
    (
        "accept_content = [\"json\", \"xml\"]\n",
        "accept_content is [\"json\", \"xml\"]: \"xml\" is no format of messages; there are json, yaml, msgpack, pickle, in celeriac.toml:1",
    ),
    (
        "accept_content = []\n",
        "accept_content is []: at least one of json, yaml, msgpack, pickle is wanted, in celeriac.toml:1",
    ),
    (
        "accept_content = \"json\"\n",
        "accept_content is \"json\": a list of strings is wanted, such as [\"celery\"], in celeriac.toml:1",
    ),
    (
        "[aliases]\nold = \"new\"\n",
        "aliases.\"old\" is \"new\": \"new\" is not a task name of ours; it must be MODULE.TASK, in celeriac.toml:2",
    ),
];

#[test]
fn a_wrong_file_is_refused_with_key_value_bound_and_place() {
    for (text, words) in WRONG {
        assert_eq!(refusal(file(text)), *words);
    }
}

#[test]
fn a_file_that_is_not_toml_is_refused_with_its_line() {
    let error = RawConfig::default()
        .read_text(Path::new("celeriac.toml"), "data = \"x\"\nbroker =\n")
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("celeriac.toml:2 is not valid TOML: "),
        "{error}"
    );
}

#[test]
fn the_environment_is_as_strict_as_the_file_but_leaves_what_is_not_ours() {
    let mut raw = RawConfig::default();
    raw.read_environment(variables(&[("CELERIAC_WORKER__CONCURRENT", "4")]));
    assert_eq!(
        refusal(raw),
        "there is no key \"worker.concurrent\" in environment CELERIAC_WORKER__CONCURRENT; did you mean CELERIAC_WORKER__CONCURRENCY (worker.concurrency)?"
    );
    let mut raw = RawConfig::default();
    raw.read_environment(variables(&[("CELERIAC_WORKER_RETRY_DELAY", "3s")]));
    assert_eq!(
        refusal(raw),
        "there is no key \"worker_retry_delay\" in environment CELERIAC_WORKER_RETRY_DELAY; did you mean CELERIAC_WORKER__RETRY_DELAY (worker.retry_delay)?"
    );
    let mut raw = RawConfig::default();
    raw.read_environment(variables(&[
        ("CELERIAC_SERVICE_HOST", "10.0.0.1"),
        ("CELERIAC_PORT", "tcp://10.0.0.1:80"),
        ("CELERIAC_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("CELERIAC_WORKER_SERVICE_PORT", "80"),
        ("CELERIAC_CONFIG", "x.toml"),
        ("CELERIAC_GUEST_RUSTC", "/usr/bin/rustc"),
        ("HOME", "/root"),
        ("CELERIAC_WORKER__QUEUES", "a, b"),
        ("CELERIAC_WORKER__TRACK_STARTED", "true"),
        ("CELERIAC_WORKER__RESULT_KEEP", "forever"),
        ("CELERIAC_WORKER__LISTEN", "off"),
    ]));
    let (config, _) = Config::check(raw).unwrap();
    assert_eq!(config.worker.queues, ["a", "b"]);
    assert!(
        config.worker.track_started
            && config.worker.result_keep.is_none()
            && config.worker.listen.is_none()
    );
}

#[test]
fn aliases_keep_their_dots_and_are_counted() {
    let (config, _) =
        Config::check(file("[aliases]\n\"a.b.c\" = \"m.t\"\nd.e = \"m.u\"\n")).unwrap();
    assert_eq!(config.aliases.get("a.b.c").map(String::as_str), Some("m.t"));
    assert_eq!(config.aliases.get("d.e").map(String::as_str), Some("m.u"));
    let many: String = (0..=ALIASES).map(|n| format!("t{n} = \"m.t\"\n")).collect();
    assert!(refusal(file(&format!("[aliases]\n{many}"))).contains("at most 10000 are allowed"));
}

#[test]
fn a_huge_file_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.toml");
    std::fs::write(&path, " ".repeat(usize::try_from(FILE_BYTES).unwrap() + 1)).unwrap();
    let error = RawConfig::default().read_file(&path).unwrap_err();
    assert!(matches!(error, ConfigError::TooLarge { .. }), "{error}");
    let missing = RawConfig::default()
        .read_file(&folder.path().join("none.toml"))
        .unwrap_err();
    assert!(missing.to_string().contains("cannot be read"), "{missing}");
}

#[test]
fn the_data_folder_moves_the_embedded_file_along() {
    let (config, _) = Config::check(file(
        "data = \"state\"\nresult_backend = \"sqlite://other\"\n",
    ))
    .unwrap();
    assert_eq!(config.broker.to_string(), "sqlite://state/celeriac.db");
    assert_eq!(
        config.result_backend.to_string(),
        "sqlite://other/celeriac.db"
    );
}

#[test]
fn what_is_in_force_is_told_as_the_file_would_say_it() {
    let text = "data = \"/a\\u001b\\u0000\\\\u{1}\\\"\\U0001F980\"\n";
    let (config, effective) = Config::check(file(text)).unwrap();
    let data = effective.iter().find(|known| known.key == "data").unwrap();
    let again = format!("{} = {}", data.key, data.value);
    assert!(again.contains("\\U0000001b"), "{again}");
    assert_eq!(Config::check(file(&again)).unwrap().0.data, config.data);
}
