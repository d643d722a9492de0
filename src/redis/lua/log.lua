-- Purpose: append summaries of ended tasks to the log, and cut its old end off.
-- KEYS[1]: the log
-- ARGV:    most entries kept (about); then one summary (JSON) each
-- Returns: number of summaries appended
-- Atomic:  not needed; one command per batch is cheaper for the gateway than one per task
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 's', ARGV[i])
end
return #ARGV - 1
