-- Point at another generation.
--
-- KEYS[1]  number of the current generation (absent: 0)
-- ARGV[1]  the generation to point at
-- ARGV[2]  the only other generation that may be the current one now, or "" for any lower one
local present = redis.call('GET', KEYS[1]) or '0'
if ARGV[2] == '' then
  if tonumber(present) >= tonumber(ARGV[1]) then
    return present
  end
elseif present ~= ARGV[1] and present ~= ARGV[2] then
  return redis.error_reply('STATELOST generation ' .. present .. ' ' .. ARGV[2])
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
