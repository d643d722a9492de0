-- Purpose: tell how an attempt failed that was handed back: in the reply stream, and to the gateway.
-- KEYS[1]: reply stream of the task
-- ARGV[1]: the attempt's number and one: fences it
-- ARGV[2]: worker that made it
-- ARGV[3]: note, as JSON
-- ARGV[4]: channel of the gateway
-- ARGV[5]: PUBLISH, or SPUBLISH in a cluster
-- ARGV[6]: frame record with the same note
-- Returns: 1; 0 when the reply is gone, or a later attempt has begun, which is then left as it is
-- Atomic:  only a note that is in the stream may be published
local id = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1] .. '-0', 'c', ARGV[2], 'note', ARGV[3])
if not id or type(id) == 'table' then
  return 0
end
redis.call(ARGV[5], ARGV[4], ARGV[6])
return 1
