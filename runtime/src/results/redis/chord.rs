//! Counting the parts of a chord in the keys that Celery's workers use.
//!
//! With `g` for `celery-taskset-meta-<group>`: `g.s` is the size, `g.t` what was added to
//! it, `g.j` the parts by their place, `g.d` the names of the parts that were counted
//! (Celery 5.7 and newer), `g.c` who sends the body, or `done`; `g` itself is the
//! structure of the results where they are nested.

use super::{RedisResults, malformed, trouble};
use crate::celery::result::{self, Found};
use crate::results::ResultsError;
use crate::results::chord::{Ending, Expect, JOINED_BYTES, JoinPart, Joined};
use crate::task::Json;
use redis::Script;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::sync::LazyLock;
use std::time::Duration;

/// How long one worker may take to send a body (30 s), as long as a lease.
const CLAIM: Duration = Duration::from_secs(30);
/// How long it is remembered that a body was sent (1 day): as long as copies of a part
/// may come.
const DONE: Duration = Duration::from_secs(86_400);
/// Parts that are read at a time.
const PAGE: isize = 1_000;

/// Keys: size, claim, structure. Arguments: size, keep (ms, 0 is for ever), again,
/// structure or empty.
static EXPECT: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local size, claim, structure = KEYS[1], KEYS[2], KEYS[3]
if ARGV[3] == '1' then
  if redis.call('EXISTS', size, claim) > 0 then return 0 end
else
  redis.call('DEL', claim)
end
redis.call('SET', size, ARGV[1])
if ARGV[4] ~= '' then redis.call('SET', structure, ARGV[4]) end
if tonumber(ARGV[2]) > 0 then
  redis.call('PEXPIRE', size, ARGV[2])
  if ARGV[4] ~= '' then redis.call('PEXPIRE', structure, ARGV[2]) end
end
return 1
",
    )
});

/// Keys: parts, added, size, counted, claim. Arguments: name, value, place, keep (ms), our
/// claim, its length (ms). The answer: 0 waits, 1 is complete, 2 is held and how long.
static JOIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local parts, added, size, counted, claim = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if redis.call('GET', claim) == 'done' then return {0, 0} end
local is_list = redis.call('TYPE', parts).ok == 'list'
if redis.call('SADD', counted, ARGV[1]) == 1 then
  if is_list then redis.call('RPUSH', parts, ARGV[2])
  else redis.call('ZADD', parts, ARGV[3], ARGV[2]) end
end
if tonumber(ARGV[4]) > 0 then
  for _, key in ipairs({parts, added, size, counted}) do redis.call('PEXPIRE', key, ARGV[4]) end
end
local wanted = tonumber(redis.call('GET', size))
if not wanted then return {0, 0} end
wanted = wanted + (tonumber(redis.call('GET', added)) or 0)
local there
if is_list then there = redis.call('LLEN', parts) else there = redis.call('ZCARD', parts) end
if there < wanted then return {0, 0} end
local other = redis.call('GET', claim)
if other and other ~= ARGV[5] then return {2, redis.call('PTTL', claim)} end
redis.call('SET', claim, ARGV[5], 'PX', ARGV[6])
return {1, 0}
",
    )
});

/// Keys: claim, parts, added, size, counted. Argument: how long it is remembered (ms).
static JOINED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
redis.call('DEL', KEYS[2], KEYS[3], KEYS[4], KEYS[5])
redis.call('SET', KEYS[1], 'done', 'PX', ARGV[1])
return 1
",
    )
});

impl RedisResults {
    fn group(&self, group: &str, end: &str) -> String {
        format!("{}celery-taskset-meta-{group}{end}", self.prefix)
    }

