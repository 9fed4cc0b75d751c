-- A person's security keys and passkeys. ARGV = add, person, id, record, 1 (only as their first) or
-- 0, how many of one person at most; or replace, person, id, record as it was read, record; or
-- remove, person, id, record as it was read, what is kept of it.
-- Returns OK, KNOWN (such a key is or was there), OTHERS (it is not the first), FULL, or STALE
-- (somebody else wrote first). Repeating a write answers as the first time did.
-- {p}:authn:<person>      hash  id -> record;  {p}:authn-gone:<person> hash  id -> record
local what, person, id = ARGV[1], ARGV[2], ARGV[3]
local mine, gone = key('authn', person), key('authn-gone', person)
local is = redis.call('HGET', mine, id)
if what == 'add' then
  if is == ARGV[4] then return 'OK' end
  if is or redis.call('HEXISTS', gone, id) == 1 then return 'KNOWN' end
  local count = redis.call('HLEN', mine)
  if ARGV[5] == '1' and count > 0 then return 'OTHERS' end
  if count >= tonumber(ARGV[6]) then return 'FULL' end
  redis.call('HSET', mine, id, ARGV[4])
elseif what == 'replace' then
  if is == ARGV[5] then return 'OK' end
  if is ~= ARGV[4] then return 'STALE' end
  redis.call('HSET', mine, id, ARGV[5])
else
  if redis.call('HGET', gone, id) == ARGV[5] then return 'OK' end
  if is ~= ARGV[4] then return 'STALE' end
  redis.call('HDEL', mine, id)
  redis.call('HSET', gone, id, ARGV[5])
end
return 'OK'
