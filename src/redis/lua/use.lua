-- Purpose: add what the keys of a tenant used to its day and its budgets, each batch once.
-- KEYS:    budgets, usage
-- ARGV:    tag, batch, after, age, keys, {key, tokens}..., {field, amount}...
-- usage:   the tenant's usage key without the day. The script adds it: the hash tag stays.
-- tag:     the gateway.
-- batch:   its number at this gateway, from 1. 0 only reads the totals.
-- after:   the batch is added only when Redis has this one, or a later one.
-- age:     ms since the batch began. It counts on the day (UTC, by Redis's clock) on which it began.
-- keys:    number of keys that follow. Tokens may be 0: then only the totals are asked for.
-- field:   field of the usage hash.
-- Returns: latest batch of this gateway that Redis has; Redis's time (ms); then per day and month, first of the tenant,
--          then of each key, the tokens used.
-- Atomic:  a batch, its number and the totals must be written together: else it could count twice, or not at all.
local DAY = 86400
local USAGE_LIFE_MS = 401 * DAY * 1000
local BUDGET_LIFE_MS = 40 * DAY * 1000
-- A gateway gives an unanswered batch up after a day. So no batch can come again after its number is gone.
local TAG_LIFE = 2 * DAY
local SWEEP_EVERY = 60

-- The date of a time, by the days of the Gregorian calendar from 1 March of the year 0.
local function dateOf(second)
  local days = math.floor(second / DAY) + 719468
  local cycle = math.floor(days / 146097)
  local ofCycle = days - cycle * 146097
  local year = math.floor((ofCycle - math.floor(ofCycle / 1460) + math.floor(ofCycle / 36524) - math.floor(ofCycle / 146096)) / 365)
  local ofYear = ofCycle - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local march = math.floor((5 * ofYear + 2) / 153)
  local day = ofYear - math.floor((153 * march + 2) / 5) + 1
  local month = march < 10 and march + 3 or march - 9
  year = year + cycle * 400 + (month <= 2 and 1 or 0)
  return string.format('%04d%02d%02d', year, month, day)
end

local time = redis.call('TIME')
local now = tonumber(time[1])
local today = dateOf(now)
local day = dateOf(now - math.floor(tonumber(ARGV[4]) / 1000))

-- A total is kept as its period and its tokens.
local function totalOf(field, period)
  local kept = redis.call('HGET', KEYS[1], field)
  if not kept then
    return 0, period
  end
  local of, tokens = string.match(kept, '^(%d+) (%d+)$')
  if not of or of < period then
    return 0, period
  end
  return tonumber(tokens), of
end

local function addTo(field, period, tokens)
  local total, of = totalOf(field, period)
  -- Tokens of a period that is over change no budget.
  if of == period then
    redis.call('HSET', KEYS[1], field, period .. ' ' .. string.format('%.0f', total + tokens))
  end
end

local function addKey(key, tokens)
  addTo('d|' .. key, day, tokens)
  addTo('m|' .. key, string.sub(day, 1, 6), tokens)
end

-- Removes a few fields of gone gateways and of periods that are over.
local function sweep()
  local last, cursor = string.match(redis.call('HGET', KEYS[1], '~sweep') or '0 0', '^(%d+) (%d+)$')
  if now - (tonumber(last) or 0) < SWEEP_EVERY then
    return
  end
  local found = redis.call('HSCAN', KEYS[1], cursor or '0', 'COUNT', 100)
  for i = 1, #found[2], 2 do
    local kind = string.sub(found[2][i], 1, 1)
    local first, second = string.match(found[2][i + 1], '^(%d+) (%d+)$')
    if not first
      or (kind == '@' and tonumber(second) < now - TAG_LIFE)
      or (kind == 'd' and first < today)
      or (kind == 'm' and first < string.sub(today, 1, 6)) then
      redis.call('HDEL', KEYS[1], found[2][i])
    end
  end
  redis.call('HSET', KEYS[1], '~sweep', now .. ' ' .. found[1])
end

local batch = tonumber(ARGV[2])
local keys = tonumber(ARGV[5])
local first = 6
local last = tonumber(string.match(redis.call('HGET', KEYS[1], '@' .. ARGV[1]) or '0', '^%d+') or 0)
if batch > last and last >= tonumber(ARGV[3]) then
  last = batch
  local sum = 0
  for i = 0, keys - 1 do
    local tokens = tonumber(ARGV[first + 2 * i + 1])
    if tokens > 0 then
      sum = sum + tokens
      addKey(ARGV[first + 2 * i], tokens)
    end
  end
  addKey('', sum)
  local usage = KEYS[2] .. day
  for i = first + 2 * keys, #ARGV, 2 do
    redis.call('HINCRBY', usage, ARGV[i], ARGV[i + 1])
  end
  redis.call('PEXPIRE', usage, string.format('%.0f', USAGE_LIFE_MS))
  redis.call('HSET', KEYS[1], '@' .. ARGV[1], string.format('%d %d', batch, now))
  sweep()
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', BUDGET_LIFE_MS))
end

local month = string.sub(today, 1, 6)
local totals = { last, now * 1000 + math.floor(tonumber(time[2]) / 1000) }
local function report(key)
  totals[#totals + 1] = (totalOf('d|' .. key, today))
  totals[#totals + 1] = (totalOf('m|' .. key, month))
end
report('')
for i = 0, keys - 1 do
  report(ARGV[first + 2 * i])
end
return totals
