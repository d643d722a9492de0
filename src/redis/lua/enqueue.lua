-- Purpose: make new tasks durable on one server: reply stream, queue entry and doorbell of each.
-- KEYS:    the reply stream of each task, then queue and doorbell of each model
-- ARGV[1]: number of tasks
-- ARGV[2]: the records of all tasks, one after the other
-- then for each task: its model's number, from 1; the life of its reply stream, ms; the bytes of its record
-- Returns: each task's entry in the queue; in its place Redis's own error when that queue cannot be written. The whole
--          call fails when nothing can (out of memory, read only)
-- Atomic:  a queue entry without its reply stream looks abandoned to the worker that claims it
local tasks, records, from = tonumber(ARGV[1]), ARGV[2], 1
local entries, tokens = {}, {}
-- Bytes of a record. No other number goes on in the records: one below zero would store them again and again.
local function sizeOf(text)
  local size = tonumber(text)
  return size and size >= 0 and size <= #records and size or error('a record has no such size')
end
for i = 1, tasks do
  local model, till = tonumber(ARGV[3 * i]), from + sizeOf(ARGV[3 * i + 2]) - 1
  -- Without entries a stream takes 305 bytes of Redis, with one 4,419.
  local reply = redis.pcall('XADD', KEYS[i], 'MAXLEN', '0', '0-1', 'm', '1')
  -- That of a task that is queued again is there.
  if type(reply) == 'table' and redis.call('EXISTS', KEYS[i]) == 0 then
    return reply
  end
  redis.call('PEXPIRE', KEYS[i], ARGV[3 * i + 1])
  local entry = redis.pcall('XADD', KEYS[tasks + 2 * model - 1], '*', 't', string.sub(records, from, till))
  if type(entry) == 'string' then
    tokens[model] = tokens[model] or {}
    table.insert(tokens[model], '1')
  end
  entries[i] = entry
  from = till + 1
end
for model, count in pairs(tokens) do
  redis.pcall('RPUSH', KEYS[tasks + 2 * model], unpack(count))
end
return entries
