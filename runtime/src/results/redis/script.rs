//! What must happen in one step, as scripts that Redis runs.

use redis::Script;
use std::sync::LazyLock;

/// The fields of a run record, in the order in which they are read.
pub(super) const FIELDS: [&str; 8] = [
    "retries",
    "deliveries",
    "state",
    "task",
    "worker",
    "lease_until",
    "due",
    "expires_at",
];

/// Whether a document says that its task is over, which one that was ordered before
/// anybody ran it does not. Ours, and those that Celery
/// writes, begin with the state; of any other the whole is read. A document past
/// the time it names itself stands in nobody's way.
const IS_OVER: &str = r#"
local function is_over(key, now)
  local head = redis.call('GETRANGE', key, 0, 255)
  if head == '' then return false end
  local ends = string.match(head, '^{"status": "[^"]*", "celeriac": {"expires_at": ?(%d+)')
  if ends and tonumber(ends) <= now then return false end
  local ours = string.match(head, '^{"status": "REVOKED", "celeriac": {(.*)$')
  if ours and string.match((string.gsub(ours, '^"expires_at":%d+,', '')), '^"ordered":true') then return false end
  local status = string.match(head, '^{"status": "([A-Z]+)"')
  if not status then
    local read, document = pcall(cjson.decode, redis.call('GET', key))
    status = read and type(document) == 'table' and document['status']
  end
  return status == 'SUCCESS' or status == 'FAILURE' or status == 'REVOKED'
end
"#;

/// Stores a document unless the task is over or a later run has the record.
/// Keys: document, run. Arguments: retries, deliveries, final, retry, now, keep
/// (ms, 0 is for ever), document, then the fields of the run.
pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        r#"{IS_OVER}
local retries, deliveries = tonumber(ARGV[1]), tonumber(ARGV[2])
local now, keep = tonumber(ARGV[5]), tonumber(ARGV[6])
local run = redis.call('HMGET', KEYS[2], 'retries', 'deliveries', 'expires_at')
local r, d, ends = tonumber(run[1]), tonumber(run[2]), tonumber(run[3])
local is_recorded = r and d and (run[3] == '' or (ends and ends > now))
if is_recorded then
  if r > retries or (r == retries and d > deliveries) then return 0 end
end
if is_over(KEYS[1], now) then return 0 end
if keep > 0 then
  redis.call('SET', KEYS[1], ARGV[7], 'PX', keep)
else
  redis.call('SET', KEYS[1], ARGV[7])
end
redis.call('PUBLISH', KEYS[1], ARGV[7])
if ARGV[3] == '1' then
  if run[1] then redis.call('DEL', KEYS[2]) end
  return 1
end
if run[1] and not is_recorded then redis.call('DEL', KEYS[2]) end
for i = 8, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
if ARGV[4] == '1' or not is_recorded then redis.call('HSET', KEYS[2], 'lease_until', '') end
if keep > 0 then redis.call('PEXPIRE', KEYS[2], keep) else redis.call('PERSIST', KEYS[2]) end
return 1
"#
    ))
});

/// Takes the record of a run, if it is still as it was read.
/// Keys: document, run. Arguments: version, now, keep (ms), the fields.
pub(super) static BEGIN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(&format!(
        r#"{IS_OVER}
local run = redis.call('HMGET', KEYS[2], 'retries', 'deliveries', 'state', 'worker', 'lease_until')
for i = 1, 5 do run[i] = run[i] or '' end
local over = is_over(KEYS[1], tonumber(ARGV[2])) and 'over' or ''
if table.concat(run, '|') .. '|' .. over ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[2])
for i = 4, #ARGV, 2 do redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1]) end
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
"#
    ))
});

/// Renews the leases of those runs that still have their record.
/// Keys: runs. Arguments: until, expiry, now, then retries and deliveries of each.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i, key in ipairs(KEYS) do
  -- What is no record costs the others nothing.
  local run = redis.pcall('HMGET', key, 'retries', 'deliveries', 'lease_until', 'expires_at')
  local ours = run[1] == ARGV[2 + 2 * i] and run[2] == ARGV[3 + 2 * i]
  if ours and run[3] ~= '' then
    redis.call('HSET', key, 'lease_until', ARGV[1])
    local ends = tonumber(run[4])
    if ends and ends < tonumber(ARGV[2]) then
      redis.call('HSET', key, 'expires_at', ARGV[2])
      redis.call('PEXPIRE', key, tonumber(ARGV[2]) - tonumber(ARGV[3]))
    end
  end
