-- Append one event and move to its state: the only writer of `st`, `ver` and e:*.
local function move(id, c, from, to, nonce, event)
  local ver = redis.call('HINCRBY', c, 'ver', 1)
  redis.call('HSET', c, 'st', to, 'changed', ms(NOW), 'e:' .. ver,
             nonce .. ' ' .. ms(NOW) .. ' ' .. from .. ' ' .. to .. ' ' .. event)
  if from == 'held' and to ~= 'held' then redis.call('ZREM', P .. ':remind', id) end
  return ver
end

local function wake(id, ver, st)
  local k = P .. ':log'
  local said = redis.pcall('XADD', k, 'MAXLEN', '~', 100000, '*', 'id', id, 'ver', ver, 'st', st)
  if type(said) == 'table' then redis.call('DEL', k) end  -- spoilt: waiters look again by themselves
end

local function deadline(id, c, at)
  redis.call('HSET', c, 'deadline', ms(at))
  if at > 0 then redis.call('ZADD', P .. ':due', ms(at), id) else redis.call('ZREM', P .. ':due', id) end
end

-- Nobody waits in a queue for what is settled; fingerprints outlive it so that retries join.
local function unlist(id, c)
  redis.call('ZREM', P .. ':open', id)
  redis.call('SREM', P .. ':ready', id)
  redis.call('SREM', key('o', redis.call('HGET', c, 'agent')), id)
end

-- What its own agent took back interests nobody for long, and what nobody decided must not fill
-- the store: return how long it is kept.
local function unseen(c, st, agent, lasts)
  local size = redis.call('HSTRLEN', c, 'call') + redis.call('HSTRLEN', c, 'rec')
  if st == 'cancelled' then
    return kept('u', agent, size, HOUR) > MOST / 4 and MOMENT or math.min(lasts, HOUR)
  end
  return kept('y', agent, size, lasts) > MOST and math.min(lasts, HOUR) or lasts
end

-- Calls that were held, by when they were settled: as long as their records are kept, so that the
-- index is never larger than what it names. Unknown outcomes are kept until somebody settles them.
local function remember(id, lasts)
  local gone = redis.call('ZRANGEBYSCORE', P .. ':past:end', '-inf', ms(NOW), 'LIMIT', 0, 10)
  if #gone > 0 then
    redis.call('ZREM', P .. ':past', unpack(gone)); redis.call('ZREM', P .. ':past:end', unpack(gone))
  end
  redis.call('ZADD', P .. ':past', ms(NOW), id)
  if lasts then redis.call('ZADD', P .. ':past:end', ms(NOW + lasts), id)
  else redis.call('ZREM', P .. ':past:end', id) end
end

