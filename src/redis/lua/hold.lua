-- Purpose: take something for a while, take it for longer, or give it back.
-- KEYS[1]: the hold
-- ARGV[1]: who holds it
-- ARGV[2]: for how long, ms; 0 gives it back
-- Returns: 1; 0 when somebody else holds it, and nothing changes
-- Atomic:  of two who want it at once one gets it; whoever comes back late takes it from nobody
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then
  return 0
end
if ARGV[2] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
