//! What must happen in one step, as scripts that Redis runs.

use redis::Script;
use std::sync::LazyLock;

/// Publishes messages, each unless its key is taken.
/// Keys: queues, then for each message: place, marker. Arguments for each: score
/// (0 is a list), member, queue, how long the marker is kept (ms; 0 is none).
pub(super) static PUBLISH: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
for i = 0, #ARGV / 4 - 1 do
  local place, marker = KEYS[2 * i + 2], KEYS[2 * i + 3]
  local score, member, queue, kept = unpack(ARGV, 4 * i + 1, 4 * i + 4)
  if kept == '0' or redis.call('SET', marker, '1', 'NX', 'PX', kept) then
    if score == '0' then
      redis.call('LPUSH', place, member)
    else
      redis.call('ZADD', place, score, member)
    end
    redis.call('SADD', KEYS[1], queue)
  end
end
",
    )
});

/// Takes messages and registers them with kombu and with us.
/// Keys: unacked, unacked_index, then for each queue: parked, leases, 4 lists.
/// Arguments: now (ms), taken (s), lease end (ms), most messages, most bytes, what
/// tags begin with, first number, most parked messages that become ready, then
/// the queues as JSON texts.
/// Answer: in turn the place of the queue (from 0) and the envelope.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"
local max, bytes, number = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local queues = (#KEYS - 2) / 6
local function key(queue, place) return KEYS[2 + (queue - 1) * 6 + place] end
local step_of = {['0'] = 3, ['3'] = 4, ['6'] = 5, ['9'] = 6}
for queue = 1, queues do
  local due = redis.call('ZRANGEBYSCORE', key(queue, 1), '-inf', ARGV[1], 'LIMIT', 0, ARGV[8])
  for i = #due, 1, -1 do
    local list = step_of[string.sub(due[i], 33, 33)] or 3
    redis.call('RPUSH', key(queue, list), string.sub(due[i], 34))
    redis.call('ZREM', key(queue, 1), due[i])
  end
end
local taken, count = {}, 0
for list = 3, 6 do
  local empty = 0
  local is_empty = {}
  while empty < queues and count < max and bytes > 0 do
    for queue = 1, queues do
      if not is_empty[queue] and count < max and bytes > 0 then
        local envelope = redis.call('RPOP', key(queue, list))
        if not envelope then
          is_empty[queue] = true
          empty = empty + 1
        else
          local tag = ARGV[6] .. string.format('%.0f', number + count)
          redis.call('HSET', KEYS[1], tag, '[' .. envelope .. ', "", ' .. ARGV[8 + queue] .. ']')
          redis.call('ZADD', KEYS[2], ARGV[2], tag)
          redis.call('ZADD', key(queue, 2), ARGV[3], tag)
          count = count + 1
          bytes = bytes - #envelope
          taken[#taken + 1] = tostring(queue - 1)
          taken[#taken + 1] = envelope
        end
      end
    end
  end
end
return taken
"#,
    )
});

/// Ends a delivery for whoever still holds it.
/// Keys: unacked, unacked_index, leases, marker, place. Arguments: tag, how
/// (ack, front, park, dead), score, member, most dead letters, whether the
/// marker goes.
pub(super) static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
if redis.call('ZREM', KEYS[3], ARGV[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('HDEL', KEYS[1], ARGV[1])
if ARGV[6] == '1' then redis.call('DEL', KEYS[4]) end
if ARGV[2] == 'front' then
  redis.call('RPUSH', KEYS[5], ARGV[4])
elseif ARGV[2] == 'park' then
  redis.call('ZADD', KEYS[5], ARGV[3], ARGV[4])
elseif ARGV[2] == 'dead' then
  redis.call('LPUSH', KEYS[5], ARGV[4])
  redis.call('LTRIM', KEYS[5], 0, ARGV[5] - 1)
end
return 1
",
    )
});

/// Extends leases, with kombu and with us.
/// Keys: unacked_index, then the leases of each. Arguments: taken (s), lease end
/// (ms), then each tag. Answer: whether each is still held.
pub(super) static EXTEND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local alive = {}
for i = 2, #KEYS do
  local tag = ARGV[i + 1]
  if redis.call('ZSCORE', KEYS[i], tag) then
    redis.call('ZADD', KEYS[i], 'XX', ARGV[2], tag)
    redis.call('ZADD', KEYS[1], 'XX', ARGV[1], tag)
    alive[i - 1] = 1
  else
    alive[i - 1] = 0
  end
end
return alive
",
    )
});

