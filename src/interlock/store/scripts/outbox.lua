-- What people have still to be told of, by channel; no argument of a call and no secret is in it.
-- {p}:outbox:e:<entry>     hash  channel, action, version, notice, at, tries, why, calls, more, same
-- {p}:outbox:due:<channel> zset  its entries, by when they may be sent (again)
-- {p}:outbox:all           zset  entries that wait, by when they were made
-- {p}:outbox:dead          zset  entries that are not sent any more, by when that was found
-- {p}:outbox:same          hash  what an entry is about -> entry: one that waits already is enough
-- {p}:outbox:d:<channel>   zset  calls that are told of together
-- {p}:outbox:digests       hash  channel -> how many calls are told of together, since when
-- {p}:outbox:seq           counter;  {p}:outbox:r:<nonce> string  what one claim was given
local B = P .. ':outbox:'
local op = ARGV[1]
local TOGETHER = 100  -- calls that one digest names; the rest is counted
local function e(id) return B .. 'e:' .. id end

local function make(channel, action, version, notice, most)
  local same = channel .. ' ' .. notice .. ' ' .. version .. ' ' .. action
  if action ~= '' and redis.call('HEXISTS', B .. 'same', same) == 1 then return 'SAME' end
  local waiting = redis.call('ZCARD', B .. 'all')
  if waiting >= most or (notice == 'reminder' and waiting >= most * 0.9) then return 'FULL' end
  local id = ms(NOW) .. '-' .. ms(redis.call('INCR', B .. 'seq'))
  redis.call('HSET', e(id), 'channel', channel, 'action', action, 'version', version, 'notice', notice,
             'at', ms(NOW), 'tries', '0', 'why', '', 'calls', '', 'more', '0', 'since', '0', 'same', same)
  redis.call('ZADD', B .. 'due:' .. channel, ms(NOW), id)
  redis.call('ZADD', B .. 'all', ms(NOW), id)
  if action ~= '' then redis.call('HSET', B .. 'same', same, id) end
  return 'OK', id
end

-- Take an entry off what waits; its hash stays.
local function off(id, channel)
  redis.call('ZREM', B .. 'due:' .. channel, id)
  redis.call('ZREM', B .. 'all', id)
  local same = redis.call('HGET', e(id), 'same')
  if same and redis.call('HGET', B .. 'same', same) == id then redis.call('HDEL', B .. 'same', same) end
end

local function bury(id, channel, why, keep)
  off(id, channel)
  redis.call('HSET', e(id), 'why', why)
  redis.call('ZADD', B .. 'dead', ms(NOW), id)
  for _, old in ipairs(redis.call('ZRANGE', B .. 'dead', 0, -(keep + 1))) do
    redis.call('ZREM', B .. 'dead', old)
    redis.call('DEL', e(old))
  end
end

