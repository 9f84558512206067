-- A queue that is being deleted gets no notices any more.
local deleting = nil

-- A dead letter goes for good.
local function drop(message)
  call('ZREM', queueKey(message.queue, 'dead'), message.id)
  call('ZREM', DUE, 'D' .. message.id)
  erase(message)
  if call('HGET', QUEUES, message.queue) == GONE and call('ZCARD', queueKey(message.queue, 'dead')) == 0 then
    call('HDEL', QUEUES, message.queue)
  end
end

-- It becomes a dead letter, with an event, and a notice for its sender where there is room.
local function die(message, cause, detail)
  local queue, id = message.queue, message.id
  leave(message)
  call('ZREM', DUE, 'X' .. id)
  count(queue, message.from, -1)
  local texts = DEATHS[cause][detail and 'detailed' or 'plain']
  local values = { id = id, queue = queue, from = message.from, type = message.type, attempt = int(message.attempt),
    detail = detail }
  call('HSET', messageKey(id), 'state', 'dead', 'cause', cause, 'reason', fill(texts.reason, values), 'died', int(now))
  call('ZADD', queueKey(queue, 'dead'), 0, id)
  call('ZADD', DUE, int(now + options.deadLettersKeptMs), 'D' .. id)
  while call('ZCARD', queueKey(queue, 'dead')) > settingsOf(queue).maxMessages do
    drop({ id = call('ZRANGE', queueKey(queue, 'dead'), 0, 0)[1], queue = queue })
  end
  publish(DEATHS.topic, DEATHS.from, fill(texts.event, values), nil)
  if message.tell and message.tell ~= deleting and not overLimit(message.tell, nil, 1) then
    enqueue({
      queue = message.tell,
      from = DEATHS.from,
      type = DEATHS.notice.type,
      priority = DEATHS.notice.priority,
      payload = fill(texts.notice, values),
      correlation = message.correlation,
    })
  end
end

-- Why a message that was handed out does not come back; nil if it does.
local function whyDead(message)
  if message.attempt >= settingsOf(message.queue).maxAttempts then
    return 'attempts'
  end
  return isExpired(message) and 'expired' or nil
end

-- It was handed out and nobody acknowledges it any more.
local function takeBack(message)
  local cause = whyDead(message)
  if cause then
    die(message, cause)
  else
    leave(message)
    toReady(message)
  end
end
