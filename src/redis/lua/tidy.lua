-- Purpose: remove what workers that never said goodbye leave in a consumer group: their names.
-- KEYS[1]: queue
-- ARGV[1]: consumer group
-- ARGV[2]: least idle time, ms
-- Returns: number of consumers removed; those with pending entries stay, a queue without the group has none
-- Atomic:  removing a consumer removes its pending entries, so none may come between look and removal
local consumers = redis.pcall('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])
local removed = 0
if consumers.err then
  return removed
end
for _, fields in ipairs(consumers) do
  local consumer = {}
  for i = 1, #fields, 2 do
    consumer[fields[i]] = fields[i + 1]
  end
  if consumer.pending == 0 and consumer.idle >= tonumber(ARGV[2]) then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], consumer.name)
    removed = removed + 1
  end
end
return removed
