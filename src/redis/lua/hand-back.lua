-- Purpose: requeue a task in hand, so that any worker may take it over at once.
-- KEYS:    queue
-- ARGV:    group, consumer, entry, [deliveries]
-- deliveries: delivery count that is left to the entry. Unchanged when absent.
-- Returns: 1. 0 when the consumer no longer holds the entry, which then stays as it is.
-- Atomic:  a worker that was frozen beyond its lease must not take the task from its new worker.
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
  return 0
end
-- Sets the delivery time to 1970: no lost worker is silent for that long. XCLAIM reads an IDLE beyond 1970 as 0.
local how = { 'TIME', 0, 'JUSTID' }
if ARGV[4] then
  how = { 'TIME', 0, 'RETRYCOUNT', ARGV[4], 'JUSTID' }
end
return #redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], unpack(how))
