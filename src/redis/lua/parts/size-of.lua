-- Reads how many bytes of `records` one record has. Fails for a number outside of them.
-- A negative size would make a loop over the records read them again and again.
local function sizeOf(text, records)
  local size = tonumber(text)
  return size and size >= 0 and size <= #records and size or error('a record has no such size')
end
