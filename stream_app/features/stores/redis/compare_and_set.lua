-- Check that the store still holds what it acknowledged; replace packed states whose version is
-- still the one that was read; note the progress.
--
-- KEYS[1]   number of the current generation (absent: 0)
-- KEYS[2]   marks: hash of <layout>:<view>:<source> -> offset applied through
-- KEYS[3]   sources: hash of name -> source
-- KEYS[4..] state keys, all of one slot
-- ARGV[1]   the generation that has to be the current one
-- ARGV[2..4] number of sources, of views and of groups of keys that share an expiry; then
--   for each source its number,
--   for each source the mark that the first view has to have at least (-1: none),
--   for each source the offset it is applied through with this call (-1: note nothing),
--   for each source the name it is registered under ("" if the caller does not know),
--   for each view the beginning of its marks' fields,
--   for each group its number of keys and its expiry in seconds, or "0" for none,
--   for each key the leading version bytes expected ("" where no state is expected),
--   for each key the new packed state.
--
-- Returns a flat list: index of each key that was not replaced (from 1), its present value
-- (false if it has none). A state that is already the new one counts as replaced: the answer to an
-- earlier, equal call was lost. Marks rise only where every state was replaced, so that a mark
-- never says more than the states hold; they never go back.
--
-- Offsets are compared as Lua's numbers, exact below 2^53.

-- Locals are found faster than globals, which counts for thousands of keys.
local argv, key_names, sub, call = ARGV, KEYS, string.sub, redis.call

-- Lua's unpack is bounded by its C stack (LUAI_MAXCSTACK, 8,000 values); MSET takes two a key.
local SLICE = 2000

-- A field longer than 64 bytes (hash-max-listpack-value) makes a small hash a table. As a list, to
-- look for 24 sources of ten views cost more than to write 500 states.
local TABLE = 'offset applied through of each <layout>:<view>:<source>; this makes it a table'

local function hmget(key, fields)
  if #fields <= SLICE then
    return call('HMGET', key, unpack(fields))
  end
  local values = {}
  for first = 1, #fields, SLICE do
    local last = math.min(first + SLICE - 1, #fields)
    for i, value in ipairs(call('HMGET', key, unpack(fields, first, last))) do
      values[first + i - 1] = value
    end
  end
  return values
end

local function lost(what, found, expected)
  return redis.error_reply(table.concat({'STATELOST', what, found, expected}, ' '))
end

local sources, views, groups = tonumber(argv[2]), tonumber(argv[3]), tonumber(argv[4])
local ids = 4
local expected = ids + sources
local through = expected + sources
local names = through + sources
local prefixes = names + sources
local expiries = prefixes + views
local keys = #KEYS - 3
local versions = expiries + 2 * groups
local states = versions + keys

local generation = call('GET', KEYS[1]) or '0'
if generation ~= argv[1] then
  return lost('generation', generation, argv[1])
end

local fields, marks, known = {}, {}, false
if sources > 0 then
  local asked, owners = {}, {}
  for s = 1, sources do
    if argv[names + s] ~= '' then
      asked[#asked + 1] = argv[names + s]
      owners[#owners + 1] = argv[ids + s]
    end
  end
  if #asked > 0 then
    for i, id in ipairs(hmget(KEYS[3], asked)) do
      if id ~= owners[i] then
        return lost('source', id or '-', owners[i])
      end
    end
  end
  for v = 1, views do
    for s = 1, sources do
      fields[#fields + 1] = argv[prefixes + v] .. argv[ids + s]
    end
  end
  marks = hmget(KEYS[2], fields)
  for s = 1, sources do
    known = known or marks[s]
    if tonumber(marks[s] or -1) < tonumber(argv[expected + s]) then
      return lost('mark ' .. argv[ids + s], marks[s] or '-1', argv[expected + s])
    end
  end
end

local losers = {}
local expiry, left, group = '0', 0, 0
for first = 1, keys, SLICE do
  local last = math.min(first + SLICE - 1, keys)
  local present = call('MGET', unpack(key_names, 3 + first, 3 + last))
  local writes = {}
  for i = first, last do
    if left == 0 then
      group = group + 1
      left = tonumber(argv[expiries + 2 * group - 1])
      expiry = argv[expiries + 2 * group]
    end
    left = left - 1
    local value = present[i - first + 1]
    local version = value and sub(value, 1, 8) or ''
    if version ~= argv[versions + i] then
      if value ~= argv[states + i] then
        losers[#losers + 1] = i
        losers[#losers + 1] = value
      end
    elseif expiry == '0' then
      writes[#writes + 1] = key_names[3 + i]
      writes[#writes + 1] = argv[states + i]
    else
      call('SET', key_names[3 + i], argv[states + i], 'EX', expiry)
    end
  end
  if #writes > 0 then
    call('MSET', unpack(writes))
  end
end

if #losers == 0 and sources > 0 then
  local notes = {}
  if not known then
    call('HSET', KEYS[2], TABLE, '')
  end
  for i, field in ipairs(fields) do
    local offset = argv[through + (i - 1) % sources + 1]
    if tonumber(marks[i] or -1) < tonumber(offset) then
      notes[#notes + 1] = field
      notes[#notes + 1] = offset
    end
    if #notes > 0 and (#notes >= SLICE or i == #fields) then
      call('HSET', KEYS[2], unpack(notes))
      notes = {}
    end
  end
end
return losers
