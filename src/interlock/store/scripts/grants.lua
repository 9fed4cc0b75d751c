-- Keep, list and end grants: ARGV[1] = give | list | take. Repeating one changes nothing.
local BY_AGE, BY_END = P .. ':grants', key('grants', 'end')

local function unlisted(target)
  redis.call('ZREM', BY_AGE, target)
  redis.call('ZREM', BY_END, target)
end

local function give(target, id, said, uses, expires, created)
  local g = key('g', target)
  local before = redis.call('HGET', g, 'id')
  if before == id or tonumber(expires) <= NOW then return end
  if before then redis.call('DEL', key('h', before), g) end
  redis.call('HSET', g, 'id', id, 'said', said, 'uses', uses, 'used', 0, 'expires', expires)
  redis.call('PEXPIREAT', g, expires)
  redis.call('SET', key('h', id), target)
  redis.call('PEXPIREAT', key('h', id), expires)
  redis.call('ZADD', BY_AGE, created, target)
  redis.call('ZADD', BY_END, expires, target)
end

local function list(limit)
  local out = {}
  for _, target in ipairs(redis.call('ZREVRANGE', BY_AGE, 0, limit - 1)) do
    local v = redis.call('HMGET', key('g', target), 'said', 'used')
    if v[1] then out[#out + 1] = v end
  end
  return out
end

-- Who took it back stays noted for a minute: a lost answer is asked for again.
local function take(id, nonce)
  local target = redis.call('GET', key('h', id))
  if not target then return {} end
  local g = key('g', target)
  local v = redis.call('HMGET', g, 'id', 'said', 'used', 'taken')
  if v[1] ~= id or (v[4] and v[4] ~= nonce) then return {} end
  if not v[4] then
    local left = math.min(redis.call('PTTL', g), 60000)
    redis.call('HSET', g, 'taken', nonce)
    redis.call('PEXPIRE', g, left)
    redis.call('PEXPIRE', key('h', id), left)
    unlisted(target)
  end
  return { { v[2], v[3] } }
end

for _, target in ipairs(redis.call('ZRANGEBYSCORE', BY_END, '-inf', ms(NOW))) do unlisted(target) end
if ARGV[1] == 'give' then give(unpack(ARGV, 2)) end
if ARGV[1] == 'list' then return list(tonumber(ARGV[2])) end
if ARGV[1] == 'take' then return take(ARGV[2], ARGV[3]) end
return {}
