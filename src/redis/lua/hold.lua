-- Purpose: take, extend or release a lock that expires.
-- KEYS:    lock
-- ARGV:    holder, life
-- holder:  name of the process that takes the lock.
-- life:    time until the lock expires, ms. 0 releases it.
-- Returns: 1. 0 when another holder has the lock: nothing changes.
-- Atomic:  only one of two holders gets it. A late release does not remove the lock of a new holder.
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
