-- What people share about reviewing. ARGV = what is asked, then what it needs.
-- {p}:stopped         hash  agent, or `-` for all -> JSON: by, reason, at, owners; put.lua looks here too
-- {p}:resumed:<agent> string  until when its stops are over: ms, a space, a MAC
-- {p}:unheard:<person> set  names nobody knew that this person stopped
-- {p}:look:<id>       hash  person -> first last looked since: ms, and the digest that they looked at;
--                           since 0: they have closed it
-- {p}:shown:<id>      hash  person -> digest of what was revealed to them
-- {p}:ask:<id>        hash  to, by, at, message: who is asked to decide it
-- {p}:asked:<person>  zset  what they were asked to decide, by when
-- {p}:did:<person>    zset  what they approved in the last hour, by when
-- {p}:did-practice:<person>  zset  the practice calls of it: they alone are told of these
-- {p}:people          zset  who was here in the last 30 days;  {p}:of  hash  person -> groups, JSON
-- {p}:away            hash  person -> until, a space, JSON: their absence
-- {p}:away-marks      hash  person -> generation, a space, MAC: absences of earlier ones are over
local LOOKERS, PEOPLE, ROWS = 64, 10000, 10000
local HERE, SEEN, KEPT = 25000, 30 * DAY, 30 * DAY
local MARKED = 100 * DAY  -- longer than anybody may be away without saying so again
local UNHEARD = 100  -- names that nobody knows, of those that one person stopped
local UNPROVEN = 100  -- of one person's assignments, so many are looked up in each count

local function found(value)
  local first, last, looked, since, of = string.match(value or '', '^(%d+) (%d+) (%d+) (%d+) (%S+)$')
  if not first then return nil end
  return { first = tonumber(first), last = tonumber(last), looked = tonumber(looked), since = tonumber(since), of = of }
end

-- Whoever looked longest ago makes room; what they saw so far is forgotten.
local function make_room(k)
  if redis.call('HLEN', k) < LOOKERS then return end
  local flat, oldest, who = redis.call('HGETALL', k), math.huge, nil
  for i = 1, #flat, 2 do
    local look = found(flat[i + 1])
    local at = look and look.last or 0
    if at < oldest then oldest, who = at, flat[i] end
  end
  redis.call('HDEL', k, who)
end

local function note(k, person, look)
  redis.call('HSET', k, person, table.concat({ ms(look.first), ms(look.last), ms(look.looked), ms(look.since), look.of }, ' '))
  redis.call('PEXPIRE', k, ms(KEPT))
end

-- What was looked at before an edit is not what is looked at now: a new digest begins a new look.
local function look(id, of, person, visible)
  local k = key('look', id)
  local seen = found(redis.call('HGET', k, person))
  if not seen then make_room(k) end
  if not seen or seen.of ~= of then
    seen = { first = NOW, last = NOW, looked = 0, since = NOW, of = of }
  elseif seen.since == 0 then seen.since = NOW
  else
    local passed = math.max(NOW - seen.last, 0)
    seen.looked = seen.looked + math.min(visible, passed)
    if passed > HERE then seen.since = NOW end
  end
  seen.last = math.max(seen.last, NOW)
  note(k, person, seen)
end

local function leave(id, person)
  local k = key('look', id)
  local seen = found(redis.call('HGET', k, person))
  if seen then
    seen.since = 0
    note(k, person, seen)
  end
end

local function unassign(id)
  local k = key('ask', id)
  local to = redis.call('HGET', k, 'to')
  if to then redis.call('ZREM', key('asked', to), id) end
  redis.call('DEL', k)
end

local function assign(id, to, by, message)
  unassign(id)
  if to == '' then return end
  local k, theirs = key('ask', id), key('asked', to)
  redis.call('HSET', k, 'to', to, 'by', by, 'at', ms(NOW), 'message', message)
  redis.call('PEXPIRE', k, ms(KEPT))
  redis.call('ZADD', theirs, ms(NOW), id)
  redis.call('ZREMRANGEBYRANK', theirs, 0, -ROWS - 1)
  redis.call('PEXPIRE', theirs, ms(KEPT))
