-- Where everything is. All keys hang under one hash tag, KEYS[1] = "{prefix}".
-- {p}:c:<id>      hash    control fields, the action's record, call bytes, answer, e:<version> events
-- {p}:open        zset    held, by turn (20 of each agent), stake (critical first), then age
-- {p}:due         zset    when something lapses: a hold, an approval, a lease
-- {p}:ready       set     approved and never claimed: a crash may have come between
-- {p}:unknown     zset    outcomes that a person has to settle
-- {p}:o:<agent>   set     held calls of one agent
-- {p}:f:<print>   string  fingerprint -> id;  {p}:i:<key> string  Idempotency-Key -> id fingerprint
-- {p}:s:<session> list    recent calls of a session
-- {p}:recent      zset    latest calls that people had to do with
-- {p}:past        zset    calls that were held, by when they were settled;  {p}:past:end zset by their end
-- {p}:a:<kind>    string  the latest call of this kind that people approved
-- {p}:stopped     hash    agents whose calls are neither sent nor held: id, or - for all -> by, why, when
-- {p}:secret      string  a MAC that tells which secret made this store (same_secret.py)
-- {p}:log         stream  wake-ups for waiters: id, version, state
-- {p}:feed        stream  records of ended calls (note), or their ids, until they are archived
-- {p}:feed:epoch|n|bytes|archives  its numbers; how much is in it; who has read how far
-- {p}:schemas     hash    JSON Schemas of arguments by their hashes
-- {p}:d:<id>      hash    a call that was drawn for an audit, as an auditor sees it
-- {p}:audits      zset    those that wait for an auditor, by when they were answered
-- {p}:remind      zset    held calls by the moment at which people have to be told of them again
-- {p}:r:<nonce>   string  whom one request to remind named: its repetition answers the same
-- {p}:b:<counter> hash    p: pending total; <bucket>: what was sent then (millionths)
-- {p}:t:<session> hash    what a session did so far;  {p}:k:<session> string  the user's own request
-- {p}:q:<agent>   zset    its sessions whose request is kept, by when that ends (or later)
-- {p}:n:<key>     string  familiar;  {p}:x:<target> string  refused a while ago
-- {p}:u|v|y|z:<agent> string what this agent made the store keep lately, bytes (see kept())
-- {p}:g:<target>  hash    a grant;  {p}:h:<grant id> string  its target
-- {p}:grants      zset    grants by creation;  {p}:grants:end zset  by their end
local P = KEYS[1]
local T = redis.call('TIME')
local NOW = T[1] * 1000 + math.floor(T[2] / 1000)
local function ms(n) return string.format('%.0f', n) end
local function key(kind, rest) return P .. ':' .. kind .. ':' .. rest end

-- What one agent can fill the store with is bounded: {p}:u what is kept for an hour at most, in this
-- hour; {p}:v what is kept longer, times the days, in this day; {p}:y the same of what is let go
-- instead of refused; {p}:z bodies of drawn calls in this hour. Beyond MOST (u, z: a quarter of it) new
-- things of that agent are kept for a moment only, not remembered, not kept, or refused.
local HOUR, DAY, MOMENT = 3600000, 86400000, 10000
local MOST, AGENT = 2 ^ 28, ''  -- put.lua is told others
local function kept(kind, agent, bytes, lasts)
  local k, window = key(kind, agent), (kind == 'u' or kind == 'z') and HOUR or DAY
  local more = bytes * math.max(1, math.ceil((lasts or 0) / DAY))
  local total = redis.call('INCRBY', k, ms(more))
  if total == more then redis.call('PEXPIRE', k, window) end
  return total
end
local function over(kind, agent) return tonumber(redis.call('GET', key(kind, agent)) or '0') >= MOST end

