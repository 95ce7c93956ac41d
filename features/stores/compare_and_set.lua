-- Replace packed states whose version is still the one that was read.
--
-- KEYS     state keys, all of one slot
-- ARGV[1]  expiry in seconds, or "0" for none
-- then for each key the leading version bytes expected ("" where no state is expected),
-- then for each key the new packed state.
--
-- Returns a flat list: index of each key that was not replaced (from 1), its present value
-- (false if it has none).
local keys = #KEYS
local present = redis.call('MGET', unpack(KEYS))
local expiry = ARGV[1]
local lost = {}
local writes = {}
for i = 1, keys do
  local version = present[i] and string.sub(present[i], 1, 8) or ''
  if version ~= ARGV[1 + i] then
    lost[#lost + 1] = i
    lost[#lost + 1] = present[i]
  elseif expiry == '0' then
    writes[#writes + 1] = KEYS[i]
    writes[#writes + 1] = ARGV[1 + keys + i]
  else
    redis.call('SET', KEYS[i], ARGV[1 + keys + i], 'EX', expiry)
  end
end
if #writes > 0 then
  redis.call('MSET', unpack(writes))
end
return lost