end

-- Calls that expired or were taken back are found here, and forgotten.
local function assigned(person)
  local theirs = key('asked', person)
  for _, id in ipairs(redis.call('ZRANGE', theirs, 0, UNPROVEN - 1)) do
    if not redis.call('ZSCORE', P .. ':open', id) then redis.call('ZREM', theirs, id) end
  end
  return redis.call('ZCARD', theirs)
end

local function counted(k)
  redis.call('ZREMRANGEBYSCORE', k, '-inf', ms(NOW - HOUR))
  return redis.call('ZCARD', k), tonumber(redis.call('ZRANGE', k, 0, 0, 'WITHSCORES')[2] or '0')
end

-- What somebody approved, practice too: how many, and when the oldest was.
local function approvals(person)
  local real, first = counted(key('did', person))
  local practice, other = counted(key('did-practice', person))
  if real == 0 or (practice > 0 and other < first) then first = other end
  return real + practice, ms(first)
end

local function approved(k, id)
  redis.call('ZADD', k, 'NX', ms(NOW), id)
  redis.call('ZREMRANGEBYRANK', k, 0, -ROWS - 1)
  redis.call('PEXPIRE', k, ms(HOUR))
end

local function greet(person, groups)
  local people, of = P .. ':people', P .. ':of'
  redis.call('ZADD', people, ms(NOW), person)
  redis.call('HSET', of, person, groups)
  local gone = redis.call('ZRANGEBYSCORE', people, '-inf', ms(NOW - SEEN), 'LIMIT', 0, 100)
  if redis.call('ZCARD', people) - #gone > PEOPLE then gone[#gone + 1] = redis.call('ZRANGE', people, #gone, #gone)[1] end
  for _, who in ipairs(gone) do
    redis.call('ZREM', people, who)
    redis.call('HDEL', of, who)
  end
  redis.call('PEXPIRE', people, ms(SEEN))
  redis.call('PEXPIRE', of, ms(SEEN))
end

