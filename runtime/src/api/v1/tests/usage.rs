//! What was used, over HTTP: who may see it, how it is written, and what workers may tell.

use crate::api::v1::stand::{Answer, Stand};
use crate::plane::{BATCH_ROWS, Code, UsagePage, UsageTold};
use crate::task::{Day, Scope};
use serde_json::{Value, json};
use std::time::Duration;

impl Stand {
    fn today(&self) -> String {
        Day::of(self.house.clock.now()).to_string()
    }

    fn row(&self, tenant: &str, task: &str, attempts: u64) -> Value {
        let used = json!({"attempts": attempts, "succeeded": attempts, "cpu_us": 10 * attempts});
        json!({"day": self.today(), "tenant": tenant, "module": "images", "task": task, "used": used})
    }

    async fn tell(&self, token: &str, batch: &Value) -> Answer {
        self.json(token, "POST /v1/worker/usage", batch.clone())
            .await
    }

    /// Some used something.
    async fn used(&self) {
        let worker = self.token(Scope::Worker, None).await;
        let rows = [
            self.row("acme", "resize", 3),
            self.row("acme", "crop", 2),
            self.row("other", "resize", 1),
        ];
        let batch = json!({"worker": "w1", "number": 1, "rows": rows});
        let told: UsageTold = self.tell(&worker, &batch).await.read();
        assert!(told.counted);
        let again: UsageTold = self.tell(&worker, &batch).await.read();
        assert!(!again.counted);
    }
}

fn attempts(page: &UsagePage) -> Vec<(String, u64)> {
    let entries = page.entries.iter();
    entries
        .map(|entry| (entry.place(), entry.used.attempts))
        .collect()
}

#[tokio::test]
async fn a_tenant_sees_what_it_used_itself_and_nothing_of_others() {
    let stand = Stand::new().await;
    stand.used().await;
    let day = stand.today();
    for scope in [Scope::TenantAdmin, Scope::ReadOnly] {
        let token = stand.token(scope, Some("acme")).await;
        let own = stand.get(&token, "/v1/tenants/acme/usage").await;
        assert_eq!(own.status, 200, "{own:?}");
        assert!(!own.body.contains("other"), "{own:?}");
        assert_eq!(attempts(&own.read()), [(format!("{day}/acme"), 5)]);
        let mut told = Vec::new();
        for tenant in ["other", "nobody"] {
            let path = format!("/v1/tenants/{tenant}/usage");
            let answer = stand.get(&token, &path).await;
            assert_eq!(answer.code(), Code::NotFound, "{answer:?}");
            told.push(answer.words(tenant));
        }
        assert_eq!(told[0], told[1]);
        assert_eq!(stand.get(&token, "/v1/usage").await.code(), Code::Forbidden);
        // A place in the list is no way around.
        let path = format!("/v1/tenants/acme/usage?after={day}/aaaa");
        let own: UsagePage = stand.get(&token, &path).await.read();
        assert_eq!(attempts(&own), [(format!("{day}/acme"), 5)]);
    }
    for scope in [Scope::Deploy, Scope::Call] {
        let token = stand.token(scope, Some("acme")).await;
        let refused = stand.get(&token, "/v1/tenants/acme/usage").await;
        assert_eq!(refused.code(), Code::Forbidden);
    }
    let worker = stand.token(Scope::Worker, None).await;
    assert_eq!(
        stand.get(&worker, "/v1/tenants/acme/usage").await.status,
        404
    );
    assert_eq!(stand.get(&worker, "/v1/usage").await.status, 403);
    let whole: UsagePage = stand
        .get(&stand.operator, "/v1/usage?by=tenant")
        .await
        .read();
    let expected = [("acme".to_owned(), 5), ("other".to_owned(), 1)];
    assert_eq!(attempts(&whole), expected);
    let of_one = stand.get(&stand.operator, "/v1/tenants/other/usage").await;
    assert_eq!(attempts(&of_one.read()), [(format!("{day}/other"), 1)]);
}