/// Gives a message back whose lease lapsed, if it still has.
/// Keys: unacked, unacked_index, leases, list. Arguments: tag, now (ms), envelope
/// (empty: there is none any more).
pub(super) static RESTORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local ends = redis.call('ZSCORE', KEYS[3], ARGV[1])
if not ends or tonumber(ends) > tonumber(ARGV[2]) then return 0 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
local had = redis.call('HDEL', KEYS[1], ARGV[1])
if had == 1 and ARGV[3] ~= '' then redis.call('RPUSH', KEYS[4], ARGV[3]) end
return 1
",
    )
});

/// Gives a message back that nobody acknowledged for too long, unless it is ours.
/// Keys: unacked, unacked_index, then leases and list of each queue. Arguments:
/// tag, latest score, envelope. Answer: whether the tag is gone from the index.
pub(super) static ABANDONED: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local score = redis.call('ZSCORE', KEYS[2], ARGV[1])
if not score then return 1 end
if tonumber(score) > tonumber(ARGV[2]) then return 0 end
for i = 3, #KEYS, 2 do
  if redis.call('ZSCORE', KEYS[i], ARGV[1]) then return 0 end
end
if #KEYS == 2 and redis.call('HEXISTS', KEYS[1], ARGV[1]) == 1 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
  for i = 4, #KEYS, 2 do redis.call('RPUSH', KEYS[i], ARGV[3]) end
end
return 1
",
    )
});

/// Releases a lock of one's own. Keys: the lock. Arguments: what was put there.
pub(super) static RELEASE: LazyLock<Script> = LazyLock::new(|| {
    Script::new("if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end")
});

/// Looks without taking: whether a list has anything, and the lowest score of sorted
/// sets (the end of time: there is none).
/// Keys: lists, then sorted sets. Arguments: how many lists.
pub(super) static LOOK: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local lists, is_there, first = tonumber(ARGV[1]), 0, 9223372036854774784
for i = 1, lists do
  if redis.call('EXISTS', KEYS[i]) == 1 then is_there = 1 end
end
for i = lists + 1, #KEYS do
  local head = redis.call('ZRANGE', KEYS[i], 0, 0, 'WITHSCORES')
  if head[2] then first = math.min(first, tonumber(head[2])) end
end
return {is_there, first}
",
    )
});

/// Looks for a message that has one of some texts, without taking it.
/// Keys: list or sorted set, and kombu's `unacked` for what is held. Arguments: what it
/// is (list, dead, parked, held), first place, most messages, most bytes, texts.
/// Answer: how many were looked at, the message, and its score or tag.
pub(super) static FIND: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local kind, first, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local seen = 0
local function at(place)
  if kind == 'list' then return redis.call('LINDEX', KEYS[1], -1 - place), '' end
  if kind == 'dead' then return redis.call('LINDEX', KEYS[1], place), '' end
  if kind == 'parked' then
    local one = redis.call('ZRANGE', KEYS[1], place, place, 'WITHSCORES')
    return one[1], one[2]
  end
  local tag = redis.call('ZREVRANGE', KEYS[1], place, place)[1]
  if not tag then return nil end
  return redis.call('HGET', KEYS[2], tag) or '', tag
end
while seen < most and bytes > 0 do
  local message, note = at(first + seen)
  if not message then break end
  seen = seen + 1
  bytes = bytes - #message
  for i = 5, #ARGV do
    if string.find(message, ARGV[i], 1, true) then return {seen, message, note} end
  end
end
return {seen, false, false}
",
    )
});

/// Makes parked messages due.
/// Keys: parked. Arguments: now (ms), the latest that is woken (ms), most messages.
/// Answer: how many.
pub(super) static WAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
local soon = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
for i = 1, #soon do redis.call('ZADD', KEYS[1], 'XX', ARGV[1], soon[i]) end
return #soon
",
    )
});

/// Removes messages.
/// Keys: list or sorted set. Arguments: LLEN or ZCARD, as its kind is; most messages.
/// Answer: how many, and those of them that may have a key.
pub(super) static PURGE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r#"
local removed, keyed = 0, {}
local is_list, bytes = ARGV[1] == 'LLEN', 67108864
while removed < tonumber(ARGV[2]) and bytes > 0 do
  local message
  if is_list then
    message = redis.call('RPOP', KEYS[1])
  else
    message = redis.call('ZPOPMIN', KEYS[1])[1]
  end
  if not message then break end
  removed = removed + 1
  bytes = bytes - #message
  if string.find(message, '"key":"', 1, true) then keyed[#keyed + 1] = message end
end
return {removed, keyed}
"#,
    )
});
