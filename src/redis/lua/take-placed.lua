-- Purpose: claim at most a number of tasks over some queues, then tell who waits in these and in others.
-- KEYS:    queues to claim from, in the order they are to be served, then queues to look at
-- ARGV[1]: consumer group
-- ARGV[2]: consumer
-- ARGV[3]: most tasks to claim
-- ARGV[4]: how many of the keys are queues to claim from
-- Returns: {taken, heads, time}. taken: as TAKE. heads: for each key {entry that waits first, id delivered last}, ''
--          for what is not there; NOPERM for the entry where this user may not ask. time: as TIME
-- Atomic:  who waits is known as of the claim, and its age by the clock that gave the ids
local function read(queue, count)
  local reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  if reply and reply.err and string.find(reply.err, 'NOGROUP', 1, true) then
    redis.pcall('XGROUP', 'CREATE', queue, ARGV[1], '0', 'MKSTREAM')
    reply = redis.pcall('XREADGROUP', 'GROUP', ARGV[1], ARGV[2], 'COUNT', count, 'STREAMS', queue, '>')
  end
  return reply and reply[1] and reply[1][2] or {}
end
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
-- No further than there are keys: whoever has the password of a worker may say any number.
for i = 1, math.min(tonumber(ARGV[4]), #KEYS) do
  if left > 0 and holds(KEYS[i]) then
    local entries = read(KEYS[i], left)
    left = left - #entries
    if #entries > 0 then
      taken[#taken + 1] = { i, entries }
    end
  end
end
-- Each is looked at once, however often it comes: to ask a queue may cost as much as it holds.
local seen = {}
for i = 1, #KEYS do
  local queue = KEYS[i]
  -- Most queues are empty: to ask costs 0.5 us.
  seen[queue] = seen[queue] or holds(queue) and head(queue) or { '', '' }
  heads[i] = seen[queue]
end
return { taken, heads, redis.call('TIME') }
