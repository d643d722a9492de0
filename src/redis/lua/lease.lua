-- Purpose: grant units of rate limits to a gateway, and settle what it gives back or owes.
-- KEYS:    limits
-- ARGV:    { field, rate, burst, need, want, hold, settle }...
-- limits:  hash of one tenant: field of a limit -> `<lack> <time> <burst>`.
-- field:   names one limit.
-- rate:    units that come back per minute.
-- burst:   units of a full bucket.
-- need:    units that are used at once.
-- want:    units in all. Units above need are a slice, which the gateway may use later.
-- hold:    time until the gateway has used or given back its slice, ms.
-- settle:  units taken before, or given back when negative.
-- Returns: per limit its granted units, and the units that its bucket lacks then. It may lack more than its burst.
-- Atomic:  several gateways take from the same buckets.
-- This is the generic cell rate algorithm. It keeps what a bucket lacks and since when, by Redis's clock alone: a clock
-- that was set back gives nothing away and takes nothing.
-- A bucket must not fill while a slice is out, or both together would exceed the burst. So after a slice it lacks as
-- much as the slice, and as much as comes back during its hold.
local clock = redis.call('TIME')
local now = clock[1] * 1000 + clock[2] / 1000
local answer, longest, isNew = {}, 1, false
for at = 1, #ARGV, 7 do
  local field, rate, burst = ARGV[at], ARGV[at + 1] / 60000, tonumber(ARGV[at + 2])
  local need, want, hold = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4]), tonumber(ARGV[at + 5])
  local kept = redis.call('HGET', KEYS[1], field)
  local lack, since, former = string.match(kept or '', '^(%S+) (%S+) (%S+)$')
  lack, since, former = tonumber(lack) or 0, tonumber(since) or now, tonumber(former) or burst
  isNew = isNew or not kept
  lack = math.max(0, lack - math.max(0, now - since) * rate)
  if former ~= burst then
    -- A bucket of a changed limit is as full as it was.
    lack = lack * burst / former
  end
  lack = math.max(0, lack + ARGV[at + 6])
  local granted = math.max(0, math.min(want, math.floor(burst - lack + 1e-6)))
  lack = lack + granted
  if granted > need then
    lack = math.max(lack, granted - need + hold * rate)
  end
  longest = math.max(longest, lack / rate)
  redis.call('HSET', KEYS[1], field, string.format('%.6f %.3f %.0f', lack, now, burst))
  answer[#answer + 1] = granted
  answer[#answer + 1] = string.format('%.6f', lack)
end
-- Limits of removed keys stay in a hash that is in use. They are removed each time their number has doubled.
local count = isNew and redis.call('HLEN', KEYS[1]) or 0
if count >= 64 and math.frexp(count) == 0.5 then
  local all = redis.call('HGETALL', KEYS[1])
  for at = 1, #all, 2 do
    local since = tonumber(string.match(all[at + 1], '^%S+ (%S+)')) or 0
    if now - since > 86400000 then
      redis.call('HDEL', KEYS[1], all[at])
    end
  end
end
-- The hash goes when all its buckets are full.
if redis.call('PTTL', KEYS[1]) < longest then
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.min(longest + 1, 1e15)))
end
return answer