#[tokio::test]
async fn a_tenant_whose_name_was_anothers_sees_nothing_of_that_one() {
    let stand = Stand::new().await;
    stand.house.clock.advance(Duration::from_secs(86_400));
    stand.used().await;
    let path = "/v1/tenants/acme?force=true";
    let gone = stand
        .ask(&stand.operator, &format!("DELETE {path}"), "", b"")
        .await;
    assert!(gone.status < 300, "{gone:?}");
    let made = stand
        .json(&stand.operator, "POST /v1/tenants", json!({"name": "acme"}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let token = stand.token(Scope::ReadOnly, Some("acme")).await;
    for query in ["", "?from=1970-01-01&to=1970-12-31", "?by=tenant"] {
        let path = format!("/v1/tenants/acme/usage{query}");
        let own: UsagePage = stand.get(&token, &path).await.read();
        assert!(own.entries.is_empty(), "{query}: {own:?}");
    }
    let whole = stand.get(&stand.operator, "/v1/usage?by=tenant").await;
    let whole = attempts(&whole.read());
    assert!(
        whole[0].0.starts_with("acme~") && whole[0].1 == 5,
        "{whole:?}"
    );
}

#[tokio::test]
async fn pages_and_spreadsheets_say_the_same() {
    let stand = Stand::new().await;
    stand.used().await;
    let (day, operator) = (stand.today(), &stand.operator);
    let path = "/v1/usage?by=task&limit=2";
    let page: UsagePage = stand.get(operator, path).await.read();
    let next = page.next.as_deref().unwrap();
    assert_eq!(next, format!("{day}/acme/images/resize"));
    let rest = format!("{path}&after={next}");
    let rest: UsagePage = stand.get(operator, &rest).await.read();
    assert_eq!(rest.next, None);
    let all = [attempts(&page), attempts(&rest)].concat();
    let expected = [
        (format!("{day}/acme/images/crop"), 2),
        (format!("{day}/acme/images/resize"), 3),
        (format!("{day}/other/images/resize"), 1),
    ];
    assert_eq!(all, expected);
    let accept = "accept: text/csv\r\n";
    let what = format!("GET {path}");
    let sheet = stand.ask(operator, &what, accept, b"").await;
    assert!(
        sheet.head.contains("\r\ncontent-type: text/csv"),
        "{sheet:?}"
    );
    let first: Vec<&str> = sheet.body.lines().collect();
    assert!(first[0].starts_with("day,tenant,module,task,attempts,"));
    assert_eq!(
        first[1..],
        [
            format!("{day},acme,images,crop,2,2,0,0,0,20,0,0,0,0,0,0,0"),
            format!("{day},acme,images,resize,3,3,0,0,0,30,0,0,0,0,0,0,0"),
        ]
    );
    // The header says where it goes on, and that works as it is.
    let link = sheet.head.lines().find(|line| line.starts_with("link: "));
    let link = link.unwrap().trim_start_matches("link: <");
    let (query, relation) = link.split_once('>').unwrap();
    assert_eq!(relation, "; rel=\"next\"");
    let rest = stand.get(operator, &format!("/v1/usage{query}")).await;
    let second: Vec<&str> = rest.body.lines().collect();
    assert_eq!(second[0], first[0]);
    let expected = format!("{day},other,images,resize,1,1,0,0,0,10,0,0,0,0,0,0,0");
    assert_eq!(second[1..], [expected]);
    assert!(!rest.head.contains("\r\nlink: "), "{rest:?}");
    let asked = stand.get(operator, "/v1/usage?format=csv").await;
    assert!(asked.head.contains("\r\ncontent-type: text/csv"));
    let what = "GET /v1/usage?format=json";
    let page: UsagePage = stand.ask(operator, what, accept, b"").await.read();
    assert_eq!(page.entries.len(), 2);
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_refused_with_what_is_allowed() {
    let stand = Stand::new().await;
    stand.used().await;
    for (query, word) in [
        ("from=2025-01-01&to=2026-01-02", "are 367 days"),
        ("from=2026-01-02&to=2026-01-01", "are 0 days"),
        ("from=yesterday", "not a day"),
        ("to=2026-02-30", "not a day"),
        ("by=hour", "unknown variant"),
        ("format=xml", "unknown variant"),
        ("limit=0", "1 to 1000"),
        ("limit=1001", "1 to 1000"),
        ("after=somewhere", "no place"),
        ("by=tenant&after=2026-01-01/acme", "no place"),
        ("of=acme", "unknown field"),
    ] {
        let answer = stand
            .get(&stand.operator, &format!("/v1/usage?{query}"))
            .await;
        assert_eq!(answer.code(), Code::InvalidRequest, "{query}");
        assert!(answer.body.contains(word), "{query}: {answer:?}");
    }
    let year = "/v1/usage?from=2025-01-01&to=2026-01-01";
    let page: UsagePage = stand.get(&stand.operator, year).await.read();
    assert!(page.entries.is_empty());
}

#[tokio::test]
async fn workers_alone_tell_what_was_used_and_within_bounds() {
    let stand = Stand::new().await;
    let batch =
        |number: u64, rows: &[Value]| json!({"worker": "w1", "number": number, "rows": rows});
    let one = batch(1, &[stand.row("acme", "resize", 1)]);
    let admin = stand.token(Scope::TenantAdmin, Some("acme")).await;
    for token in [&stand.operator, &admin] {
        assert_eq!(stand.tell(token, &one).await.code(), Code::Forbidden);
    }
    let worker = stand.token(Scope::Worker, None).await;
    let many = vec![stand.row("acme", "resize", 1); BATCH_ROWS + 1];
    for (bad, word) in [
        (batch(1, &many), "at most 500"),
        (batch(0, &[]), "number"),
        (batch(1, &[stand.row("acme", "=1+1", 1)]), "names"),
        (batch(1, &[stand.row("No Name", "resize", 1)]), "tenant"),
        (batch(1, &[stand.row("acme", "resize", 1 << 60)]), "2^53"),
        (json!({"worker": "w1"}), "missing field"),
    ] {
        let answer = stand.tell(&worker, &bad).await;
        assert_eq!(answer.code(), Code::InvalidRequest, "{answer:?}");
        assert!(answer.body.contains(word), "{word}: {answer:?}");
    }
    let none: UsagePage = stand.get(&stand.operator, "/v1/usage").await.read();
    assert!(none.entries.is_empty());
    // As much as a batch may hold, with names as long as they may be.
    let long = "t".repeat(128);
    let module = ["m".repeat(63).as_str(), "n".repeat(64).as_str()].join(".");
    let tenant = "a".repeat(63);
    let number = (1_u64 << 53) - 1;
    let full = |at: usize| {
        let mut row = stand.row(&tenant, &format!("{}{at:03}", &long[..125]), number);
        row["module"] = json!(module);
        for name in crate::plane::UsageSums::NAMES {
            let outcome = ["succeeded", "failed", "retried", "revoked"].contains(&name);
            row["used"][name] = json!(if outcome { number / 4 } else { number });
        }
        row
    };
    let rows: Vec<Value> = (0..BATCH_ROWS).map(full).collect();
    let told = stand.tell(&worker, &batch(2, &rows)).await;
    assert_eq!(told.read::<UsageTold>(), UsageTold { counted: true });
}
