-- Purpose: append summaries of ended tasks to the log and trim its old end.
-- KEYS:    log
-- ARGV:    kept, summaries...
-- kept:    most entries kept (about).
-- summaries: JSON.
-- Returns: number of summaries appended.
-- Atomic:  not needed. One command per batch costs the gateway less than one per task.
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 's', ARGV[i])
end
return #ARGV - 1
