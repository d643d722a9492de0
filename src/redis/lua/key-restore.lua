-- Purpose: write records back that Redis has lost.
-- KEYS:    records, versions, names
-- ARGV:    { id, version, record, name }...
-- records, versions, names: see keyset.lua.
-- version: version that the record had.
-- record:  JSON.
-- name:    name that the record held. Empty for none.
-- Returns: number of records written. One that Redis has in the same version or a later one stays as it is.
-- Atomic:  several gateways write the same records back, and the latest version of each must remain.
-- The newest version grows without a record of its own. That tells other gateways to read all records.
local written, newest = 0, tonumber(redis.call('ZSCORE', KEYS[2], '') or '0')
for i = 1, #ARGV, 4 do
  local id, version, record, name = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  if tonumber(redis.call('ZSCORE', KEYS[2], id) or '0') < tonumber(version) then
    redis.call('HSET', KEYS[1], id, record)
    redis.call('ZADD', KEYS[2], version, id)
    if name ~= '' then
      redis.call('HSETNX', KEYS[3], name, id)
    end
    newest = math.max(newest, tonumber(version))
    written = written + 1
  end
end
if written > 0 then
  local time = redis.call('TIME')
  newest = math.max(newest + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('ZADD', KEYS[2], string.format('%.0f', newest), '')
end
return written
