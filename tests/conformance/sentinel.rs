//! Finding a master that sentinels name, and noticing that it is none any more.

use celeriac::resp::{RedisServer, Sentinels, needs_a_person};
use redis::{RedisError, cmd};
use std::sync::{Arc, Mutex};
use support::Redis;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A sentinel that says what it is told to say.
struct Told {
    port: u16,
    master: Arc<Mutex<Option<u16>>>,
    _answers: JoinSet<()>,
}

impl Told {
    async fn new(master: Option<u16>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let master = Arc::new(Mutex::new(master));
        let mut answers = JoinSet::new();
        let told = Arc::clone(&master);
        answers.spawn(async move {
            let mut callers = JoinSet::new();
            while let Ok((caller, _)) = listener.accept().await {
                callers.spawn(answer(caller, Arc::clone(&told)));
            }
        });
        Self {
            port,
            master,
            _answers: answers,
        }
    }

    fn says(&self, port: u16) {
        *self.master.lock().unwrap() = Some(port);
    }
}

/// Answers the one question, and no other command.
async fn answer(caller: TcpStream, master: Arc<Mutex<Option<u16>>>) {
    let (read, mut write) = caller.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(head)) = lines.next_line().await {
        let words: usize = head.strip_prefix('*').unwrap().parse().unwrap();
        let mut command = Vec::new();
        for _ in 0..words {
            lines.next_line().await.unwrap();
            command.push(lines.next_line().await.unwrap().unwrap());
        }
        let told = *master.lock().unwrap();
        let reply = match (command[0].as_str(), told) {
            ("SENTINEL", Some(port)) => {
                let port = port.to_string();
                let length = port.len();
                format!("*2\r\n$9\r\n127.0.0.1\r\n${length}\r\n{port}\r\n")
            }
            ("SENTINEL", None) => "*-1\r\n".to_owned(),
            _ => "-ERR unknown command\r\n".to_owned(),
        };
        write.write_all(reply.as_bytes()).await.unwrap();
    }
}

fn behind(sentinels: &[u16]) -> RedisServer {
    let sentinels = Sentinels {
        places: sentinels
            .iter()
            .map(|port| ("127.0.0.1".to_owned(), *port))
            .collect(),
        master: "mymaster".to_owned(),
        ..Sentinels::default()
    };
    RedisServer::behind(&sentinels, "redis://localhost/0").unwrap()
}

async fn set(server: &RedisServer, value: &str) -> Result<(), RedisError> {
    let mut set = cmd("SET");
    set.arg("key").arg(value);
    set.exec_async(&mut server.shared()).await
}

fn demote(server: &Redis, master: &Redis) {
    let port = master.port().to_string();
    assert_eq!(server.cli(0, &["REPLICAOF", "127.0.0.1", &port]), "OK");
}

#[tokio::test]
async fn a_master_that_became_a_replica_is_left_with_the_first_write_it_refuses() {
    let (first, second) = (Redis::start(), Redis::start());
    let sentinel = Told::new(Some(first.port())).await;
    let server = behind(&[sentinel.port]);
    set(&server, "1").await.unwrap();
    sentinel.says(second.port());
    demote(&first, &second);
    assert_eq!(
        set(&server, "2").await.unwrap_err().code(),
        Some("READONLY")
    );
    set(&server, "3").await.unwrap();
    assert_eq!(second.cli(0, &["GET", "key"]), "3");
}

#[tokio::test]
async fn a_pipeline_and_a_script_notice_it_as_well() {
    for is_script in [false, true] {
        let (first, second) = (Redis::start(), Redis::start());
        let sentinel = Told::new(Some(first.port())).await;
        let server = behind(&[sentinel.port]);
        let write = async || match is_script {
            true => {
                redis::Script::new("return redis.call('SET', KEYS[1], '1')")
                    .key("key")
                    .invoke_async::<()>(&mut server.shared())
                    .await
            }
            false => {
                redis::pipe()
                    .ping()
                    .set("key", "1")
                    .exec_async(&mut server.shared())
                    .await
            }
        };
        write().await.unwrap();
        sentinel.says(second.port());
        demote(&first, &second);
        write().await.unwrap_err();
        write().await.unwrap();
        assert_eq!(second.cli(0, &["GET", "key"]), "1");
    }
}

#[tokio::test]
async fn sentinels_that_are_away_or_late_do_not_hide_the_master() {
    let (old, new) = (Redis::start(), Redis::start());
    demote(&old, &new);
    let late = Told::new(Some(old.port())).await;
    let knowing = Told::new(Some(new.port())).await;
    let ignorant = Told::new(None).await;
    let ports = [support::free_port(), late.port, ignorant.port, knowing.port];
    let server = behind(&ports);
    for _ in 0..10 {
        set(&server, "1").await.unwrap();
    }
    assert_eq!(new.cli(0, &["GET", "key"]), "1");
    let mut listener = server.listener().await.unwrap();
    listener.subscribe("channel").await.unwrap();
    assert_eq!(new.cli(0, &["PUBLISH", "channel", "x"]), "1");
}

#[tokio::test]
async fn only_when_every_sentinel_says_so_a_person_must_change_the_name() {
    let ignorant = Told::new(None).await;
    let unknown = set(&behind(&[ignorant.port]), "1").await.unwrap_err();
    assert!(needs_a_person(&unknown), "{unknown}");
    assert!(unknown.to_string().contains("\"mymaster\""), "{unknown}");
    let away = behind(&[ignorant.port, support::free_port()]);
    let error = set(&away, "1").await.unwrap_err();
    assert!(!needs_a_person(&error), "{error}");
}

#[tokio::test]
async fn a_master_that_answers_nobody_is_left() {
    let (first, second) = (Redis::start(), Redis::start());
    let sentinel = Told::new(Some(first.port())).await;
    let server = behind(&[sentinel.port]);
    set(&server, "1").await.unwrap();
    first.freeze();
    sentinel.says(second.port());
    set(&server, "2").await.unwrap_err();
    set(&server, "3").await.unwrap();
    assert_eq!(second.cli(0, &["GET", "key"]), "3");
}

#[tokio::test]
async fn a_user_who_may_not_ask_for_the_role_believes_the_sentinel() {
    let redis = Redis::start();
    let user = ["ACL", "SETUSER", "default", "-role"];
    assert_eq!(redis.cli(0, &user), "OK");
    let sentinel = Told::new(Some(redis.port())).await;
    set(&behind(&[sentinel.port]), "1").await.unwrap();
}