    pub(super) async fn expect_chord(&self, chord: Expect) -> Result<(), ResultsError> {
        let structure = chord
            .structure
            .map(|structure| format!(r#"{{"result": {structure}}}"#));
        EXPECT
            .key(self.group(&chord.group, ".s"))
            .key(self.group(&chord.group, ".c"))
            .key(self.group(&chord.group, ""))
            .arg(chord.size)
            .arg(millis(chord.keep))
            .arg(u8::from(chord.again))
            .arg(structure.unwrap_or_default())
            .invoke_async::<i64>(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        Ok(())
    }

    pub(super) async fn join_part(&self, part: JoinPart) -> Result<Joined, ResultsError> {
        let place = part
            .index
            .map_or_else(|| "+inf".to_owned(), |index| index.to_string());
        let (state, value) = match &part.end {
            Ending::Returned(value) => ("SUCCESS", value.to_string()),
            Ending::Failed { state, exception } => (state.as_str(), result::thrown(exception)),
        };
        let id = Json::text(&part.id);
        let value = format!(r#"[1, {id}, "{state}", {value}]"#);
        let (answer, wait): (u8, i64) = JOIN
            .key(self.group(&part.group, ".j"))
            .key(self.group(&part.group, ".t"))
            .key(self.group(&part.group, ".s"))
            .key(self.group(&part.group, ".d"))
            .key(self.group(&part.group, ".c"))
            .arg(format!("{}:{place}", part.id))
            .arg(value)
            .arg(&place)
            .arg(millis(part.keep))
            .arg(format!("celeriac:{}", part.id))
            .arg(millis(Some(CLAIM)))
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        match answer {
            0 => Ok(Joined::Waiting),
            1 => self.parts(&part.group).await,
            _ => {
                let wait = Duration::from_millis(u64::try_from(wait).unwrap_or(0));
                let until = crate::clock::after(self.clock.now(), wait);
                Ok(Joined::Held { until })
            }
        }
    }

    /// Reads the parts, page by page, as many as a message may hold.
    async fn parts(&self, group: &str) -> Result<Joined, ResultsError> {
        let key = self.group(group, ".j");
        let mut server = self.server.shared();
        let kind: String = redis::cmd("TYPE")
            .arg(&key)
            .query_async(&mut server)
            .await
            .map_err(trouble)?;
        let range = if kind == "list" { "LRANGE" } else { "ZRANGE" };
        let (mut parts, mut bytes) = (Vec::new(), 0);
        for start in (0..).step_by(PAGE.unsigned_abs()) {
            let page: Vec<Vec<u8>> = redis::cmd(range)
                .arg(&key)
                .arg(start)
                .arg(start + PAGE - 1)
                .query_async(&mut server)
                .await
                .map_err(trouble)?;
            let count = page.len();
            for part in page {
                bytes += part.len() as u64;
                if bytes > JOINED_BYTES {
                    return Ok(Joined::TooLarge);
                }
                parts.push(
                    read(&part).ok_or_else(|| {
                        malformed(format!("a part of chord {group} cannot be read"))
                    })?,
                );
            }
            if count < PAGE.unsigned_abs() {
                break;
            }
        }
        let structure: Option<Vec<u8>> = redis::cmd("GET")
            .arg(self.group(group, ""))
            .query_async(&mut server)
            .await
            .map_err(trouble)?;
        Ok(Joined::Complete {
            parts,
            structure: structure.and_then(|text| saved(&text)),
        })
    }

    pub(super) async fn chord_joined(&self, group: &str) -> Result<(), ResultsError> {
        JOINED
            .key(self.group(group, ".c"))
            .key(self.group(group, ".j"))
            .key(self.group(group, ".t"))
            .key(self.group(group, ".s"))
            .key(self.group(group, ".d"))
            .arg(millis(Some(DONE)))
            .invoke_async::<i64>(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        Ok(())
    }
}

fn millis(span: Option<Duration>) -> u64 {
    span.map_or(0, |span| {
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
    })
}

/// Reads `[1, id, state, value]`.
fn read(part: &[u8]) -> Option<(String, Ending)> {
    let (_, id, state, value): (i64, String, String, &RawValue) =
        serde_json::from_slice(part).ok()?;
    let end = match state.as_str() {
        "SUCCESS" => Ending::Returned(Json::from(value)),
        _ => Ending::Failed {
            exception: Found::thrown(value, None)?,
            state,
        },
    };
    Some((id, end))
}

/// Reads a group that was saved.
fn saved(text: &[u8]) -> Option<Json> {
    #[derive(Deserialize)]
    struct Saved<'a> {
        #[serde(borrow)]
        result: &'a RawValue,
    }
    let saved: Saved<'_> = serde_json::from_slice(text).ok()?;
    Some(Json::from(saved.result))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_python_worker_is_read() {
        let (id, end) = read(br#"[1, "t", "SUCCESS", {"a": 1.50}]"#).unwrap();
        assert_eq!(
            (id.as_str(), end),
            ("t", Ending::Returned(Json::read(r#"{"a": 1.50}"#).unwrap()))
        );
        let failed = br#"[1, "t", "FAILURE", {"exc_type": "ValueError", "exc_message": ["hdr"], "exc_module": "builtins"}]"#;
        let Some((_, Ending::Failed { state, exception })) = read(failed) else {
            panic!("a failure");
        };
        assert_eq!(
            (state.as_str(), exception.message.as_str()),
            ("FAILURE", "hdr")
        );
        for bad in [
            &b""[..],
            b"[]",
            b"[1]",
            br#"[1, "t", "FAILURE", 7]"#,
            b"\xff",
        ] {
            assert_eq!(read(bad), None);
        }
    }
}
