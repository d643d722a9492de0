-- Purpose: make new tasks durable on one server: reply stream, queue entry and doorbell token of each.
-- Parts:   size-of
-- KEYS:    replies..., { queue, doorbell }...
-- ARGV:    tasks, records, { model, life, bytes }...
-- replies: reply stream of each task.
-- queue:   queue of each model, followed by its doorbell.
-- tasks:   number of tasks.
-- records: task records, one after the other.
-- model:   number of the task's model among the queues, from 1.
-- life:    time until the reply stream expires, ms.
-- bytes:   size of the task's record.
-- Returns: queue entry of each task. Redis's own error in its place when that queue cannot be written.
--          One error for all when nothing can be written (out of memory, read only).
-- Atomic:  a queue entry without a reply stream looks abandoned to the worker that claims it.
local tasks, records, from = tonumber(ARGV[1]), ARGV[2], 1
local entries, tokens = {}, {}
for i = 1, tasks do
  local model, till = tonumber(ARGV[3 * i]), from + sizeOf(ARGV[3 * i + 2], records) - 1
  local reply = redis.pcall('XADD', KEYS[i], 'MAXLEN', '0', '0-1', 'm', '1')
  -- A task that is queued again has its stream already.
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
