-- Purpose: record how a requeued attempt failed, in the reply stream, and tell the gateway.
-- KEYS:    reply
-- ARGV:    fence, worker, note, channel, publish, frame
-- reply:   reply stream of the task.
-- fence:   number of the attempt plus 1. Fences the attempt.
-- worker:  made the attempt.
-- note:    JSON.
-- channel: channel of the gateway.
-- publish: PUBLISH. SPUBLISH in a cluster.
-- frame:   frame record with the same note.
-- Returns: 1. 0 when the reply is gone or a later attempt has begun: nothing changes.
-- Atomic:  only a note that is in the stream may be published.
local id = redis.pcall('XADD', KEYS[1], 'NOMKSTREAM', ARGV[1] .. '-0', 'c', ARGV[2], 'note', ARGV[3])
if not id or type(id) == 'table' then
  return 0
end
redis.call(ARGV[5], ARGV[4], ARGV[6])
return 1
