-- What a call leaves behind for the judgement of later ones (core/facts.py says what it means).
-- An action's field `eff` says what is still to be done, a line each:
--   b <key> <kind> <window ms> <weight> <where> [<counted>]  its share of a counter;
--                 kind: s(pent) o(pen) h(olds); where: p(ending), or the bucket that it is in;
--                 counted: how much of it is in there, where the counter was full
--   s <key> <ms> <untrusted> <sensitive> <points> <half life ms> <write>  for its session, once sent
--   S <sent at> <the same>                       done; undone where provably nothing was sent
--   n <key> <ms>  familiar, once it may have taken effect
--   x <key> <ms>  refused, once a person rejects it
--   g <id>        the grant that it used
-- An operation brings the same lines, with a share's room (or -) in place of where it is.
-- Most script calls need nothing of this, and making its functions costs as much as a write: they
-- are made at the first use (and not indented, as they are the whole file).
local PAST
local function past()
if PAST then return PAST end

-- Numbers have 16 digits at most: anything longer is none of ours, and would break in mid-write.
local FORM = { s = '^%S+ (%d+) %d %d (%d+) (%d+) %d$', S = '^%d+ %S+ (%d+) %d %d (%d+) (%d+) %d$',
               n = '^%S+ ([1-9]%d*)$', x = '^%S+ ([1-9]%d*)$', g = '^%S+()$' }
local function short(a, b, c)
  return a and #tostring(a) < 17 and (not b or #b < 17 and #c < 17)
end

