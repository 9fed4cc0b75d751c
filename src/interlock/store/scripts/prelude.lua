-- Append one event and move to its state: the only writer of `st`, `ver` and e:*.
local function move(id, c, from, to, nonce, event)
  local ver = redis.call('HINCRBY', c, 'ver', 1)
  redis.call('HSET', c, 'st', to, 'changed', ms(NOW), 'e:' .. ver,
             nonce .. ' ' .. ms(NOW) .. ' ' .. from .. ' ' .. to .. ' ' .. event)
  if from == 'held' and to ~= 'held' then redis.call('ZREM', P .. ':remind', id) end
  return ver
end

local function wake(id, ver, st)
  redis.call('XADD', P .. ':log', 'MAXLEN', '~', 100000, '*', 'id', id, 'ver', ver, 'st', st)
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
local function feed(name, value)
  local k = P .. ':feed'
  EPOCH = EPOCH or redis.call('GET', k .. ':epoch')
  if not EPOCH then
    EPOCH = ms(NOW)
    redis.call('SET', k .. ':epoch', EPOCH)
    redis.call('DEL', k .. ':n')
  end
  local n = EPOCH .. '-' .. redis.call('INCR', k .. ':n')
  redis.call('XADD', k, 'MAXLEN', '~', FEED_LENGTH, '*', name, value, 'n', n)
  local bytes = redis.call('INCRBY', k .. ':bytes', #value + 100)
  if bytes > FEED_BYTES then  -- nobody archives: the oldest go, which its reader will count
    redis.call('XTRIM', k, 'MAXLEN', math.floor(redis.call('XLEN', k) * 0.9))
    redis.call('SET', k .. ':bytes', ms(math.floor(bytes * 0.9)))
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
