-- Purpose: remove the consumers of workers that did not leave in order.
-- KEYS:    queue
-- ARGV:    group, idle
-- idle:    least idle time of a removed consumer, ms.
-- Returns: number of consumers removed. Consumers with pending entries stay. 0 for a queue without the group.
-- Atomic:  removing a consumer removes its pending entries, so none may come between the check and the removal.
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
