-- ARGV[4…]: of each message queue, from, type, payload, priority, ttl, correlation, reply, key, tell; the last five are
-- empty, or begin with '='.
local WIDTH = 10

local function optional(value)
  return value ~= '' and string.sub(value, 2) or nil
end

local messages, seen, new = {}, {}, {}
for at = 4, #ARGV, WIDTH do
  local message = {
    queue = ARGV[at],
    from = ARGV[at + 1],
    type = ARGV[at + 2],
    payload = ARGV[at + 3],
    priority = ARGV[at + 4],
    ttl = tonumber(optional(ARGV[at + 5])),
    correlation = optional(ARGV[at + 6]),
    reply = optional(ARGV[at + 7]),
    key = optional(ARGV[at + 8]),
    tell = optional(ARGV[at + 9]),
  }
  if message.key then
    message.key = message.from .. '\n' .. message.queue .. '\n' .. message.key
    message.known = call('HGET', KEPT_KEYS, message.key)
    if message.known and message.known <= (call('HGET', DELETED, message.queue) or '') then
      message.known = nil
    end
    message.sameAs = seen[message.key]
    seen[message.key] = seen[message.key] or message
  end
  if not message.known and not message.sameAs then
    local more = new[message.queue] or { all = 0 }
    new[message.queue] = more
    more.all = more.all + 1
    more[message.from] = (more[message.from] or 0) + 1
    local limit, of = overLimit(message.queue, message.from, more.all, more[message.from])
    if limit then
      return answer({ 'full', message.queue, int(limit), of })
    end
  end
  messages[#messages + 1] = message
end

local sent = {}
for _, message in ipairs(messages) do
  local earlier = message.known or (message.sameAs and (message.sameAs.known or message.sameAs.id))
  if not earlier then
    enqueue(message)
    if message.key then
      call('HSET', KEPT_KEYS, message.key, message.id)
      call('ZADD', DUE, int(now + KEYS_KEPT_MS), 'K' .. message.key)
    end
  end
  sent[#sent + 1] = earlier or message.id
  sent[#sent + 1] = earlier and 1 or 0
end
return answer({ 'ok', sent })
