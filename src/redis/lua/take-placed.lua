-- Purpose: claim at most a number of tasks from some queues, and read the heads of all given ones.
-- Parts:   claim-from
-- KEYS:    queues..., others...
-- ARGV:    group, consumer, credits, count
-- queues:  to claim from, in the order of service.
-- others:  queues of which only the head is read.
-- credits: most tasks to claim.
-- count:   number of keys to claim from.
-- Returns: { taken, heads, time }. taken: as of TAKE. time: as of TIME.
--          heads: for each key { first entry never claimed, id delivered last }, '' for a missing one.
--          The first is NOPERM where this user may not read it.
-- Atomic:  the heads are those after the claim, and `time` is of the clock that gave the ids.
local function holds(queue)
  local length = redis.pcall('XLEN', queue)
  return type(length) == 'number' and length > 0
end
local function delivered(queue)
  local groups = redis.pcall('XINFO', 'GROUPS', queue)
  if groups.err then
    return nil, groups.err
  end
  for _, group in ipairs(groups) do
    local id, own
    for i = 1, #group, 2 do
      if group[i] == 'name' then
        own = group[i + 1] == ARGV[1]
      elseif group[i] == 'last-delivered-id' then
        id = group[i + 1]
      end
    end
    if own then
      return id
    end
  end
end
local function refused(err)
  return string.find(err, 'NOPERM', 1, true) or string.find(err, 'user executing the script', 1, true)
end
local function head(queue)
  local last, err = delivered(queue)
  if err then
    return refused(err) and { 'NOPERM', '' } or { '', '' }
  end
  local first = redis.pcall('XRANGE', queue, last and '(' .. last or '-', '+', 'COUNT', 1)
  if first.err then
    return { refused(first.err) and 'NOPERM' or '', last or '' }
  end
  return { first[1] and first[1][1] or '', last or '' }
end
local left, taken, heads = tonumber(ARGV[3]), {}, {}
-- Stops at the last key: a stolen worker password may pass any number.
for i = 1, math.min(tonumber(ARGV[4]), #KEYS) do
  if left > 0 and holds(KEYS[i]) then
    local entries = claimFrom(KEYS[i], left)
    left = left - #entries
    if #entries > 0 then
      taken[#taken + 1] = { i, entries }
    end
  end
end
-- Reads each queue once, however often it is named: a read may cost as much as the queue holds.
local seen = {}
for i = 1, #KEYS do
  local queue = KEYS[i]
  -- Most queues are empty. XLEN takes 0.5 us.
  seen[queue] = seen[queue] or holds(queue) and head(queue) or { '', '' }
  heads[i] = seen[queue]
end
return { taken, heads, redis.call('TIME') }
