//! What a tenant needs on a broker that it shares with others, as commands for the
//! operator: a virtual host of RabbitMQ, or users of Redis that see one prefix.
//!
//! The tenant's clients and the workers are told apart in Redis: clients run no scripts,
//! which nobody can stop, and are not told of the keys that others change.

mod server;

use super::{PlatformError, random};
use crate::task::TenantName;
use server::Server;
use std::fmt;

/// Random bytes of a password.
const PASSWORD_BYTES: usize = 24;
/// Most connections to a virtual host: its clients and the workers share them.
const CONNECTIONS: u32 = 1_000;
/// Most queues of a virtual host: each client that waits over `rpc://` has one.
const QUEUES: u32 = 10_000;

/// What nobody who shares a Redis may do: what concerns the server, and what tells the
/// names of keys and channels of others.
const NEVER: [&str; 11] = [
    "-@admin",
    "-@dangerous",
    "-scan",
    "-randomkey",
    "-dbsize",
    "-pubsub",
    "-memory",
    "-function",
    "-fcall",
    "-fcall_ro",
    "-client|no-evict",
];

/// What a tenant needs on a broker, and the addresses that are good once it is there.
pub struct Plan {
    /// The commands, in their order.
    pub commands: Vec<Command>,
    /// For the tenant's own clients: with a password, to be shown once.
    pub clients: Addresses,
    /// For workers, which the platform keeps: with a password.
    pub workers: Addresses,
    /// The text before all keys, kombu's `global_keyprefix`, where there is one.
    pub prefix: Option<String>,
}

/// Where messages and results are.
#[derive(Clone, PartialEq, Eq)]
pub struct Addresses {
    /// The broker.
    pub broker: String,
    /// The result backend.
    pub result_backend: String,
}

/// One command for the operator.
#[derive(Clone, PartialEq, Eq)]
pub struct Command {
    /// The program and what it is told, before the rest.
    program: Vec<String>,
    /// What is sent to Redis; for RabbitMQ the rest of the words.
    words: Vec<String>,
    /// What the program reads, so that it does not stand in the list of processes.
    input: Option<String>,
}

impl Command {
    /// Returns the words that Redis itself understands.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.words
    }
}

/// As a line for a shell.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(input) = &self.input {
            write!(f, "printf '%s\\n' {} | ", quoted(input))?;
        }
        let words = self.program.iter().chain(&self.words);
        let words: Vec<String> = words.map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

/// Their passwords stay out of it.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Command")
            .field("program", &self.program.first())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Addresses")
            .field("broker", &super::address::redacted(&self.broker))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("workers", &self.workers)
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

/// Plans what a tenant needs on a server, `amqp[s]://HOST[:PORT]` or
/// `redis[s]://[ADMIN:PASSWORD@]HOST[:PORT][/DB]`, with new passwords.
///
/// # Errors
/// [`PlatformError::Wrong`] for another address, [`PlatformError::Refused`] for the tenant
/// `default`, [`PlatformError::Random`].
pub fn plan(name: &TenantName, server: &str) -> Result<Plan, PlatformError> {
    if name.is_default() {
        return Err(PlatformError::Refused {
            reason: "the tenant \"default\" has the broker of the configuration".to_owned(),
        });
    }
    let server = Server::read(server)?;
    let password = || {
        let digits = random::digits::<PASSWORD_BYTES>();
        digits.map_err(|source| PlatformError::Random { source })
    };
    Ok(match server.is_redis() {
        true => redis(name, &server, [password()?, password()?]),
        false => rabbitmq(name, &server, &password()?),
    })
}

/// Plans what takes away again what [`plan`] made for a tenant on the server of an
/// address, with all its messages; nothing where the address is of another kind.
#[must_use]
pub fn removal(name: &TenantName, address: &str) -> Vec<Command> {
    let Ok(server) = Server::read(address) else {
        return Vec::new();
    };
    let user = name.as_str();
    match server.is_redis() {
        true => vec![server.redis_cli(&["ACL", "DELUSER", user, &worker(name)])],
        false => vec![
            rabbitmqctl(&["delete_user", user]),
            rabbitmqctl(&["delete_vhost", user]),
        ],
    }
}

fn rabbitmq(name: &TenantName, server: &Server, password: &str) -> Plan {
    let name = name.as_str();
    let limits = format!("{{\"max-connections\":{CONNECTIONS},\"max-queues\":{QUEUES}}}");
    let addresses = Addresses {
        broker: server.address(name, password, name),
        result_backend: "rpc://".to_owned(),
    };
    Plan {
        commands: vec![
            rabbitmqctl(&["add_vhost", name]),
            rabbitmqctl(&["set_vhost_limits", "-p", name, &limits]),
            Command {
                input: Some(password.to_owned()),
                ..rabbitmqctl(&["add_user", name])
            },
            rabbitmqctl(&["set_permissions", "-p", name, name, ".*", ".*", ".*"]),
        ],
        clients: addresses.clone(),
        workers: addresses,
        prefix: None,
    }
}

fn rabbitmqctl(words: &[&str]) -> Command {
    Command {
        program: vec!["rabbitmqctl".to_owned(), "-q".to_owned()],
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        input: None,
    }
}

/// The user of workers; a tenant's name has no dot.
fn worker(name: &TenantName) -> String {
    format!("{name}.worker")
}

