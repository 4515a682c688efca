//! Where each external crate may be named.

use super::Finding;
use super::source::Source;

/// A crate and the only places, as prefixes of paths, that may name it.
struct Home {
    name: &'static str,
    places: &'static [&'static str],
}

const SQL: &[&str] = &[
    "runtime/src/database",
    "runtime/src/sql",
    "runtime/src/broker/embedded",
    "runtime/src/results/embedded",
    "runtime/src/bus/embedded",
    "runtime/src/registry",
    // Writes messages that no client of ours would.
    "tests/support/src",
];
const CLI: &[&str] = &["runtime/src/cli", "runtime/src/main.rs"];
const AMQP: &[&str] = &[
    "runtime/src/amqp",
    "runtime/src/broker/rabbitmq",
    "runtime/src/bus/rabbitmq",
    "runtime/benches/brokers/bare",
];

const HOMES: &[Home] = &[
    Home {
        name: "wasmtime",
        places: &["runtime/sandbox/"],
    },
    Home {
        name: "wasmtime_wasi",
        places: &["runtime/sandbox/"],
    },
    Home {
        name: "wasmtime_wasi_http",
        places: &["runtime/sandbox/"],
    },
    Home {
        name: "hyper",
        places: &[
            "runtime/sandbox/src/egress",
            "runtime/sandbox/src/host/http.rs",
        ],
    },
    Home {
        name: "wasip2",
        places: &["tests/guests/web"],
    },
    Home {
        name: "wasmparser",
        places: &["runtime/sandbox/"],
    },
    Home {
        name: "wit_component",
        places: &["sdk/build/src/encode.rs"],
    },
    Home {
        name: "sqlx",
        places: SQL,
    },
    Home {
        name: "rmp_serde",
        places: &["runtime/src/worker/cells"],
    },
    Home {
        name: "redis",
        places: &[
            "runtime/src/resp",
            "runtime/src/broker/redis",
            "runtime/src/results/redis",
            "runtime/src/bus/redis",
            "runtime/benches/brokers",
            "runtime/benches/canvas",
            "tests/conformance/sentinel.rs",
        ],
    },
    Home {
        name: "lapin",
        places: AMQP,
    },
    Home {
        name: "flate2",
        places: &["runtime/src/celery/compression"],
    },
    Home {
        name: "bzip2",
        places: &["runtime/src/celery/compression"],
    },
    Home {
        name: "lzma_rust2",
        places: &["runtime/src/celery/compression"],
    },
    Home {
        name: "brotli_decompressor",
        places: &["runtime/src/celery/compression"],
    },
    Home {
        name: "ruzstd",
        places: &["runtime/src/celery/compression"],
    },
    Home {
        name: "saphyr_parser",
        places: &["runtime/src/celery/body"],
    },
    Home {
        name: "axum",
        places: &["runtime/src/api"],
    },
    Home {
        name: "utoipa",
        places: &["runtime/src/api", "runtime/src/plane"],
    },
    Home {
        name: "utoipa_axum",
        places: &["runtime/src/api"],
    },
    Home {
        name: "reqwest",
        places: &["runtime/src/remote"],
    },
    Home {
        name: "object_store",
        places: &["runtime/src/registry"],
    },
    Home {
        name: "semver",
        places: &["runtime/src/task", "runtime/src/registry"],
    },
    Home {
        name: "jsonschema",
        places: &["runtime/src/policy"],
    },
    Home {
        name: "csv",
        places: &["runtime/src/platform", "runtime/src/cli"],
    },
    Home {
        name: "clap",
        places: CLI,
    },
    Home {
        name: "clap_complete",
        places: CLI,
    },
    Home {
        name: "comfy_table",
        places: CLI,
    },
    Home {
        name: "indicatif",
        places: CLI,
    },
    Home {
        name: "regex_lite",
        places: &["runtime/src/control/audience.rs"],
    },
    Home {
        name: "bolero",
        places: &["tests/fuzz/"],
    },
    Home {
        name: "landlock",
        places: &["runtime/src/confine"],
    },
    Home {
        name: "seccompiler",
        places: &["runtime/src/confine"],
    },
    Home {
        name: "libc",
        places: &["runtime/src/confine"],
    },
    Home {
        name: "anyhow",
        places: &["runtime/src/main.rs", "runtime/src/cli", "xtask/", "tests/"],
    },
];