-- A record of a call that has ended, for who archives records; or its id alone, where a script ended
-- it by itself: the record is made from the call then. Entries are numbered within an epoch, without
-- a gap, so that whoever reads them sees what it has missed; an epoch ends where all data is lost.
local EPOCH, FEED_LENGTH, FEED_BYTES = nil, 200000, 2 ^ 28
local function append(k, name, value)
  EPOCH = EPOCH or redis.call('GET', k .. ':epoch')
  if not EPOCH then
    EPOCH = ms(NOW)
    redis.call('SET', k .. ':epoch', EPOCH)
    redis.call('DEL', k .. ':n')
  end
  local bytes, n = redis.call('INCRBY', k .. ':bytes', #value + 100), redis.call('INCR', k .. ':n')
  if not string.match(EPOCH, '^%d+$') or #EPOCH > 15 or n < 1 or n >= 1e14 then error('not ours') end
  local id = redis.call('XADD', k, 'MAXLEN', '~', FEED_LENGTH, '*', name, value, 'n', EPOCH .. '-' .. n)
  if bytes > FEED_BYTES then  -- nobody archives: the oldest go, which its reader will count
    redis.call('XTRIM', k, 'MAXLEN', math.floor(redis.call('XLEN', k) * 0.9))
    redis.call('SET', k .. ':bytes', ms(math.floor(bytes * 0.9)))
  end
  return id
end

-- Whoever can write to the store can give an entry an id of a time that has not come: all later ones
-- would follow it, until none is left. The feed then begins anew, with all that it had, as of now.
local function come(id) return tonumber(string.match(id, '^%d+')) <= NOW + HOUR end
local function renew(k)
  local old, from, left = k .. ':spoilt', '-', FEED_LENGTH
  redis.call('DEL', old)
  if redis.call('EXISTS', k) == 1 then redis.call('RENAME', k, old) end
  while left > 0 do
    local rows = redis.pcall('XRANGE', old, from, '+', 'COUNT', 100)  -- it may be no stream at all
    if not rows[1] then break end
    for _, row in ipairs(rows) do
      if #row[2] < 10 then redis.pcall('XADD', k, come(row[1]) and row[1] or '*', unpack(row[2])) end
      from, left = '(' .. row[1], left - 1
    end
  end
  redis.call('DEL', old)
end

-- That an entry cannot be written must keep no transition from being written whole.
local function feed(name, value)
  local k = P .. ':feed'
  local written, id = pcall(append, k, name, value)
  if written and come(id) then return end
  renew(k)
  if not written then
    EPOCH = nil
    redis.call('DEL', k .. ':epoch', k .. ':n', k .. ':bytes')
    pcall(append, k, name, value)
  end
end

local FORGET = { expired = true, cancelled = true }
local FINAL = { denied = true, rejected = true, responded = true, expired = true,
                cancelled = true, answered = true, resolved = true }
local function settle(id, c, st)
  unlist(id, c)
  local v = redis.call('HMGET', c, 'fp', 'window', 'keep', 'watched', 'agent', 'decoy', 'past', 'drawn')
  if v[1] and v[1] ~= '' and redis.call('GET', key('f', v[1])) == id then
    if FORGET[st] then redis.call('DEL', key('f', v[1]))
    else redis.call('PEXPIRE', key('f', v[1]), v[2]) end
  end
  if v[4] == '1' then
    redis.call('ZADD', P .. ':recent', ms(NOW), id)
    redis.call('ZREMRANGEBYRANK', P .. ':recent', 0, -1001)
  end
  local lasts
  if st == 'unknown' then redis.call('ZADD', P .. ':unknown', ms(NOW), id)
  else
    redis.call('ZREM', P .. ':unknown', id)
    lasts = tonumber(v[3])
    if FORGET[st] and not v[6] then lasts = unseen(c, st, v[5], lasts) end
    redis.call('PEXPIRE', c, ms(lasts))
  end
  if v[7] then remember(id, lasts) end
  -- the body of a call that was drawn, and that no auditor gets
  if v[8] and redis.call('HEXISTS', key('d', id), 'st') == 0 then redis.call('DEL', key('d', id)) end
end

-- Take a call from those that wait for an auditor; 0: it is not among them.
local function unaudited(id)
  local agent = redis.call('HGET', P .. ':audits:of', id)
  if agent then
    redis.call('HDEL', P .. ':audits:of', id)
    if tonumber(redis.call('ZINCRBY', P .. ':audits:by', -1, agent)) < 1 then
      redis.call('ZREM', P .. ':audits:by', agent)
    end
  end
  return redis.call('ZREM', P .. ':audits', id)
end

-- Whoever touches an action past its deadline ends it: no sweeper has to be alive.
local function lapse(id, c, st)
  if st ~= 'held' and st ~= 'approved' and st ~= 'forwarding' then return st, '' end
  local at = tonumber(redis.call('HGET', c, 'deadline') or '0')
  if at == 0 or at > NOW then return st, '' end
  local to = st == 'forwarding' and 'unknown' or 'expired'
  local name = st == 'forwarding' and 'LeaseLost' or 'DeadlinePassed'
  local ver = move(id, c, st, to, '-', '{"event":"' .. name .. '"}')
  local eff = redis.call('HGET', c, 'eff')
  local left = eff and past().effects_of(eff)  -- damaged: it ends, and its shares stay taken
  if left then past().carry(c, left, st, to) end
  deadline(id, c, 0)
  settle(id, c, to)
  if redis.call('HEXISTS', c, 'decoy') == 0 then feed('id', id) end
  wake(id, ver, to)
  return to, st
end
