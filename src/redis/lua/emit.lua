-- Purpose: append frames to reply streams and publish the accepted ones to their gateway.
-- Parts:   size-of
-- KEYS:    replies...
-- ARGV:    channel, publish, life, records, { id, shape }..., [nudge]
-- replies: reply stream of each frame. All share one hash tag.
-- channel: channel of the gateway.
-- publish: PUBLISH. SPUBLISH in a cluster.
-- life:    time until a reply stream expires after its end frame, ms.
-- records: frame records, one after the other.
-- id:      <attempt>-<seq>.
-- shape:   field (f for a frame, e for an end frame), then the size of its record in bytes.
-- nudge:   record published in place of the records, which are too large for a message.
-- Returns: a code per frame.
--          0: accepted, now or by an earlier call.
--          1: the reply is gone. Or an earlier attempt is answering, and this one has not claimed the task.
--          2: fenced by a later attempt.
--          3: not stored (out of memory, read only). Send it again.
-- Atomic:  only frames that are in the stream may be published: the stream is the truth.
local records = ARGV[4]
-- Reads the last entry of each stream once. An entry may be large, and a stolen worker password may name it often.
local tops = {}
local function topOf(key)
  if tops[key] == nil then
    local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    tops[key] = top and { top[1], top[2][1] } or { '0-0', '' }
  end
  return tops[key]
end
-- True when another attempt has begun to answer. A task may be queued again although its worker lives: Redis may have
-- lost its entry. The second attempt must not break the answer.
local function isAnswering(key, wanted)
  if string.sub(wanted, -2) ~= '-1' or redis.call('XLEN', key) == 0 then
    return false
  end
  local top = topOf(key)
  local attempt = tonumber(string.match(wanted, '^%d+'))
  return top[2] ~= 'c' and tonumber(string.match(top[1], '^%d+')) < attempt
end
local codes, accepted, from = {}, {}, 1
for i = 1, #KEYS do
  local wanted, shape = ARGV[2 * i + 3], ARGV[2 * i + 4]
  local field, till = string.sub(shape, 1, 1), from + sizeOf(string.sub(shape, 2), records) - 1
  local record = string.sub(records, from, till)
  from = till + 1
  local id = not isAnswering(KEYS[i], wanted) and redis.pcall('XADD', KEYS[i], 'NOMKSTREAM', wanted, field, record)
  if not id then
    codes[i] = 1
  elseif type(id) == 'table' then
    local topAttempt, topSeq = string.match(topOf(KEYS[i])[1], '^(%d+)-(%d+)$')
    local attempt, seq = string.match(wanted, '^(%d+)-(%d+)$')
    if tonumber(topAttempt) > tonumber(attempt) then
      codes[i] = 2
    elseif topAttempt == attempt and tonumber(seq) <= tonumber(topSeq) then
      codes[i] = 0
    else
      codes[i] = 3
    end
  else
    codes[i] = 0
    tops[KEYS[i]] = tops[KEYS[i]] and { id, field }
    accepted[#accepted + 1] = record
    if field == 'e' then
      redis.call('PEXPIRE', KEYS[i], ARGV[3])
    end
  end
end
local instead = ARGV[2 * #KEYS + 5]
if #accepted > 0 and instead then
  redis.call(ARGV[2], ARGV[1], instead)
elseif #accepted == #KEYS then
  redis.call(ARGV[2], ARGV[1], records)
elseif #accepted > 0 then
  redis.call(ARGV[2], ARGV[1], table.concat(accepted))
end
return codes
