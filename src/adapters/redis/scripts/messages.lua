-- A message is a hash. Where it is follows from its state: ready (one sorted set a priority, by the time of sending; one
-- more for its correlation id), delayed, leased, dead.
local FIELDS = { 'queue', 'from', 'type', 'priority', 'correlation', 'reply', 'sent', 'expires', 'ttl', 'attempt', 'state',
  'consumer', 'lease', 'until', 'cause', 'reason', 'died', 'tell' }
-- What is handed out, in this order.
local VIEW = { 'queue', 'from', 'type', 'payload', 'priority', 'correlation', 'reply', 'sent', 'expires', 'attempt', 'state',
  'consumer', 'lease', 'until', 'cause', 'reason', 'died' }

local function load(id)
  local values = call('HMGET', messageKey(id), unpack(FIELDS))
  if not values[1] then
    return nil
  end
  local message = { id = id }
  for n, field in ipairs(FIELDS) do
    message[field] = values[n]
  end
  message.attempt = tonumber(message.attempt)
  return message
end

local function view(id)
  local row = call('HMGET', messageKey(id), unpack(VIEW))
  row[#VIEW + 1] = id
  return row
end

local function isExpired(message)
  return message.expires and tonumber(message.expires) <= now
end

-- Messages that wait or are handed out, of the queue and of each sender in it. The name of the whole is empty.
local function count(queue, from, change)
  for _, who in ipairs({ '', from }) do
    if call('HINCRBY', queueKey(queue, 'senders'), who, change) <= 0 then
      call('HDEL', queueKey(queue, 'senders'), who)
    end
  end
end

local function counted(queue, who)
  return tonumber(call('HGET', queueKey(queue, 'senders'), who) or 0)
end

-- The limit that `more` messages would break, and whose it is.
local function overLimit(queue, from, moreOfAll, moreOfSender)
  local settings = settingsOf(queue)
  if counted(queue, '') + moreOfAll > settings.maxMessages then
    return settings.maxMessages
  end
  if from and counted(queue, from) + moreOfSender > settings.maxPerSender then
    return settings.maxPerSender, from
  end
  return nil
end

local function readyKey(queue, priority, correlation)
  local key = queueKey(queue, 'r' .. priority)
  return correlation and (key .. ':' .. correlation) or key
end

local function toReady(message)
  call('ZADD', readyKey(message.queue, message.priority), message.sent, message.id)
  if message.correlation then
    call('ZADD', readyKey(message.queue, message.priority, message.correlation), message.sent, message.id)
  end
  call('HSET', messageKey(message.id), 'state', 'ready')
  changed('q' .. message.queue)
end

-- It is taken from where it is. Removals come first in every script that must work while the memory is full.
local function leave(message)
  local queue, id = message.queue, message.id
  if message.state == 'ready' then
    call('ZREM', readyKey(queue, message.priority), id)
    if message.correlation then
      call('ZREM', readyKey(queue, message.priority, message.correlation), id)
    end
  elseif message.state == 'delayed' then
    call('ZREM', queueKey(queue, 'delayed'), id)
    call('ZREM', DUE, 'W' .. id)
  elseif message.state == 'leased' then
    call('ZREM', queueKey(queue, 'leased'), id)
    call('ZREM', DUE, 'L' .. id)
    call('SREM', consumerKey(message.consumer), id)
    call('HDEL', messageKey(id), 'consumer', 'lease', 'until')
    if call('HINCRBY', queueKey(queue, 'consumers'), message.consumer, -1) <= 0 then
      call('HDEL', queueKey(queue, 'consumers'), message.consumer)
    end
    if isLimited(queue) then
      changed('q' .. queue)
    end
  end
end

local function erase(message)
  call('DEL', messageKey(message.id))
  call('ZREM', IDS, message.id)
  call('ZREM', queueKey(message.queue, 'ids'), message.id)
  call('ZREM', DUE, 'X' .. message.id)
end

local queuesKnown = {}
local function remember(queue)
  if not queuesKnown[queue] then
    local own = call('HGET', QUEUES, queue)
    if not own or own == GONE then
      call('HSET', QUEUES, queue, '{}')
    end
    queuesKnown[queue] = true
  end
end

local function expireAfter(message, ttl)
  if ttl then
    message.expires = int(now + ttl)
    call('HSET', messageKey(message.id), 'expires', message.expires)
    call('ZADD', DUE, message.expires, 'X' .. message.id)
  end
end

-- Sending never goes back in time, even if the clock does.
local function sendingTime()
  local latest = tonumber(call('HGET', META, 'clock') or 0)
  if latest >= now then
    return latest
  end
  call('HSET', META, 'clock', int(now))
  return now
end

-- @param message queue, from, type, payload, priority; correlation, reply, ttl, tell or false
-- @returns its id: the time and a number, so that ids sort in the order of sending
local function enqueue(message)
  local sequence = call('HINCRBY', META, 'seq', 1)
  local sent = sendingTime()
  local ttl = message.ttl or settingsOf(message.queue).ttlMs
  if ttl == NULL then
    ttl = false
  end
  message.id = string.format('%012x%010x', sent, sequence)
  message.sent = int(sent)
  local values = { 'queue', message.queue, 'from', message.from, 'type', message.type, 'payload', message.payload, 'priority',
    message.priority, 'sent', message.sent, 'attempt', 0 }
  for name, value in pairs({ correlation = message.correlation, reply = message.reply, tell = message.tell }) do
    if value then
      values[#values + 1] = name
      values[#values + 1] = value
    end
  end
  if ttl then
    values[#values + 1] = 'ttl'
    values[#values + 1] = int(ttl)
  end
  call('HSET', messageKey(message.id), unpack(values))
  call('ZADD', IDS, 0, message.id)
  call('ZADD', queueKey(message.queue, 'ids'), 0, message.id)
  remember(message.queue)
  count(message.queue, message.from, 1)
  expireAfter(message, ttl)
  toReady(message)
  return message.id
end