-- The calls that were collected for a channel become one entry, once the oldest is old enough.
local function gather(channel, window)
  local said = redis.call('HGET', B .. 'digests', channel)
  if not said then return end
  local count, since = string.match(said, '^(%d+) (%d+)$')
  if tonumber(since) + window > NOW then return end
  local calls = redis.call('ZRANGE', B .. 'd:' .. channel, 0, TOGETHER - 1)
  local _, id = make(channel, '', '0', 'digest', math.huge)
  redis.call('HSET', e(id), 'calls', table.concat(calls, ' '), 'more', ms(count - #calls), 'since', since)
  redis.call('DEL', B .. 'd:' .. channel)
  redis.call('HDEL', B .. 'digests', channel)
end

local function told(id) return { id, redis.call('HGETALL', e(id)) } end

if op == 'put' then  -- action, version, notice, how many may wait, channels
  local out = {}
  for i = 6, #ARGV do out[#out + 1] = make(ARGV[i], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])) end
  return out
end

if op == 'collect' then  -- action, channels
  for i = 3, #ARGV do
    local digest = B .. 'd:' .. ARGV[i]
    local count, since = string.match(redis.call('HGET', B .. 'digests', ARGV[i]) or '', '^(%d+) (%d+)$')
    if not redis.call('ZSCORE', digest, ARGV[2]) then
      if redis.call('ZCARD', digest) < TOGETHER then redis.call('ZADD', digest, ms(NOW), ARGV[2]) end
      redis.call('HSET', B .. 'digests', ARGV[i], ms((count or 0) + 1) .. ' ' .. (since or ms(NOW)))
    end
  end
  return {}
end

if op == 'claim' then  -- nonce, lease, then of each channel: its name, how many, window of its digest
  local out, ids, lease = {}, {}, tonumber(ARGV[3])
  for id in string.gmatch(redis.call('GET', B .. 'r:' .. ARGV[2]) or '', '%S+') do out[#out + 1] = told(id) end
  if #out > 0 then return out end
  for i = 4, #ARGV, 3 do
    local due = B .. 'due:' .. ARGV[i]
    gather(ARGV[i], tonumber(ARGV[i + 2]))
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', ms(NOW), 'LIMIT', 0, ARGV[i + 1])) do
      if redis.call('HEXISTS', e(id), 'channel') == 0 then  -- somebody deleted it
        redis.call('ZREM', due, id)
        redis.call('ZREM', B .. 'all', id)
        redis.call('DEL', e(id))
      else
        redis.call('HINCRBY', e(id), 'tries', 1)
        redis.call('ZADD', due, ms(NOW + lease), id)
        ids[#ids + 1] = id
        out[#out + 1] = told(id)
      end
    end
  end
  if #ids > 0 then redis.call('SET', B .. 'r:' .. ARGV[2], table.concat(ids, ' '), 'PX', '10000') end
  return out
end

if op == 'forsaken' then  -- before when, how many dead are kept, why, channels that are served
  local served, count = {}, 0
  for i = 5, #ARGV do served[ARGV[i]] = true end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', B .. 'all', '-inf', ms(NOW - ARGV[2]), 'LIMIT', 0, 100)) do
    local channel = redis.call('HGET', e(id), 'channel') or ''
    if not served[channel] then
      bury(id, channel, ARGV[4], tonumber(ARGV[3]))
      count = count + 1
    end
  end
  return { ms(count) }
end

if op == 'list' then  -- dead | all, how many
  local out = {}
  for _, id in ipairs(redis.call('ZREVRANGE', B .. ARGV[2], 0, ARGV[3] - 1)) do
    local row = told(id)
    row[3] = redis.call('ZSCORE', B .. ARGV[2], id)
    row[4] = redis.call('ZSCORE', B .. 'due:' .. (redis.call('HGET', e(id), 'channel') or ''), id) or '0'
    out[#out + 1] = row
  end
  return out
end

local id = ARGV[2]
local v = redis.call('HMGET', e(id), 'channel', 'tries', 'same')
if not v[1] then return { 'GONE' } end

if op == 'find' then return { told(id) } end

if op == 'retry' then
  if not redis.call('ZSCORE', B .. 'dead', id) then return { 'WAITS' } end
  redis.call('ZREM', B .. 'dead', id)
  redis.call('HSET', e(id), 'tries', '0')
  redis.call('ZADD', B .. 'due:' .. v[1], ms(NOW), id)
  redis.call('ZADD', B .. 'all', ms(NOW), id)
  return { 'OK' }
end

if op == 'drop' then
  off(id, v[1])
  redis.call('ZREM', B .. 'dead', id)
  redis.call('DEL', e(id))
  return { 'OK' }
end

-- What follows is said by whoever claimed it last: entry, tries, ...
if v[2] ~= ARGV[3] or not redis.call('ZSCORE', B .. 'all', id) then return { 'LOST' } end
if op == 'done' then
  off(id, v[1])
  redis.call('DEL', e(id))
elseif op == 'again' then  -- after how long, why
  redis.call('HSET', e(id), 'why', ARGV[5])
  redis.call('ZADD', B .. 'due:' .. v[1], ms(NOW + ARGV[4]), id)
elseif op == 'bury' then  -- how many dead are kept, why
  bury(id, v[1], ARGV[5], tonumber(ARGV[4]))
else return redis.error_reply('unknown operation') end
return { 'OK' }
