-- Purpose: append frames to reply streams and publish the accepted ones to their gateway.
-- KEYS:    reply stream of each frame; all share one hash tag
-- ARGV[1]: channel of the gateway
-- ARGV[2]: PUBLISH, or SPUBLISH in a cluster
-- ARGV[3]: life in ms of a reply stream after its end frame
-- ARGV[4]: the records of all frames, one after the other
-- then for each frame: its id <attempt>-<seq>, and its field (f frame, e end frame) followed by its record's bytes
-- and last, if there is one: what is published in place of the records
-- Returns: a code per frame: 0 accepted, now or already before; 1 the reply is gone, or an earlier attempt is answering
--          and this one has not claimed the task; 2 fenced by a later attempt; 3 Redis would not store it (out of memory, read only): send it again
-- Atomic:  only frames that are in the stream may be published: the stream is the truth
local records = ARGV[4]
-- The last entry of each stream is looked at once, however often the stream comes: an entry may be large, and whoever
-- has the password of a worker may name one many times.
local tops = {}
local function topOf(key)
  if tops[key] == nil then
    local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
    tops[key] = top and { top[1], top[2][1] } or { '0-0', '' }
  end
  return tops[key]
end
-- A task that was queued again though its worker lives (Redis lost its entry) must not break the answer that has begun.
local function isAnswering(key, wanted)
  if string.sub(wanted, -2) ~= '-1' or redis.call('XLEN', key) == 0 then
    return false
  end
  local top = topOf(key)
  local attempt = tonumber(string.match(wanted, '^%d+'))
  return top[2] ~= 'c' and tonumber(string.match(top[1], '^%d+')) < attempt
end
-- Bytes of a record. No other number goes on in the records: one below zero would have them read again and again.
local function sizeOf(text)
  local size = tonumber(text)
  return size and size >= 0 and size <= #records and size or error('a record has no such size')
end
local codes, accepted, from = {}, {}, 1
for i = 1, #KEYS do
  local wanted, shape = ARGV[2 * i + 3], ARGV[2 * i + 4]
  local field, till = string.sub(shape, 1, 1), from + sizeOf(string.sub(shape, 2)) - 1
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
