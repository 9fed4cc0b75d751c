-- One transition per operation, many operations per call (concurrent calls share a round trip).
-- Every guard that matters for consent and delivery is checked here again, whatever the caller
-- believes: compare-and-set, deadlines by this clock, digest, distinct voters, quorum, ownership
-- of the send. Repeating an operation with its nonce answers as the first time did.
local FROM = {
  decide    = { none = true },
  allow     = { none = true },
  approve   = { held = true },
  edit      = { held = true },
  escalate  = { held = true },
  reject    = { held = true, approved = true },
  respond   = { held = true },
  deny      = { held = true, approved = true },
  cancel    = { held = true, approved = true },
  claim     = { approved = true },
  answer    = { forwarding = true, unknown = true },
  notsent   = { forwarding = true },
  lose      = { forwarding = true },
  resolve   = { unknown = true },
  lapse     = { held = true, approved = true, forwarding = true },
}
local TO = {
  decide    = { denied = true, held = true },
  allow     = { forwarding = true },
  approve   = { held = true, approved = true },
  edit      = { held = true, approved = true },
  escalate  = { held = true },
  reject    = { rejected = true },
  respond   = { responded = true },
  deny      = { denied = true },
  cancel    = { cancelled = true },
  claim     = { forwarding = true },
  answer    = { answered = true },
  notsent   = { approved = true },
  lose      = { unknown = true },
  resolve   = { resolved = true },
  lapse     = { expired = true, unknown = true },
}
local OWNED = { answer = true, notsent = true, lose = true }

