-- Purpose: claim at most a number of tasks over several queues. XREADGROUP's COUNT is per stream.
-- Parts:   claim-from
-- KEYS:    queues...
-- ARGV:    group, consumer, credits
-- queues:  in the order of service.
-- credits: most tasks to claim.
-- Returns: {{ index of the queue from 1, entries }, ...} for each queue that had any.
-- Atomic:  one call knows how many tasks are left to claim.
local left, taken = tonumber(ARGV[3]), {}
for i = 1, #KEYS do
  if left <= 0 then
    break
  end
  -- Most queues are empty. XLEN takes 0.5 us, a read that finds nothing 1.0 us.
  local length = redis.pcall('XLEN', KEYS[i])
  if type(length) == 'number' and length > 0 then
    local entries = claimFrom(KEYS[i], left)
    left = left - #entries
    if #entries > 0 then
      taken[#taken + 1] = { i, entries }
    end
  end
end
return taken
