-- Purpose: claim at most a number of tasks over several queues (XREADGROUP's COUNT is per stream).
-- KEYS:    queues, in the order they are to be served
-- ARGV[1]: consumer group
-- ARGV[2]: consumer
-- ARGV[3]: most tasks to claim
-- Returns: {{index of the queue, entries}, ...} for the queues that had any; a queue without the group gets it:
--          who emptied Redis cut no connection, so nobody else would notice
-- Atomic:  one call knows how many are left to take
local function read(queue, count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.pcall('XGROUP', 'CREATE', queue, ARGV[1], '0', 'MKSTREAM')
    reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  end
  return reply and reply[1] and reply[1][2] or {}
end
local left, taken = tonumber(ARGV[3]), {}
for i = 1, #KEYS do
  if left <= 0 then
    break
  end
  -- Most queues are empty: to ask costs 0.5 us, a read that finds nothing 1.0.
  local length = redis.pcall('XLEN', KEYS[i])
  if type(length) == 'number' and length > 0 then
    local entries = read(KEYS[i], left)
    left = left - #entries
    if #entries > 0 then
      taken[#taken + 1] = { i, entries }
    end
  end
end
return taken