-- Return nothing where a line is damaged: whoever asks has not written anything yet.
local function effects_of(text)
  local e = { shares = {} }
  for line in string.gmatch(text, '[^\n]+') do
    local tag, rest = string.sub(line, 1, 1), string.sub(line, 3)
    if tag == 'b' then
      local k, kind, window, weight, last, counted =
        string.match(rest, '^(%S+) ([soh]) (%d+) (%d+) ([%dp-]%d*) ?(%d*)$')
      if not (short(window, weight, last) and #counted < 17) then return nil end
      e.shares[#e.shares + 1] =
        { key = k, kind = kind, window = tonumber(window), weight = weight, at = last,
          counted = counted ~= '' and counted or nil }
    elseif FORM[tag] and short(string.match(rest, FORM[tag])) then e[tag] = rest
    else return nil end
  end
  return e
end
local NOTHING = { shares = {} }

local function keep(c, e)
  local lines = {}
  for _, s in ipairs(e.shares) do
    lines[#lines + 1] =
      table.concat({ 'b', s.key, s.kind, ms(s.window), s.weight, s.at, s.counted }, ' ')
  end
  for _, tag in ipairs({ 's', 'S', 'n', 'x', 'g' }) do
    if e[tag] then lines[#lines + 1] = tag .. ' ' .. e[tag] end
  end
  if #lines > 0 then redis.call('HSET', c, 'eff', table.concat(lines, '\n'))
  else redis.call('HDEL', c, 'eff') end
end

-- Sixty buckets to a window, so that a counter has 62 fields at most: what was sent counts for the
-- window, and until its bucket has left it. Sums are exact up to 2^53; above, no room is left anyway,
-- and a bucket takes no more than FULL, so that no weight of one call stops the calls of others.
local FULL = 2 ^ 62
local function width(window) return math.max(1, math.ceil(window / 60)) end
local function bucket(window) return ms(math.floor(NOW / width(window))) end
local function counts(where, window)
  return where == 'p' or (where + 1) * width(window) > NOW - window
end

local function usage(k, window)
  local total, flat, wide, since = 0, redis.call('HGETALL', key('b', k)), width(window), NOW - window
  for i = 1, #flat, 2 do  -- counts(), spelled out: it is asked of every bucket of every counter
    if flat[i] == 'p' or (flat[i] + 1) * wide > since then total = total + flat[i + 1] end
  end
  return total
end

local function share(e, k)
  for _, s in ipairs(e.shares) do
    if s.key == k and counts(s.at, s.window) then return s.counted or s.weight end
  end
  return 0
end

-- A counter expires with its last bucket, and never while a call waits with a share of it.
local function spare(s)
  local b = key('b', s.key)
  if redis.call('HEXISTS', b, 'p') == 1 then redis.call('PERSIST', b)
  else redis.call('PEXPIRE', b, ms(s.window + width(s.window))) end
end

local function prune(s)
  local b = key('b', s.key)
  for _, field in ipairs(redis.call('HKEYS', b)) do
    if not counts(field, s.window) then redis.call('HDEL', b, field) end
  end
end

local function add(s, where)
  local b = key('b', s.key)
  local total = redis.call('HINCRBY', b, where, s.weight)
  s.at, s.counted = where, nil
  if total > FULL then  -- only what was counted is given back later
    local over = math.min(total - FULL, tonumber(s.weight))
    redis.call('HINCRBY', b, where, '-' .. ms(over))
    s.counted = ms(s.weight - over)
  elseif where ~= 'p' and total == tonumber(s.weight) then  -- once for each new bucket
    prune(s)
    kept('v', AGENT, 250, s.window)
  end
end

local function free(s)
  local b, mine = key('b', s.key), s.counted or s.weight
  if tonumber(mine) == 0 then return end
  local left = tonumber(redis.call('HGET', b, s.at) or '0') - mine
  if left > 0 then redis.call('HINCRBY', b, s.at, '-' .. mine)
  else redis.call('HDEL', b, s.at) end
end

-- Whether the grant has a use left for this call, or was used by it before.
local function granted(new, old)
  if not new.g or new.g == old.g then return true end
  local k = redis.call('GET', key('h', new.g))
  if not k then return false end
  local v = redis.call('HMGET', key('g', k), 'id', 'uses', 'used', 'expires', 'taken')
  return v[1] == new.g and not v[5] and tonumber(v[3]) < tonumber(v[2]) and tonumber(v[4]) > NOW
end

-- Whether there is room for all that a call brings, its own old shares not counted. Only reads.
local function fits(new, old, held)
  old = old or NOTHING
  local more = {}
  for _, s in ipairs(new.shares) do
    if s.kind == 's' or held then
      local mine = (more[s.key] or 0) + s.weight
      local total = usage(s.key, s.window) - share(old, s.key) + mine
      if s.at ~= '-' and total > tonumber(s.at) then return false end
      more[s.key] = mine
    end
  end
  return granted(new, old)
end

-- Whether the call would make the store keep a session or a counter that it does not have.
local function adds(e)
  if e.s and redis.call('EXISTS', key('t', string.match(e.s, '^%S+'))) == 0 then return true end
  for _, s in ipairs(e.shares) do
    if redis.call('EXISTS', key('b', s.key)) == 0 then return true end
  end
  return false
end

-- Take what fits. An edit's budgets take the place of the old ones; the hold stays the same hold.
local function take(new, old, held, sent)
  old = old or NOTHING
  local shares, had = {}, {}
  for _, s in ipairs(old.shares) do
    if s.kind == 's' then free(s); spare(s)
    else shares[#shares + 1] = s; had[s.key] = true end
  end
  for _, s in ipairs(new.shares) do
    if s.kind == 's' or (held and not had[s.key]) then
      add(s, (s.kind == 'h' or sent) and bucket(s.window) or 'p')
      spare(s)
      shares[#shares + 1] = s
    end
  end
  new.shares = shares
  if new.g and new.g ~= old.g then
    redis.call('HINCRBY', key('g', redis.call('GET', key('h', new.g))), 'used', 1)
  end
  return new
end

local function decayed(points, at, half)
  if half == 0 or points == 0 then return points end
  return points * 2 ^ (-math.max(0, NOW - at) / half)
end

-- Count a call in its session (sign 1), or take it out again (-1): then nothing was sent.
local function note(c, said, sign, sent_at)
  local k, lasts, untrusted, sensitive, points, half, write =
    string.match(said, '^(%S+) (%d+) (%d) (%d) (%d+) (%d+) (%d)$')
  local t, names = key('t', k), { 'untrusted_content', 'sensitive_data', 'writes', 'calls' }
  if sign < 0 and redis.call('EXISTS', t) == 0 then return end
  local was = redis.call('HMGET', t, 'points', 'points_at', unpack(names))
  local now = { 'points_at', ms(NOW), 'points' }
  local own = decayed(tonumber(points), sent_at, tonumber(half))
  local total = decayed(tonumber(was[1] or '0'), tonumber(was[2] or '0'), tonumber(half)) + sign * own
  now[#now + 1] = string.format('%.17g', math.max(0, total))
  for i, by in ipairs({ untrusted, sensitive, write, '1' }) do
    now[#now + 1] = names[i]
    now[#now + 1] = ms(math.max(0, tonumber(was[i + 2] or '0') + sign * by))
  end
  redis.call('HSET', t, unpack(now))
  if sign < 0 then return end
  if not was[1] then kept('v', AGENT, 400, tonumber(lasts)) end
  redis.call('PEXPIRE', t, lasts)
  local left = redis.call('PTTL', key('k', k))  -- the request lives as long as its session
  if left > 0 and left < tonumber(lasts) then
    redis.call('PEXPIRE', key('k', k), lasts)
    local mine = key('q', redis.call('HGET', c, 'agent'))
    if redis.call('PTTL', mine) < tonumber(lasts) then redis.call('PEXPIRE', mine, lasts) end
  end
end

local function mark(kind, said)
  local k, lasts = string.match(said, '^(%S+) (%d+)$')
  if kind == 'n' and redis.call('EXISTS', key('n', k)) == 0 then  -- what is new asks for more care
    if over('y', AGENT) then return end
    kept('y', AGENT, 150, tonumber(lasts))
  end
  redis.call('SET', key(kind, k), '1', 'PX', lasts)
end

local UNSENT = { denied = true, rejected = true, responded = true, expired = true, cancelled = true }
local AFTER = { answered = true, unknown = true, resolved = true }

-- Return whether a share has still something to wait for.
local function moved(s, from, to)
  if s.kind == 'o' then
    if to == 'held' then return true end
    free(s)
  elseif s.kind == 's' and UNSENT[to] then free(s)
  elseif s.kind == 's' and to == 'forwarding' and s.at == 'p' then free(s); add(s, bucket(s.window))
  elseif s.kind == 's' and from == 'forwarding' and to == 'approved' then free(s); add(s, 'p')
  else return not (UNSENT[to] or AFTER[to]) end
  spare(s)
  return s.kind == 's' and not UNSENT[to]
end

-- Apply, move and free what an action left behind, as it goes from one state to another.
local function carry(c, e, from, to)
  if from == to then return end
  local shares = {}
  for _, s in ipairs(e.shares) do
    if moved(s, from, to) then shares[#shares + 1] = s end
  end
  e.shares = shares
  if to == 'forwarding' and e.s then
    note(c, e.s, 1, NOW)
    e.S, e.s = ms(NOW) .. ' ' .. e.s, nil
  elseif from == 'forwarding' and to == 'approved' and e.S then
    local at, said = string.match(e.S, '^(%d+) (.*)$')
    note(c, said, -1, tonumber(at))
    e.S, e.s = nil, said
  end
  if AFTER[to] and e.n then mark('n', e.n) end
  if to == 'rejected' and e.x then mark('x', e.x) end
  if UNSENT[to] or AFTER[to] then redis.call('HDEL', c, 'eff') else keep(c, e) end
end

-- People are told of a held call again every so often, and when more of them may decide.
local function remind(id, spec, created)
  local every, rest = string.match(spec, '^(%d+)(.*)$')
  local at = tonumber(every) > 0 and created + (math.floor((NOW - created) / every) + 1) * every
  for after in string.gmatch(rest, '%d+') do
    if created + after > NOW and (not at or created + after < at) then at = created + after end
  end
  if at then redis.call('ZADD', P .. ':remind', ms(at), id)
  else redis.call('ZREM', P .. ':remind', id) end
end

PAST = { NOTHING = NOTHING, effects_of = effects_of, keep = keep, fits = fits, adds = adds, take = take,
         carry = carry, remind = remind, usage = usage, share = share, decayed = decayed }
return PAST
end

