//! Lookups of names, when some of them take for ever.

use super::*;

/// A process whose guests look names up, slow ones without an answer until it is dropped.
struct Process {
    egress: Egress,
    table: Arc<Table>,
}

impl Process {
    fn new() -> Self {
        let setup = may(&[]).name("fast.test", &[&["10.0.0.5"]]);
        let table = Arc::new(setup.table);
        let resolver = Resolver::table(Arc::clone(&table));
        Self {
            egress: Egress::over(setup.settings, resolver, Trust::default()),
            table,
        }
    }

    /// Opens an attempt of a module.
    fn attempt(&self, module: &str) -> Guest {
        let setup = may(&["fast.test", "slow.test"]);
        setup.join(&self.egress, module, Arc::clone(&self.table.lookups))
    }

    /// Begins lookups that are slow and gives them up, as often as an attempt may.
    async fn starve(&self, module: &str) -> String {
        let guest = self.attempt(module);
        let options = RequestOptions {
            connect_timeout: Some(Duration::from_millis(1)),
            ..RequestOptions::default()
        };
        for _ in 0..100 {
            let answer = guest.send(get("https://slow.test"), options).await;
            assert!(
                matches!(answer, Err(Error::ConnectionTimeout)),
                "{answer:?}"
            );
        }
        guest.said()
    }

    /// Tells whether a name of a module's attempt is looked up within a time.
    async fn looks_up(&self, module: &str, time: Duration) -> bool {
        let options = RequestOptions {
            connect_timeout: Some(time),
            ..RequestOptions::default()
        };
        let guest = self.attempt(module);
        let answer = guest.send(get("https://fast.test"), options).await;
        match answer {
            // It is known by then that it is a private one.
            Err(Error::HttpRequestDenied) => true,
            Err(Error::ConnectionTimeout) => false,
            other => panic!("{other:?}"),
        }
    }

    fn held(&self) -> usize {
        self.egress.0.resolver.lookups.held()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.table.open();
    }
}

const LONG: Duration = Duration::from_secs(10);

#[tokio::test]
async fn slow_names_of_one_attempt_leave_lookups_to_every_other() {
    let process = Process::new();
    let said = process.starve("web").await;
    assert_eq!(said.matches("8 names are being looked up").count(), 1);
    assert_eq!(process.held(), 8);
    assert!(process.looks_up("web", LONG).await);
    assert!(process.looks_up("shop", LONG).await);
}

#[tokio::test]
async fn slow_names_of_all_attempts_of_a_module_leave_lookups_to_other_modules() {
    let process = Process::new();
    for _ in 0..6 {
        process.starve("web").await;
    }
    assert_eq!(process.held(), 32);
    for _ in 0..4 {
        process.starve("evil").await;
    }
    assert_eq!(process.held(), 48);
    assert!(process.looks_up("shop", LONG).await);
    // Their lookups have an end some time, and others have their turn.
    process.table.open();
    assert!(process.looks_up("web", LONG).await);
}

#[tokio::test]
async fn without_shares_of_lookups_one_attempt_has_them_all() {
    let process = Process::new();
    let _away = without(&[Defence::Lookups]);
    process.starve("web").await;
    // The number for all is the next wall: no more threads than that.
    assert_eq!(process.held(), 64);
    let time = Duration::from_millis(200);
    assert!(!process.looks_up("shop", time).await);
}