/// What only tests see may use these anywhere: errors without a type, and
/// components made from text.
const FREE_IN_TESTS: [&str; 2] = ["anyhow", "wit_component"];

/// Checks the crates that one file names.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, token) in source.tokens.iter().enumerate() {
        let Some(home) = HOMES.iter().find(|home| home.name == token.text) else {
            continue;
        };
        let text = |at: usize| {
            source
                .tokens
                .get(at)
                .map_or("", |token| token.text.as_str())
        };
        let before = at.checked_sub(1).map_or("", text);
        let path = text(at + 1) == "::" || (before == "use" && matches!(text(at + 1), ";" | "as"));
        let inner = matches!(before, "::" | "." | "mod");
        if !path || inner || at_home(home, source, token.line) || is_module(source, home.name) {
            continue;
        }
        let what = format!(
            "'{}' is at home in {} only",
            home.name,
            home.places.join(", ")
        );
        findings.push(Finding::new(source, token.line, what));
    }
    findings
}

fn at_home(home: &Home, source: &Source, line: usize) -> bool {
    let free = FREE_IN_TESTS.contains(&home.name) && source.is_test(line);
    free || home
        .places
        .iter()
        .any(|place| source.path.starts_with(place))
}

/// Returns whether the file has a module of that name, as `broker.rs` has `redis`.
fn is_module(source: &Source, name: &str) -> bool {
    source.tokens.windows(2).any(
        |pair| matches!(pair, [keyword, module] if keyword.text == "mod" && module.text == name),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> usize {
        check(&Source::new(path, text)).len()
    }

    #[test]
    fn a_crate_outside_its_home_is_refused_with_its_home() {
        let source = Source::new("runtime/src/worker.rs", "fn f() {}\nuse wasmtime::Engine;");
        let found: Vec<String> = check(&source).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            ["runtime/src/worker.rs:2: 'wasmtime' is at home in runtime/sandbox/ only"]
        );
        for home in HOMES {
            let text = format!("fn f() {{ {}::g() }}", home.name);
            assert_eq!(findings("runtime/src/clock.rs", &text), 1, "{}", home.name);
        }
    }

    #[test]
    fn a_crate_at_home_is_fine() {
        for home in HOMES {
            for place in home.places {
                let path = format!("{place}x.rs");
                assert_eq!(
                    findings(&path, &format!("use {}::X;", home.name)),
                    0,
                    "{path}"
                );
            }
        }
    }

    #[test]
    fn a_module_field_or_word_of_the_same_name_is_not_the_crate() {
        let path = "runtime/src/broker.rs";
        assert_eq!(findings(path, "mod redis; pub use redis::Redis;"), 0);
        assert_eq!(
            findings(
                path,
                "use super::redis::X; let redis = self.redis; // redis::X"
            ),
            0
        );
        assert_eq!(findings(path, "use redis;"), 1);
    }

    #[test]
    fn tests_may_use_what_is_free_for_them_and_nothing_else() {
        let path = "runtime/src/policy.rs";
        assert_eq!(
            findings(path, "#[cfg(test)]\nmod tests {\n use anyhow::Result;\n}"),
            0
        );
        assert_eq!(findings("tests/guests/raw.rs", "use wit_component::X;"), 0);
        assert_eq!(
            findings(path, "#[cfg(test)]\nmod tests {\n use sqlx::Row;\n}"),
            1
        );
    }
}
