-- Purpose: take over a task whose worker has fallen silent; fences every earlier attempt.
-- KEYS[1]: reply stream of the task
-- ARGV[1]: proposed attempt
-- ARGV[2]: worker that claims
-- Returns: {state, attempt, ordinal}: 0 the reply is gone; 1 claimed, nothing was sent yet; 2 claimed, frames of an
--          earlier attempt are in the stream; 3 answered already
-- The ordinal is how many attempts there have been, this one included: the first left no marker, each later one did.
-- A stream without entries is that of a task whose first attempt sent nothing.
-- A claim marker remembers in a second field that frames precede it: its claimant may die before its first frame.
-- Atomic:  compare and set between several claimants and the old worker
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not top and redis.call('EXISTS', KEYS[1]) == 0 then
  return { 0, '0' }
end
local last, fields = '0-1', { 'm' }
if top then
  last, fields = top[1], top[2]
end
local field = fields[1]
if field == 'e' then
  return { 3, '0' }
end
local attempt = tonumber(string.match(last, '^(%d+)-')) + 1
attempt = string.format('%.0f', math.max(attempt, tonumber(ARGV[1])))
if field == 'f' or fields[3] == 'begun' then
  redis.call('XADD', KEYS[1], attempt .. '-0', 'c', ARGV[2], 'begun', '1')
  return { 2, attempt }
end
redis.call('XADD', KEYS[1], attempt .. '-0', 'c', ARGV[2])
return { 1, attempt, redis.call('XLEN', KEYS[1]) + 1 }
