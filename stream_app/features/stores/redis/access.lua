-- Try every command that the other scripts run, in a form that changes nothing: rights are looked at
-- before arguments, so who may run it is told that the arguments are wrong.
--
-- KEYS[1]   number of the current generation
-- KEYS[2]   marks
-- KEYS[3]   sources
-- KEYS[4]   number of buckets
-- KEYS[5..] a state key of each view
--
-- Returns a flat list: a command, and what it was answered ("" if it was served).
local answers = {}

local function try(...)
  local answer = redis.pcall(...)
  local refused = type(answer) == 'table' and answer.err
  answers[#answers + 1] = (...)
  answers[#answers + 1] = refused or ''
end

for _, key in ipairs({KEYS[1], KEYS[4]}) do
  try('GET', key)
  try('SET', key, '', 'NOT-AN-OPTION')
end
for _, key in ipairs({KEYS[2], KEYS[3]}) do
  try('HMGET', key, '')
  try('HSET', key, '', '', '')
end
try('HGET', KEYS[3], '')
try('HINCRBY', KEYS[3], '', 'not a number')
for i = 5, #KEYS do
  try('MGET', KEYS[i])
  try('MSET', KEYS[i], '', KEYS[i])
  try('SET', KEYS[i], '', 'EX', '60', 'NOT-AN-OPTION')
end
return answers
