-- Purpose: write one record of a key or a tenant, unless it has changed since it was read.
-- KEYS:    records, versions, names
-- ARGV:    id, expected, record, name, former, [closed]
-- records: hash of all records, by id.
-- versions: sorted set of their versions, by id. The member without a name has the newest one.
-- names:   hash of the ids of all keys that work, by name.
-- expected: version that was read. 0 when the record must be new.
-- record:  JSON. Empty removes the record, a day after its last change at the earliest.
-- name:    name that the record holds from now on. Empty for none.
-- former:  name that it held. Empty for none.
-- closed:  JSON of a record `anonymous` to write with this one. Absent when that one stays as it is.
-- Returns: the new version. 0 when another write was first, or when it is too early to remove the record.
--          -1 when another record holds the name.
-- Atomic:  of two writers one must see the other. Record, version and name change together.
-- Versions are microseconds of Redis's clock, or the newest plus 1. A version lost in a failover does not return.
local former = tonumber(redis.call('ZSCORE', KEYS[2], ARGV[1]) or '0')
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
if former ~= tonumber(ARGV[2]) or (ARGV[3] == '' and now - former < 86400000000) then
  return 0
end
local holder = ARGV[4] ~= '' and redis.call('HGET', KEYS[3], ARGV[4])
if holder and holder ~= ARGV[1] then
  return -1
end
local newest = tonumber(redis.call('ZSCORE', KEYS[2], '') or '0')
local version = math.max(newest + 1, now)
local text = string.format('%.0f', version)
if ARGV[5] ~= '' and ARGV[5] ~= ARGV[4] and redis.call('HGET', KEYS[3], ARGV[5]) == ARGV[1] then
  redis.call('HDEL', KEYS[3], ARGV[5])
end
if ARGV[4] ~= '' then
  redis.call('HSET', KEYS[3], ARGV[4], ARGV[1])
end
redis.call('ZADD', KEYS[2], text, '')
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
  redis.call('ZADD', KEYS[2], text, ARGV[1])
end
if ARGV[6] then
  redis.call('HSET', KEYS[1], 'anonymous', ARGV[6])
  redis.call('ZADD', KEYS[2], text, 'anonymous')
end
return version
