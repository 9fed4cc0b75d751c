-- Read actions whole (ARGV[1] = "") or only some fields (ARGV[1] = "f1 f2 ..."); ARGV[2..] are ids.
-- Reading ends what has lapsed, so that nobody ever sees an expired hold as open.
local fields = {}
for f in string.gmatch(ARGV[1], '%S+') do fields[#fields + 1] = f end
local out = { ms(NOW) }
for i = 2, #ARGV do
  local c = key('c', ARGV[i])
  local st = redis.call('HGET', c, 'st')
  if st then
    local _, lapsed = lapse(ARGV[i], c, st)
    local data
    if #fields == 0 then data = redis.call('HGETALL', c)
    else
      data = {}
      local v = redis.call('HMGET', c, unpack(fields))
      for j, f in ipairs(fields) do data[#data + 1] = f; data[#data + 1] = v[j] or '' end
    end
    out[#out + 1] = { ARGV[i], lapsed, data }
  else
    out[#out + 1] = { ARGV[i], '', {} }
  end
end
return out
