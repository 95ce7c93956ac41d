-- Give sources their numbers, and remember over how many buckets the application is spread and which
-- cluster its topics are in.
--
-- KEYS[1]  sources: hash of name -> source; its field "" is the highest number given, its field "/" the
--          cluster that the sources are of
-- KEYS[2]  number of buckets
-- ARGV[1]  the caller's number of buckets
-- ARGV[2]  highest number that was given as far as the caller knows
-- ARGV[3]  the cluster of the caller's sources; "" to give numbers whatever the cluster is
-- then for each source its name and the number it is known to have ("" if none is known).
--
-- Returns the numbers. What the caller knows comes from another bucket, whose node kept what this
-- one's may have lost.
local buckets = redis.call('GET', KEYS[2])
if not buckets then
  redis.call('SET', KEYS[2], ARGV[1])
  -- A field longer than 64 bytes makes a small hash a table, see compare_and_set.lua.
  redis.call('HSET', KEYS[1], 'number of each <cluster>/<topic>/<partition>; this makes it a table', 0)
elseif buckets ~= ARGV[1] then
  return redis.error_reply('BUCKETS ' .. buckets .. ' ' .. ARGV[1])
end
if ARGV[3] ~= '' then
  local cluster = redis.call('HGET', KEYS[1], '/')
  if not cluster then
    redis.call('HSET', KEYS[1], '/', ARGV[3])
  elseif cluster ~= ARGV[3] then
    return redis.error_reply('CLUSTER ' .. cluster .. ' ' .. ARGV[3])
  end
end
if tonumber(redis.call('HGET', KEYS[1], '') or 0) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], '', ARGV[2])
end
local ids = {}
for i = 4, #ARGV, 2 do
  local id = redis.call('HGET', KEYS[1], ARGV[i])
  if not id then
    id = ARGV[i + 1]
    if id == '' then
      id = redis.call('HINCRBY', KEYS[1], '', 1)
    end
    redis.call('HSET', KEYS[1], ARGV[i], id)
  end
  ids[#ids + 1] = tonumber(id)
end
return ids
