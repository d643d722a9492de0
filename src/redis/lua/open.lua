-- Purpose: create the reply streams of new tasks, and after a reconnect of all open tasks.
-- KEYS:    replies...
-- ARGV:    life...
-- replies: reply stream of each task. All share one hash tag.
-- life:    time until each stream expires, ms.
-- Returns: number of streams created. An existing stream only gets its life renewed.
--          Redis's own error (out of memory, read only) when a stream could not be created.
-- Atomic:  a crash must not leave a stream without an expiry.
-- A stream begins without an entry: it then takes 305 bytes of Redis, with one entry 4,419.
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
