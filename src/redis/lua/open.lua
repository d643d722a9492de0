-- Purpose: create the reply streams of new (or, after a reconnect, of all open) tasks.
--          They begin empty: a stream with an entry takes 4,419 bytes of Redis, one without 305
-- KEYS:    reply stream of each task; all share one hash tag
-- ARGV[i]: life of KEYS[i] in ms
-- Returns: number of streams created; one that exists already only gets its life renewed. Redis's own error
--          (out of memory, read only) when one could not be created
-- Atomic:  a stream without an expiry must never be seen by a crash
local created = 0
for i = 1, #KEYS do
  local id = redis.pcall('XADD', KEYS[i], 'MAXLEN', '0', '0-1', 'm', '1')
  if type(id) ~= 'table' then
    created = created + 1
  elseif redis.call('EXISTS', KEYS[i]) == 0 then
    return id
  end
  redis.call('PEXPIRE', KEYS[i], ARGV[i])
end
return created
