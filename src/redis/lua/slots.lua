-- Purpose: grant a gateway slots for open requests, and renew those that it has.
-- KEYS:    scopes...
-- ARGV:    tag, number, life, { open, want, most }...
-- scopes:  slots of a key or a tenant: hash, tag of a gateway -> its slots, their end, number of its last call.
-- tag:     the gateway.
-- number:  grows from call to call of the gateway. A call that arrives after a later one changes nothing.
-- life:    time until its slots end without another call, ms.
-- open:    requests of the scope that are open at the gateway. They have slots even beyond `most`.
-- want:    further slots that it can use.
-- most:    slots of all gateways.
-- Returns: per scope: further slots that it has now, slots of other gateways.
-- Atomic:  the last slot must not be granted twice.
local tag, call, life = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local reply = {}
for scope, key in ipairs(KEYS) do
  local at = 3 * scope + 1
  local open, want, most = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local others, last, late = 0, 0, false
  local fields = redis.call('HGETALL', key)
  for index = 1, #fields, 2 do
    local slots, ends, number = string.match(fields[index + 1], '^(%d+) (%d+) (%d+)$')
    ends = tonumber(ends)
    if fields[index] == tag then
      late = number ~= nil and tonumber(number) > call
    elseif not ends or ends <= now then
      redis.call('HDEL', key, fields[index])
    else
      -- Another master has another clock, and a clock may be set back. Slots of a dead gateway must not live longer by it.
      if ends > now + life then
        ends = now + life
        redis.call('HSET', key, fields[index], string.format('%s %.0f %s', slots, ends, number))
      end
      others = others + tonumber(slots)
      last = math.max(last, ends)
    end
  end
  local further = 0
  if not late then
    further = math.max(0, math.min(want, most - others - open))
    if open + further > 0 then
      last = now + life
      redis.call('HSET', key, tag, string.format('%.0f %.0f %.0f', open + further, last, call))
    else
      redis.call('HDEL', key, tag)
    end
    if last > 0 then
      redis.call('PEXPIRE', key, string.format('%.0f', last - now))
    end
  end
  reply[2 * scope - 1], reply[2 * scope] = further, others
end
return reply
