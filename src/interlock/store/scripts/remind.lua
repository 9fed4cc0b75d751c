-- Held calls of which people have to be told again now: ARGV = nonce, how many at most. Each is
-- returned once, whoever asks; a repetition of the same request answers the same.
local told = key('r', ARGV[1])
local out = {}
for id in string.gmatch(redis.call('GET', told) or '', '%S+') do out[#out + 1] = id end
if #out > 0 then return out end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. ':remind', '-inf', ms(NOW), 'LIMIT', 0, ARGV[2])) do
  local c = key('c', id)
  local v = redis.call('HMGET', c, 'st', 'remind', 'created', 'deadline')
  if v[1] == 'held' and v[2] and tonumber(v[4]) > NOW then  -- what has lapsed is ended where that is told
    past().remind(id, v[2], tonumber(v[3]))
    out[#out + 1] = id
  else redis.call('ZREM', P .. ':remind', id) end
end
if #out > 0 then redis.call('SET', told, table.concat(out, ' '), 'PX', 60000) end
return out
