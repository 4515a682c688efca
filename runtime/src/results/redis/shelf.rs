//! Keys and values as the hash `celeriac-shelf-{MODULE}`, and how many bytes they have in
//! `celeriac-shelf-{MODULE}-bytes`. The braces are part of the names, so that no module
//! can be called like the bytes of another.

use super::super::ResultsError;
use super::super::shelf::{Kept, LARGEST, PAGE, Refused, Shelves, Space};
use super::{RedisResults, trouble};
use async_trait::async_trait;
use redis::Script;
use std::sync::LazyLock;

/// Keeps a value: 0 where it is kept, 1 for too many keys, 2 for too many bytes.
const PUT: &str = r#"
local function put(key, value)
  local old = redis.call('HEXISTS', KEYS[1], key) == 1
  local more = #value
  if old then more = more - redis.call('HSTRLEN', KEYS[1], key) else more = more + #key end
  if not old and redis.call('HLEN', KEYS[1]) + 1 > tonumber(ARGV[1]) then return 1 end
  local bytes = tonumber(redis.call('GET', KEYS[2]) or '0')
  if more > 0 and bytes + more > tonumber(ARGV[2]) then return 2 end
  redis.call('HSET', KEYS[1], key, value)
  redis.call('INCRBY', KEYS[2], more)
  return 0
end
"#;

/// Keeps values until one finds no space. Keys: the hash, its bytes. Arguments: most
/// keys, most bytes, then keys and values.
static SET: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        r"{PUT}
for i = 3, #ARGV, 2 do
  local answer = put(ARGV[i], ARGV[i + 1])
  if answer ~= 0 then return answer end
end
return 0
"
    ))
});

/// Removes keys. Keys: the hash, its bytes. Arguments: the keys.
static DELETE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for _, key in ipairs(ARGV) do
  local length = redis.call('HSTRLEN', KEYS[1], key)
  if redis.call('HDEL', KEYS[1], key) == 1 then
    redis.call('DECRBY', KEYS[2], #key + length)
  end
end
if redis.call('HLEN', KEYS[1]) == 0 then redis.call('DEL', KEYS[2]) end
",
    )
});

/// Adds to a number, which Redis does: the numbers of scripts are not exact. Keys: the
/// hash, its bytes. Arguments: most keys, most bytes, the key, what to add.
static ADD: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        r"{PUT}
local key, known = ARGV[3], redis.call('HGET', KEYS[1], ARGV[3])
if known and not string.match(known, '^%d+$') then return {{3, ''}} end
local sum = redis.pcall('HINCRBY', KEYS[1], key, ARGV[4])
if type(sum) == 'table' then return {{3, ''}} end
sum = redis.call('HGET', KEYS[1], key)
if known then redis.call('HSET', KEYS[1], key, known) else redis.call('HDEL', KEYS[1], key) end
return {{put(key, sum), sum}}
"
    ))
});

impl RedisResults {
    fn shelf(&self, module: &str) -> (String, String) {
        let shelf = format!("{}celeriac-shelf-{{{module}}}", self.prefix);
        let bytes = format!("{shelf}-bytes");
        (shelf, bytes)
    }
}

#[async_trait]
impl Shelves for RedisResults {
    async fn get(
        &self,
        module: &str,
        keys: &[String],
    ) -> Result<Vec<Option<Vec<u8>>>, ResultsError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        redis::cmd("HMGET")
            .arg(self.shelf(module).0)
            .arg(keys)
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    async fn set(
        &self,
        module: &str,
        pairs: Vec<(String, Vec<u8>)>,
        space: Space,
    ) -> Result<Kept<()>, ResultsError> {
        let (shelf, bytes) = self.shelf(module);
        let mut set = SET.prepare_invoke();
        set.key(shelf).key(bytes).arg(space.keys).arg(space.bytes);
        for (key, value) in pairs {
            set.arg(key).arg(value);
        }
        let answer: i64 = set
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        Ok(kept(answer))
    }

    async fn delete(&self, module: &str, keys: Vec<String>) -> Result<(), ResultsError> {
        let (shelf, bytes) = self.shelf(module);
        let mut delete = DELETE.prepare_invoke();
        delete.key(shelf).key(bytes);
        for key in keys {
            delete.arg(key);
        }
        delete
            .invoke_async::<()>(&mut self.server.shared())
            .await
            .map_err(trouble)
    }

    async fn keys(&self, module: &str, after: u64) -> Result<Vec<String>, ResultsError> {
        // At most 10,000: in an order that pages need, which a scan of Redis has not.
        let mut keys: Vec<String> = redis::cmd("HKEYS")
            .arg(self.shelf(module).0)
            .query_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        keys.sort_unstable();
        let after = usize::try_from(after).unwrap_or(usize::MAX);
        Ok(keys.into_iter().skip(after).take(PAGE).collect())
    }

    async fn increment(
        &self,
        module: &str,
        key: String,
        delta: u64,
        space: Space,
    ) -> Result<Kept<u64>, ResultsError> {
        if delta > LARGEST {
            return Ok(Err(Refused::NotANumber));
        }
        let (shelf, bytes) = self.shelf(module);
        let (answer, sum): (i64, String) = ADD
            .key(shelf)
            .key(bytes)
            .arg(space.keys)
            .arg(space.bytes)
            .arg(key)
            .arg(delta)
            .invoke_async(&mut self.server.shared())
            .await
            .map_err(trouble)?;
        let sum = sum.parse().map_err(|_| Refused::NotANumber);
        Ok(kept(answer).and(sum))
    }
}

/// What the scripts answer with.
fn kept(answer: i64) -> Kept<()> {
    match answer {
        0 => Ok(()),
        1 => Err(Refused::TooManyKeys),
        2 => Err(Refused::TooManyBytes),
        _ => Err(Refused::NotANumber),
    }
}
