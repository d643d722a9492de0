-- Purpose: give a task in hand up, so that any worker may take it over at once.
-- KEYS[1]: queue
-- ARGV[1]: consumer group
-- ARGV[2]: consumer
-- ARGV[3]: entry
-- ARGV[4]: delivery count that is left to it; as it is when absent
-- Returns: 1; 0 when the consumer does not hold the entry (any more), which is then left as it is
-- Atomic:  a worker that was frozen beyond its lease must not take the task from whoever runs it now
if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1, ARGV[2]) == 0 then
  return 0
end
-- Silent since 1970, longer than any worker that was lost. Not by IDLE: more of it than since 1970 would count as none.
local how = { 'TIME', 0, 'JUSTID' }
if ARGV[4] then
  how = { 'TIME', 0, 'RETRYCOUNT', ARGV[4], 'JUSTID' }
end
return #redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], unpack(how))