end
",
    )
});

/// Adds revocations to the stream, which keeps the newest, and lives as long as the last.
/// What every worker records because all were told stands there once: an order that was
/// recorded in the last minute, and is no more than that, adds nothing.
/// Keys: the stream, where everything is within it. Arguments: most entries, now (ms),
/// then stamp, value, terminate and until (ms) of each.
pub(super) static REVOKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local most, now = tonumber(ARGV[1]), tonumber(ARGV[2])
local longest = redis.call('PTTL', KEYS[1])
local function name(stamp, value) return #stamp .. ':' .. stamp .. value end
for i = 3, #ARGV, 4 do
  local stamp, value, terminate, ends = ARGV[i], ARGV[i + 1], ARGV[i + 2], tonumber(ARGV[i + 3])
  local known = redis.call('HGET', KEYS[2], name(stamp, value)) or ''
  local entry, ended, ended_at = string.match(known, '^(%S+) ([01]) (%d+)$')
  local is_news = not entry or terminate > ended or math.abs(ends - tonumber(ended_at)) > 60000
  if is_news then
    if entry then
      redis.call('XDEL', KEYS[1], entry)
      if ended == '1' then terminate = '1' end
    end
    entry = redis.call('XADD', KEYS[1], '*', 'stamp', stamp, 'value', value,
      'terminate', terminate, 'until', ARGV[i + 3])
    redis.call('HSET', KEYS[2], name(stamp, value), entry .. ' ' .. terminate .. ' ' .. ARGV[i + 3])
    longest = math.max(longest, ends - now)
  end
end
local over = redis.call('XLEN', KEYS[1]) - most
if over > 0 then
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', over)) do
    redis.call('XDEL', KEYS[1], entry[1])
    redis.call('HDEL', KEYS[2], name(entry[2][2] or '', entry[2][4] or ''))
  end
end
if longest > 0 then
  redis.call('PEXPIRE', KEYS[1], longest)
  redis.call('PEXPIRE', KEYS[2], longest)
end
",
    )
});

/// Tells when a limited task may start, by the rules of `policy/rate.rs`, which a test
/// holds against it. Keys: the line's cursors, its promises. Arguments: now, the task,
/// interval, short, patience (all microseconds), most promises.
pub(super) static TURN: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local now, id = tonumber(ARGV[1]), ARGV[2]
local interval, short, patience = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local cursors = redis.call('HMGET', KEYS[1], 'gate', 'tail', 'late')
local gate = math.max(tonumber(cursors[1]) or 0, now)
local tail, late = tonumber(cursors[2]) or 0, tonumber(cursors[3]) or 0
local function number(value) return string.format('%.0f', value) end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', number(now - 20 * patience))
local mine = tonumber(redis.call('ZSCORE', KEYS[2], id) or nil)
local is_soon, is_turn = gate - now < short, false
if mine then
  is_turn = mine - now < short
elseif is_soon then
  local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
  if not first[1] then
    is_turn = true
  elseif tonumber(first[2]) + patience <= now then
    redis.call('ZREM', KEYS[2], first[1])
    is_turn = true
  else
    is_turn = gate + interval <= tonumber(first[2])
  end
end
local at
if is_soon and is_turn then
  redis.call('ZREM', KEYS[2], id)
  at = gate
  redis.call('HSET', KEYS[1], 'gate', number(gate + interval))
else
  if mine and mine - now >= short then
    at = mine
  elseif mine then
    at = math.max(gate, late)
    redis.call('HSET', KEYS[1], 'late', number(at + interval))
  else
    at = math.max(gate, tail)
    redis.call('HSET', KEYS[1], 'tail', number(at + interval))
  end
  if mine or redis.call('ZCARD', KEYS[2]) < tonumber(ARGV[6]) then
    redis.call('ZADD', KEYS[2], number(at), id)
  end
end
local kept = math.ceil((math.max(gate, tail, late, at) + 2 * interval - now) / 1000) + 60000
redis.call('PEXPIRE', KEYS[1], number(kept))
redis.call('PEXPIRE', KEYS[2], number(kept))
return {is_soon and is_turn and 1 or 0, at}
",
    )
});
