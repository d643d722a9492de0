-- Claims entries of one queue. Needs ARGV[1] (group) and ARGV[2] (consumer) of its script.
-- A queue without the group gets it. FLUSHALL cuts no connection, so no worker would notice the loss otherwise.
local function claimFrom(queue, count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.pcall('XGROUP', 'CREATE', queue, ARGV[1], '0', 'MKSTREAM')
    reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  end
  return reply and reply[1] and reply[1][2] or {}
end