local function colleagues(most)
  local out = {}
  local flat = redis.call('ZREVRANGEBYSCORE', P .. ':people', '+inf', ms(NOW - SEEN), 'WITHSCORES', 'LIMIT', 0, most)
  for i = 1, #flat, 2 do
    local who = flat[i]
    local groups = redis.call('HGET', P .. ':of', who) or ''
    out[#out + 1] = { who, groups, flat[i + 1], (counted(key('did', who))), assigned(who) }
  end
  return { ms(NOW), out, redis.call('HVALS', P .. ':away'), redis.call('HGETALL', P .. ':away-marks') }
end

-- Note that somebody goes away or is back, unless they did so meanwhile: *was* is the mark as it
-- was read.
local function mark(person, was, new)
  local k = P .. ':away-marks'
  local is = redis.call('HGET', k, person) or ''
  if is == new then return 'OK' end
  if is ~= was then return 'STALE' end
  local flat = redis.call('HGETALL', k)
  for i = 1, #flat, 2 do
    if (tonumber(string.match(flat[i + 1], '^(%d+) ')) or 0) <= NOW - MARKED then redis.call('HDEL', k, flat[i]) end
  end
  if is == '' and redis.call('HLEN', k) >= PEOPLE then return 'FULL' end
  redis.call('HSET', k, person, new)
  redis.call('PEXPIRE', k, ms(MARKED))
  return 'OK'
end

local function come_back(person, was, new)
  redis.call('HDEL', P .. ':away', person)
  return mark(person, was, new)
end

local function go_away(person, til, said, was, new)
  local k = P .. ':away'
  local flat = redis.call('HGETALL', k)
  for i = 1, #flat, 2 do
    if (tonumber(string.match(flat[i + 1], '^(%d+) ')) or 0) <= NOW then redis.call('HDEL', k, flat[i]) end
  end
  if redis.call('HLEN', k) >= PEOPLE and redis.call('HEXISTS', k, person) == 0 then return 'FULL' end
  local marked = mark(person, was, new)
  if marked ~= 'OK' then return marked end
  redis.call('HSET', k, person, ms(til) .. ' ' .. said)
  local left = til - NOW
  if left > redis.call('PTTL', k) then redis.call('PEXPIRE', k, ms(math.max(left, 1))) end
  return 'OK'
end

local function stop_of(agent)
  local text = redis.call('HGET', P .. ':stopped', agent)
  local read, said = pcall(cjson.decode, text or '')
  return text, read and type(said) == 'table' and said or {}
end

-- How many names that nobody knew are stopped by this person.
local function unheard(by)
  local k, count = key('unheard', by), 0
  for _, name in ipairs(redis.call('SMEMBERS', k)) do
    local _, said = stop_of(name)
    if said.unknown and said.by == by then count = count + 1 else redis.call('SREM', k, name) end
  end
  return count
end

-- All agents can always be stopped, and known ones have room that made-up names do not take.
local function room(agent, by, unknown)
  if agent == '-' or stop_of(agent) then return 'OK' end
  local most = unknown and ROWS or 2 * ROWS
  if redis.call('HLEN', P .. ':stopped') >= most then return 'FULL' end
  return unknown and unheard(by) >= UNHEARD and 'MANY' or 'OK'
end

-- Whoever owned it at an earlier stop that still holds is not forgotten by a second one.
local function suspend(agent, by, reason, unknown, owners)
  local fits, _, was = room(agent, by, unknown), stop_of(agent)
  if fits ~= 'OK' then return fits end
  local all, seen = {}, {}
  for _, names in ipairs({ cjson.decode(owners), type(was.owners) == 'table' and was.owners or {} }) do
    for _, name in ipairs(names) do
      if not seen[name] then all[#all + 1], seen[name] = name, true end
    end
  end
  local said = { by = by, reason = reason, at = NOW, unknown = unknown or nil }
  if #all > 0 then said.owners = all end
  local text = cjson.encode(said)
  redis.call('HSET', P .. ':stopped', agent, text)
  if unknown then redis.call('SADD', key('unheard', by), agent) end
  return 'OK', text
end

-- With a mark, which ends it for whoever remembers it; *known*: it was here, and may have been taken out.
local function resume(agent, mark, known)
  local _, was = stop_of(agent)
  if was.unknown and type(was.by) == 'string' then redis.call('SREM', key('unheard', was.by), agent) end
  local ended = redis.call('HDEL', P .. ':stopped', agent)
  if ended == 1 or known then redis.call('SET', key('resumed', agent), mark, 'PX', ms(SEEN)) end
  return ended
end

-- Some of those that are stopped: all agents together first, then as they come.
local function stopped(most)
  local k = P .. ':stopped'
  if most == 0 then return {} end
  if redis.call('HLEN', k) <= most then return redis.call('HGETALL', k) end
  local found, out = redis.call('HSCAN', k, '0', 'COUNT', most)[2], {}
  local all = redis.call('HGET', k, '-')
  if all then out = { '-', all } end
  for i = 1, #found, 2 do
    if #out >= 2 * most then break end
    if found[i] ~= '-' then out[#out + 1], out[#out + 2] = found[i], found[i + 1] end
  end
  return out
end

-- What there is now of stops that a process knows, and some of all.
local function known(cursor, names)
  local found, texts, marks = { '', {} }, {}, {}
  if cursor ~= '' then found = redis.call('HSCAN', P .. ':stopped', cursor, 'COUNT', 500) end
  if #names > 0 then
    texts = redis.call('HMGET', P .. ':stopped', unpack(names))
    for i, name in ipairs(names) do marks[i] = redis.call('GET', key('resumed', name)) end
  end
  return { ms(NOW), found[1], found[2], texts, marks }
end

-- Stops that went without a resumption; what was resumed meanwhile stays so.
local function put_back(rows)
  for i = 2, #rows, 3 do
    local agent, text, mark = rows[i], rows[i + 1], rows[i + 2]
    if (redis.call('GET', key('resumed', agent)) or '') == mark then redis.call('HSETNX', P .. ':stopped', agent, text) end
  end
end

local function heard(agent)
  local kinds = { 'o', 'u', 'v', 'y', 'q' }
  for i, kind in ipairs(kinds) do kinds[i] = key(kind, agent) end
  return redis.call('EXISTS', unpack(kinds))
end

-- What may be asked for: its name -> what it does with the arguments and answers.
local ASKED = {
  look = function(a) look(a[2], a[3], a[4], tonumber(a[5])); return { ms(NOW), redis.call('HGETALL', key('look', a[2])) } end,
  leave = function(a) leave(a[2], a[3]); return { 'OK' } end,
  looks = function(a)
    local out = {}
    for i = 2, #a do out[#out + 1] = redis.call('HGETALL', key('look', a[i])) end
    return { ms(NOW), out }
  end,
  assign = function(a) assign(a[2], a[3], a[4], a[5]); return { 'OK' } end,
  assigned = function(a)
    local out = {}
    for i = 2, #a do out[#out + 1] = redis.call('HMGET', key('ask', a[i]), 'to', 'by', 'at', 'message') end
    return out
  end,
  settled = function(a)
    unassign(a[2])
    redis.call('DEL', key('look', a[2]), key('shown', a[2]))
    return { 'OK' }
  end,
  reveal = function(a)
    local k = key('shown', a[2])
    redis.call('HSET', k, a[3], a[4])
    redis.call('PEXPIRE', k, ms(KEPT))
    return { 'OK' }
  end,
  revealed = function(a) return { redis.call('HGET', key('shown', a[2]), a[3]) or '' } end,
  approved = function(a) approved(key('did', a[2]), a[3]); return { 'OK' } end,
  practised = function(a) approved(key('did-practice', a[2]), a[3]); return { 'OK' } end,
  approvals = function(a)
    local count, oldest = approvals(a[2])
    return { count, oldest, ms(NOW) }
  end,
  greet = function(a) greet(a[2], a[3]); return { 'OK' } end,
  colleagues = function(a) return colleagues(tonumber(a[2])) end,
  go_away = function(a) return { go_away(a[2], tonumber(a[3]), a[4], a[5], a[6]) } end,
  come_back = function(a) return { come_back(a[2], a[3], a[4]) } end,
  away = function() return { ms(NOW), redis.call('HVALS', P .. ':away'), redis.call('HGETALL', P .. ':away-marks') } end,
  marked = function(a) return { ms(NOW), redis.call('HGET', P .. ':away-marks', a[2]) or '' } end,
  suspend = function(a)
    local fits, text = suspend(a[2], a[3], a[4], a[5] == '1', a[6])
    return { fits, text or '', ms(NOW) }
  end,
  resume = function(a) return { resume(a[2], a[3], a[4] == '1') } end,
  known = function(a) return known(a[2], { unpack(a, 3) }) end,
  put_back = function(a) put_back(a); return { 'OK' } end,
  now = function() return { ms(NOW) } end,
  stopped = function(a) return { redis.call('HLEN', P .. ':stopped'), stopped(tonumber(a[2])) } end,
  stops = function(a) return redis.call('HMGET', P .. ':stopped', unpack(a, 2)) end,
  heard = function(a) return { heard(a[2]) } end,
  waiting = function(a)
    local out = {}
    for i = 2, #a do out[#out + 1] = redis.call('SCARD', key('o', a[i])) end
    return out
  end,
}
return ASKED[ARGV[1]](ARGV)