-- Counted by name. That who stands in for somebody has their voice is the core's to know: it refuses
-- the second vote under compare-and-set, and counts voices again before anything is sent.
local function voters(c)
  local names = {}
  for _, f in ipairs(redis.call('HKEYS', c)) do
    if string.sub(f, 1, 3) == 'by:' then names[#names + 1] = f end
  end
  return names
end

-- Whether a person stopped this agent, or all of them. Operations of one call share one look.
-- KNOWN: the writer saw a stop that nobody resumed, and which may have been taken out of the store.
local NOBODY, KNOWN
local function stopped(agent)
  if KNOWN then return true end
  if NOBODY == nil then NOBODY = redis.call('EXISTS', P .. ':stopped') == 0 end
  if NOBODY then return false end
  local v = redis.call('HMGET', P .. ':stopped', agent, '-')
  return v[1] or v[2]
end

-- Fingerprints marked `key:` only guard their Idempotency-Key.
local function joinable(a) return a.fp ~= '' and string.sub(a.fp, 1, 4) ~= 'key:' end

local WAITS = { held = true, approved = true, forwarding = true, unknown = true }

-- Return where another call stands now, and note where looking has ended it.
local function standing(a, id)
  local c = key('c', id)
  local st, was = lapse(id, c, redis.call('HGET', c, 'st'))
  if was ~= '' then a.other = (a.other or '') .. id .. ' ' .. was .. ' ' end
  return st
end

-- A retry of a call that is pending, or was settled a moment ago, joins it.
local function joins(a)
  if a.idem ~= '' then
    local v = redis.call('GET', key('i', a.idem))
    if v then
      local id, d = string.match(v, '^(%S+) (%S+)$')
      local known = redis.call('EXISTS', key('c', id)) == 1
      if known and not FORGET[standing(a, id)] then  -- what never ran may be asked anew
        if d ~= a.fp then return { 'REUSED', id } end
        return { 'JOIN', id }
      end
    end
  end
  if joinable(a) then
    local id = redis.call('GET', key('f', a.fp))
    if id and redis.call('EXISTS', key('c', id)) == 1 then
      local st = standing(a, id)
      local asks = a.to == 'held' or a.to == 'denied'
      if (asks and not FORGET[st]) or WAITS[st] then return { 'JOIN', id } end
    end
  end
end

-- The first calls of each agent come before the next ones of any: a flood of one agent hides no
-- other's. Within such a turn the gravest come first, then the oldest. Exact: below 2^53.
local TURN, TURNS = 20, 200
local function place(stake, mine)
  return ms(math.min(math.floor(mine / TURN), TURNS) * 4e13 + (3 - stake) * 1e13 + NOW)
end

-- Whether the call would make the store keep, for long, more than its record.
local function unknown(a, effects)
  return a.idem ~= '' or effects and past().adds(effects)
      or a.session ~= '' and redis.call('EXISTS', key('s', a.session)) == 0
end

-- Note what will be kept of the call, a small answer included. Held ones have a bound of their own,
-- see unseen(); those that people are told of are noted apart, so that no flood of others hides them.
local SMALL = 1000
local function keeps(a, held)
  local bytes = #a.rec + #a.call + 1000 + SMALL
  if a.idem ~= '' then kept('v', a.agent, bytes, tonumber(a.keep))
  elseif a.op == 'allow' and a.watched == '1' then
    if kept('y', a.agent, bytes) > MOST then a.keep = ms(MOMENT) end
  elseif not held and kept('u', a.agent, bytes) > MOST / 4 then a.keep = ms(MOMENT) end
end

-- A call that was drawn for an audit is kept for its auditor apart from its own hash, in which
-- nothing that its agent can come to know is another than if it had not been drawn.
local AUDITS, AUDITS_OF_ONE = 2000, 200  -- more are never looked at

-- Make room for one more call of *agent*. Where there is none, what came last of who has most goes:
-- a flood hides neither calls of others nor earlier ones of its own agent.
local function room(agent)
  local all, by = P .. ':audits', P .. ':audits:by'
  for _, id in ipairs(redis.call('ZRANGE', all, 0, 9)) do
    if redis.call('EXISTS', key('d', id)) == 0 then unaudited(id) end
  end
  local mine = tonumber(redis.call('ZSCORE', by, agent) or '0')
  if mine >= AUDITS_OF_ONE then return false end
  if redis.call('ZCARD', all) < AUDITS then return true end
  local most = redis.call('ZREVRANGE', by, 0, 0, 'WITHSCORES')
  if not most[1] or tonumber(most[2]) <= mine + 1 then return false end
  for from = 0, AUDITS, 50 do
    for _, id in ipairs(redis.call('ZREVRANGE', all, from, from + 49)) do
      if redis.call('HGET', all .. ':of', id) == most[1] then
        unaudited(id)
        redis.call('DEL', key('d', id))
        redis.call('INCR', all .. ':dropped')
        return true
      end
    end
  end
  return false
end

-- Keep the body of a call that was drawn until it has ended: settle() lets go of one that no auditor
-- gets. Counted apart from what its agent may have kept, or it would come to know what was drawn.
local function body(a)
  local waiting = tonumber(redis.call('ZSCORE', P .. ':audits:by', a.agent) or '0')
  if waiting >= AUDITS_OF_ONE or kept('z', a.agent, #a.drawn) > MOST / 4 then return end
  redis.call('HSET', key('d', a.id), 'call', a.drawn)
  redis.call('PEXPIRE', key('d', a.id), DAY)
end

local function drawn(a, c)
  local keep, answer = string.match(a.drawn, '^(%d+) (.*)$')
  if not keep then return end
  local d, agent = key('d', a.id), redis.call('HGET', c, 'agent')
  if redis.call('HEXISTS', d, 'st') == 1 then  -- its outcome was unknown: it waits, or was judged
    if answer ~= '' then redis.call('HSET', d, 'answer', answer) end
    return
  end
  if not room(agent) then
    redis.call('DEL', d)
    redis.call('INCR', P .. ':audits:dropped')
    return
  end
  local whole = redis.call('HGET', d, 'call')
  redis.call('HSET', d, unpack(redis.call('HGETALL', c)))
  redis.call('HSET', d, 'answer', answer)
  if whole then redis.call('HSET', d, 'call', whole) end
  redis.call('PEXPIRE', d, keep)
  redis.call('ZADD', P .. ':audits', ms(NOW), a.id)
  redis.call('HSET', P .. ':audits:of', a.id, agent)
  redis.call('ZINCRBY', P .. ':audits:by', 1, agent)
end

-- The record of a call that has ended. One that was made for another version is made anew later,
-- but for an answer that came after its lease: that nobody else knows.
local SCHEMAS = 2000
local function note(a, ver)
  if a.schema ~= '' and redis.call('HLEN', P .. ':schemas') < SCHEMAS then
    redis.call('HSETNX', P .. ':schemas', string.match(a.schema, '^(%x+) (.*)$'))
  end
  if a.note == '' then return end
  if #a.note > 2 * SMALL then kept('u', a.agent, #a.note) end
  if a.note == '-' or (ver ~= a.expect + 1 and a.op ~= 'answer') then feed('id', a.id) else feed('note', a.note) end
end

local function create(a, c)
  local joined = joins(a)
  if joined then return joined end
  local held = a.to == 'held'
  if a.decoy ~= '' and not held then return { 'ILLEGAL', 'none' } end
  if a.to ~= 'denied' and stopped(a.agent) then return { 'SUSPENDED', '' } end
  if held and a.decoy == '' and redis.call('SCARD', key('o', a.agent)) >= tonumber(a.cap) then return { 'FULL', '' } end
  if held and redis.call('ZCARD', P .. ':open') >= tonumber(a.capall) then return { 'FULL', '' } end
  local sent, effects = a.op == 'allow', a.eff ~= '' and a.to ~= 'denied' and past().effects_of(a.eff)
  if effects == nil then return { 'ILLEGAL', 'damaged' } end
  if effects and not past().fits(effects, nil, held) then return { 'FACTS', '' } end
  local named = a.idem ~= '' or a.session ~= '' or effects
  if named and over('v', a.agent) and unknown(a, effects) then return { 'FULL', 'kept' } end
  keeps(a, held)
  local ver = move(a.id, c, 'proposed', sent and 'approved' or a.to, a.nonce, a.event)
  redis.call('HSET', c, 'rec', a.rec, 'call', a.call, 'digest', a.digest, 'agent', a.agent,
             'owner', a.owner, 'quorum', a.quorum, 'created', ms(NOW), 'fp', a.fp, 'idem', a.idem,
             'window', a.window, 'keep', a.keep, 'watched', a.watched, 'stake', a.stake)
  if a.decoy ~= '' then redis.call('HSET', c, 'decoy', a.decoy) end
  if held and a.decoy == '' then redis.call('HSET', c, 'past', '1') end
  if a.session ~= '' then
    local s = key('s', a.session)
    if redis.call('LPUSH', s, a.id) == 1 then kept('v', a.agent, 800, DAY) end
    redis.call('LTRIM', s, 0, 19); redis.call('PEXPIRE', s, DAY)
  end
  if a.idem ~= '' then redis.call('SET', key('i', a.idem), a.id .. ' ' .. a.fp, 'PX', a.keep) end
  if held then
    local mine = redis.call('SCARD', key('o', a.agent))
    redis.call('ZADD', P .. ':open', place(a.stake, mine), a.id)
    if a.decoy == '' then redis.call('SADD', key('o', a.agent), a.id) end  -- it takes no place of its agent's
    if joinable(a) then redis.call('SET', key('f', a.fp), a.id) end
  end
  if sent and a.drawn ~= '' then
    redis.call('HSET', c, 'drawn', '1')
    if #a.drawn > 1 then body(a) end  -- it is not kept with the call
  end
  if sent then  -- decided and claimed in one write: no one could come between
    ver = move(a.id, c, 'approved', 'forwarding', a.nonce, '{"event":"Claimed"}')
    redis.call('HSET', c, 'owner_nonce', a.nonce, 'adigest', a.digest, 'fence', 1,
               'lapses', ms(NOW + a.ttl))
  end
  if effects then
    past().take(effects, nil, held, sent)
    if sent then past().carry(c, effects, 'approved', 'forwarding') else past().keep(c, effects) end
  end
  if a.to == 'denied' then settle(a.id, c, 'denied') end
  return nil, ver
end

-- Checks first, writes after: a refused operation leaves nothing behind.
local function review(a, c)
  local v = redis.call('HMGET', c, 'digest', 'quorum')
  local edit = a.op == 'edit'
  if not edit and a.digest ~= v[1] then return { 'DIGEST', '' } end
  if not edit and redis.call('HEXISTS', c, 'by:' .. a.who) == 1 then return { 'VOTED', '' } end
  local cast = voters(c)
  local quorum = math.max(tonumber(v[2]), tonumber(a.quorum))
  local count = edit and 1 or #cast + 1
  if (count >= quorum) ~= (a.to == 'approved') then return { 'QUORUM', '' } end
  if edit then
    if a.kept or a.eff ~= '' then
      local old, new = a.kept, past().effects_of(a.eff)
      if not new then return { 'ILLEGAL', 'damaged' } end
      if not past().fits(new, old, a.to == 'held') then return { 'FACTS', '' } end
      a.left = past().take(new, old, a.to == 'held', false)
      past().keep(c, a.left)
    end
    if #cast > 0 then redis.call('HDEL', c, unpack(cast)) end  -- votes were for what it replaces
    redis.call('HSET', c, 'digest', a.digest, 'call2', a.call)
  end
  redis.call('HSET', c, 'by:' .. a.who, a.mac, 'quorum', quorum)
  if a.to == 'approved' then
    redis.call('HSET', c, 'adigest', a.digest, 'lapses', ms(NOW + a.ttl))
    unlist(a.id, c)
    redis.call('SADD', P .. ':ready', a.id)
    for kind in string.gmatch(a.alike, '%S+') do redis.call('SET', key('a', kind), a.id, 'PX', a.keep) end
  end
end

local function claim(a, c)
  local v = redis.call('HMGET', c, 'digest', 'adigest', 'agent')
  if v[1] ~= a.digest or v[2] ~= a.digest then return { 'DIGEST', '' } end
  if stopped(v[3]) then return { 'SUSPENDED', 'approved' } end
  redis.call('HINCRBY', c, 'fence', 1)
  redis.call('HSET', c, 'owner_nonce', a.nonce)
  redis.call('SREM', P .. ':ready', a.id)
end

-- What a practice call may become: nothing from which anything is sent.
local PRACTICE = { escalate = true, cancel = true, lapse = true }
local BY_PEOPLE = { approve = true, edit = true, reject = true, respond = true }
local function change(a, c)
  if not PRACTICE[a.op] and redis.call('HEXISTS', c, 'decoy') == 1 then return { 'ILLEGAL', 'decoy' } end
  if BY_PEOPLE[a.op] then
    local v = redis.call('HMGET', c, 'agent', 'owner')
    if a.who == '' or a.who == v[1] or a.who == v[2] then return { 'SELF', '' } end
  end
  if a.op == 'approve' or a.op == 'edit' then return review(a, c) end
  if a.op == 'claim' then return claim(a, c) end
end

-- What an edit or a vote changes of it counts from now on.
local function reminded(a, c)
  if a.remind == (redis.call('HGET', c, 'remind') or '') then return end
  redis.call('HSET', c, 'remind', a.remind)
  past().remind(a.id, a.remind == '' and '0' or a.remind, tonumber(redis.call('HGET', c, 'created')))
end

local function finish(a, c, ver, from)
  if a.rec ~= '' then redis.call('HSET', c, 'rec', a.rec) end
  if a.to == 'held' then reminded(a, c) end
  if a.answer ~= '' then
    redis.call('HSET', c, 'answer', a.answer)
    if #a.answer > SMALL then kept(a.idem ~= '' and 'v' or 'u', a.agent, #a.answer) end
  end
  local at = 0
  if a.op == 'notsent' then
    at = tonumber(redis.call('HGET', c, 'lapses') or '0')
    redis.call('HSET', c, 'owner_nonce', '')
  elseif a.ttl ~= '' then at = NOW + a.ttl
  elseif a.to == from then at = tonumber(redis.call('HGET', c, 'deadline') or '0') end
  if at > 0 or from ~= 'none' then deadline(a.id, c, at) end
  if FINAL[a.to] or a.to == 'unknown' then
    if a.drawn ~= '' then drawn(a, c) end
    settle(a.id, c, a.to)
    note(a, ver)
  end
  if redis.call('HGET', c, 'watched') == '1' then wake(a.id, ver, a.to) end
end

local function checked(a, c, st)
  if not FROM[a.op] or not FROM[a.op][st] or not TO[a.op][a.to] then return { 'ILLEGAL', st } end
  if OWNED[a.op] then
    if redis.call('HGET', c, 'owner_nonce') ~= a.nonce then return { 'NONCE', st } end
  elseif tonumber(redis.call('HGET', c, 'ver') or '0') ~= tonumber(a.expect) then
    return { 'STALE', st }
  end
end

local function repeated(a, c, st)
  if OWNED[a.op] then
    return st == a.to and redis.call('HGET', c, 'owner_nonce') == a.nonce
        or (a.op == 'notsent' and redis.call('HGET', c, 'notsent') == a.nonce)
  end
  local e = redis.call('HGET', c, 'e:' .. (a.expect + 1))
  return e and string.sub(e, 1, #a.nonce + 1) == a.nonce .. ' '
end

local function apply(a)
  local c = key('c', a.id)
  local v = redis.call('HMGET', c, 'st', 'eff')
  local st = v[1] or 'none'
  if st ~= 'none' and repeated(a, c, st) then return { 'OK', st }, c, '' end
  local lapsed = ''
  if a.op ~= 'answer' then st, lapsed = lapse(a.id, c, st) end  -- a true answer beats a lease
  if lapsed ~= '' then return { a.op == 'lapse' and 'OK' or 'LAPSED', st }, c, lapsed end
  local bad = checked(a, c, st)
  if bad then return bad, c, '' end
  if a.op == 'lapse' then return { 'EARLY', st }, c, '' end
  if v[2] then
    a.kept = past().effects_of(v[2])
    if not a.kept then return { 'ILLEGAL', 'damaged' }, c, '' end
  end
  local ver
  if st == 'none' then bad, ver = create(a, c) else bad = change(a, c) end
  if bad then return bad, c, '' end
  if a.op == 'notsent' then redis.call('HSET', c, 'notsent', a.nonce) end
  if not ver then
    ver = move(a.id, c, st, a.to, a.nonce, a.event)
    if a.left or a.kept then past().carry(c, a.left or a.kept, st, a.to) end
  end
  finish(a, c, ver, st)
  return { 'OK', a.to }, c, ''
end

local NAMES = { 'id', 'op', 'nonce', 'expect', 'to', 'ttl', 'digest', 'who', 'mac', 'quorum', 'event',
                'rec', 'call', 'answer', 'agent', 'owner', 'session', 'fp', 'idem', 'stake', 'watched',
                'cap', 'window', 'keep', 'eff', 'remind', 'decoy', 'alike',
                'note', 'schema', 'drawn', 'known' }
local PACKED = '>' .. string.rep('I4c0', #NAMES)  -- one argument per operation, its fields by length
local out = {}
for i = 1, #ARGV do
  local a, fields = {}, { struct.unpack(PACKED, ARGV[i]) }
  for j = 1, #NAMES do a[NAMES[j]] = fields[j] end
  local most
  a.cap, a.capall, most = string.match(a.cap, '^(%d+) (%d+) ?(%d*)$')
  MOST, AGENT, KNOWN = tonumber(most) or MOST, a.agent, a.known == '1'
  local r, c, lapsed = apply(a)
  local v = redis.call('HMGET', c, 'ver', 'deadline', 'created')
  out[#out + 1] = { r[1], r[2], v[1] or '0', ms(NOW), v[2] or '0', v[3] or '0', lapsed, a.other or '' }
end
return out
