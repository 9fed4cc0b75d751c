-- What is said of calls afterwards: ARGV[1] is what to do, ARGV[2] the call.
-- {p}:d:<id> hash  a call that was drawn, as put.lua copied it;  {p}:audits zset  those that wait
-- {p}:audits:of hash  whose each of them is;  {p}:audits:by zset  how many each agent has
-- {p}:audits:dropped string  how many draws were not kept for an auditor
-- told, tn, tnonce: in both hashes of a call, the sealed record of what was said, how much that is,
-- and by which operation
local op, id = ARGV[1], ARGV[2]
local A = P .. ':audits'

-- An auditor's copy where there is one: it has the bytes, and outlives the call's own record.
local function whole(name)
  local d = key('d', name)
  if redis.call('HEXISTS', d, 'st') == 1 then
    local flat, c = redis.call('HGETALL', d), key('c', name)
    if redis.call('EXISTS', c) == 1 then  -- what is known since: an unknown outcome, what was told
      for _, f in ipairs({ 'st', 'ver', 'changed', 'rec', 'told', 'tn' }) do
        local v = redis.call('HGET', c, f)
        if v then flat[#flat + 1] = f; flat[#flat + 1] = v end
      end
    end
    return flat
  end
  local c = key('c', name)
  local st = redis.call('HGET', c, 'st')
  if not st then return {} end
  lapse(name, c, st)
  return redis.call('HGETALL', c)
end

if op == 'attach' then  -- the answer, once it has ended
  local d = key('d', id)
  if redis.call('HEXISTS', d, 'st') == 1 then redis.call('HSET', d, 'answer', ARGV[3]) end
  return { 'OK' }
end

if op == 'read' then return { ms(NOW), redis.call('ZSCORE', A, id) and '1' or '0', whole(id) } end

if op == 'waiting' then  -- behind the place ARGV[2] (time id), at most ARGV[3]
  local at, last = string.match(id, '^(%d+) (%S+)$')
  local rows, found = {}, redis.call('ZRANGEBYSCORE', A, at or '-inf', '+inf', 'WITHSCORES')
  for i = 1, #found, 2 do
    local name, score = found[i], ms(tonumber(found[i + 1]))
    if #rows >= tonumber(ARGV[3]) then break end
    if not at or tonumber(score) > tonumber(at) or name > last then
      local flat = whole(name)
      if #flat == 0 then unaudited(name)
      else rows[#rows + 1] = { name, score, flat } end
    end
  end
  return rows
end

if op == 'tell' then  -- ARGV[3..]: nonce, version, how much was told before, audit or report, note
  local nonce, ver, before, kind, sealed = ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
  local c, d = key('c', id), key('d', id)
  local of = redis.call('EXISTS', c) == 1 and c or d
  local v = redis.call('HMGET', of, 'ver', 'tn', 'tnonce', 'decoy')
  if not v[1] or v[4] then return { 'GONE' } end
  if v[3] == nonce then return { 'OK' } end
  if v[1] ~= ver or (v[2] or '0') ~= before then return { 'STALE' } end
  if kind == 'audit' and unaudited(id) == 0 then return { 'GONE' } end
  for _, h in ipairs({ c, d }) do
    if redis.call('HEXISTS', h, 'st') == 1 then
      redis.call('HSET', h, 'told', sealed, 'tn', ms(before + 1), 'tnonce', nonce)
    end
  end
  feed('note', sealed)
  return { 'OK' }
end
return { 'OP' }
