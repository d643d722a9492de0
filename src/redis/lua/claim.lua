-- Purpose: take over a task whose worker has fallen silent. Fences every earlier attempt.
-- KEYS:    reply
-- ARGV:    attempt, worker, [lost]
-- reply:   reply stream of the task.
-- attempt: proposed number of the new attempt.
-- worker:  claims the task.
-- lost:    worker that was lost with the task. Absent or empty when it requeued the task.
-- Returns: { state, attempt, ordinal, note... }.
--          state 0: the reply is gone. 1: claimed, nothing was sent yet. 2: claimed, frames of an earlier attempt are
--          in the stream. 3: already answered.
--          ordinal: number of attempts, this one included. Only with state 1, as are the notes on earlier attempts.
-- Atomic:  compare and set between several claimants and the old worker.
-- The first attempt leaves no marker, each later one does. A note of a requeued attempt is a marker too, and counts
-- as no attempt. A stream without entries belongs to a task whose first attempt sent nothing.
-- A marker remembers in its field `begun` that frames precede it: its claimant may die before its first frame.
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
local marker = { 'c', ARGV[2] }
local begun = field == 'f' or fields[3] == 'begun'
if begun then
  marker[3], marker[4] = 'begun', '1'
end
if ARGV[3] and ARGV[3] ~= '' then
  marker[#marker + 1], marker[#marker + 2] = 'lost', ARGV[3]
end
redis.call('XADD', KEYS[1], attempt .. '-0', unpack(marker))
if begun then
  return { 2, attempt }
end
local ordinal, answer = 1, { 1, attempt, 0 }
local marks = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1000)
for at = #marks, 1, -1 do
  local fieldsOf = marks[at][2]
  if fieldsOf[3] == 'note' then
    answer[#answer + 1] = fieldsOf[4]
  else
    ordinal = ordinal + 1
  end
end
answer[3] = ordinal
return answer