fn redis(name: &TenantName, server: &Server, [clients, workers]: [String; 2]) -> Plan {
    let database = server.database();
    let (user, worker) = (name.to_string(), worker(name));
    let addresses = |user: &str, password: &str| {
        let address = server.address(user, password, database);
        Addresses {
            broker: address.clone(),
            result_backend: address,
        }
    };
    let (no_scripts, some_scripts) = (
        ["-@scripting", "-client|tracking", "-client|caching"],
        ["-script|flush", "-script|kill", "-script|debug"],
    );
    let set = |user: &str, password: &str, never: &[&str]| {
        let words = rules(name, database, user, password, never);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        server.redis_cli(&words)
    };
    Plan {
        commands: vec![
            set(&user, &clients, &no_scripts),
            set(&worker, &workers, &some_scripts),
        ],
        clients: addresses(&user, &clients),
        workers: addresses(&worker, &workers),
        prefix: Some(name.key_prefix()),
    }
}

/// The rules of a user who sees the keys and channels of one prefix.
fn rules(
    name: &TenantName,
    database: &str,
    user: &str,
    password: &str,
    never: &[&str],
) -> Vec<String> {
    let prefix = name.key_prefix();
    let mut words: Vec<String> = ["ACL", "SETUSER", user, "reset", "on"]
        .map(str::to_owned)
        .into();
    words.push(format!(">{password}"));
    words.push(format!("~{prefix}*"));
    words.push(format!("&{prefix}*"));
    // Who subscribes to a pattern must be allowed that very pattern; these are kombu's.
    for channel in [
        "celeryev/*",
        "celeryev/worker.*",
        "celeryev/task.*",
        "celery.pidbox",
    ] {
        words.push(format!("&{prefix}/{database}.{channel}"));
    }
    words.push("+@all".to_owned());
    words.extend(NEVER.iter().chain(never).map(|rule| (*rule).to_owned()));
    words
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme() -> TenantName {
        "acme".parse().unwrap()
    }

    fn lines(plan: &Plan) -> Vec<String> {
        plan.commands.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_tenant_of_rabbitmq_has_a_virtual_host_and_a_user_of_its_own() {
        let plan = plan(&acme(), "amqps://rabbit.example:5671").unwrap();
        let password = plan.commands[2].input.clone().unwrap();
        assert_eq!(
            lines(&plan),
            [
                "rabbitmqctl -q add_vhost acme".to_owned(),
                "rabbitmqctl -q set_vhost_limits -p acme '{\"max-connections\":1000,\"max-queues\":10000}'".to_owned(),
                format!("printf '%s\\n' {password} | rabbitmqctl -q add_user acme"),
                "rabbitmqctl -q set_permissions -p acme acme '.*' '.*' '.*'".to_owned(),
            ]
        );
        let address = format!("amqps://acme:{password}@rabbit.example:5671/acme");
        assert_eq!(plan.workers.broker, address);
        assert_eq!(plan.clients.result_backend, "rpc://");
        assert_eq!(plan.prefix, None);
        assert!(!format!("{plan:?} {:?}", plan.commands).contains(&password));
    }

    #[test]
    fn a_tenant_of_redis_has_users_that_see_its_prefix_alone() {
        let plan = plan(&acme(), "redis://root:adm1n@redis.example/2").unwrap();
        let lines = lines(&plan);
        for (line, user) in lines.iter().zip(["acme", "acme.worker"]) {
            let begins = format!(
                "redis-cli -h redis.example -p 6379 --user root --askpass ACL SETUSER {user} reset on '>"
            );
            assert!(line.starts_with(&begins), "{line}");
            assert!(
                line.contains("'~celeriac:acme:*' '&celeriac:acme:*'"),
                "{line}"
            );
            assert!(line.contains("'&celeriac:acme:/2.celeryev/*'"), "{line}");
            assert!(
                line.contains("-@dangerous") && !line.contains("adm1n"),
                "{line}"
            );
        }
        assert!(lines[0].contains("-@scripting") && !lines[1].contains("-@scripting"));
        assert!(plan.clients.broker.starts_with("redis://acme:"));
        assert!(plan.workers.broker.starts_with("redis://acme.worker:"));
        assert!(plan.workers.broker.ends_with("@redis.example/2"));
        assert_eq!(plan.prefix.as_deref(), Some("celeriac:acme:"));
        let removed: Vec<String> = removal(&acme(), &plan.workers.broker)
            .iter()
            .map(|command| command.words().join(" "))
            .collect();
        assert_eq!(removed, ["ACL DELUSER acme acme.worker"]);
    }

    #[test]
    fn no_two_plans_have_a_password_in_common() {
        let one = plan(&acme(), "redis://h").unwrap();
        let other = plan(&acme(), "redis://h").unwrap();
        let all = [&one.clients, &one.workers, &other.clients, &other.workers];
        let brokers: std::collections::BTreeSet<&str> =
            all.iter().map(|one| one.broker.as_str()).collect();
        assert_eq!(brokers.len(), 4);
    }

    #[test]
    fn a_server_that_cannot_be_shared_so_is_refused() {
        for bad in [
            "sqlite:///x",
            "sentinel://h",
            "redis://",
            "h",
            "redis://h/x",
            "redis://h/1?x=y",
            "amqp://h x",
            "redis://h'; rm -rf /",
        ] {
            let error = plan(&acme(), bad).unwrap_err();
            assert!(
                matches!(error, PlatformError::Wrong { .. }),
                "{bad}: {error}"
            );
        }
        assert!(plan(&TenantName::default(), "redis://h").is_err());
        assert!(removal(&acme(), "sqlite:///x").is_empty());
    }

    #[test]
    fn a_word_is_quoted_where_a_shell_would_read_another() {
        for (word, line) in [
            ("a-b_c", "a-b_c"),
            ("", "''"),
            ("a b", "'a b'"),
            ("a'b", "'a'\\''b'"),
        ] {
            assert_eq!(quoted(word), line);
        }
    }
}
