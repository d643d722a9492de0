-- Purpose: claim at most a number of tasks over several queues (XREADGROUP's COUNT is per stream).
-- KEYS:    queues, in the order they are to be served
-- ARGV[1]: consumer group
-- ARGV[2]: consumer
-- ARGV[3]: most tasks to claim
-- Returns: {{index of the queue, entries}, ...} for the queues that had any; a queue without the group gets it:
--          who emptied Redis cut no connection, so nobody else would notice
-- Atomic:  one call knows how many are left to take
local left, taken = tonumber(ARGV[3]), {}
for i = 1, #KEYS do
  if left <= 0 then
    break
  end
  local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', left, 'STREAMS', KEYS[i], '>')
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.pcall('XGROUP', 'CREATE', KEYS[i], ARGV[1], '0', 'MKSTREAM')
    reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', left, 'STREAMS', KEYS[i], '>')
  end
  if reply and not reply.err and reply[1] then
    local entries = reply[1][2]
    left = left - #entries
    taken[#taken + 1] = { i, entries }
  end
end
return taken
