local function dropOldestEvent(topic)
  local cursor = call('ZRANGE', topicKey(topic), 0, 0)[1]
  local key = call('HGET', eventKey(cursor), 'key')
  call('ZREM', topicKey(topic), cursor)
  call('ZREM', EVENTS, cursor .. ' ' .. topic)
  call('DEL', eventKey(cursor))
  if key then
    call('HDEL', topicKey(topic) .. ':keys', key)
  end
  call('HSET', TOPICS, topic, cursor)
end

-- Drops what is beyond the limits, some at a time. Each topic with events has an entry in DUE for its oldest one.
local function retain(topic)
  for _ = 1, 100 do
    local oldest = call('ZRANGE', topicKey(topic), 0, 0)[1]
    if not oldest then
      -- That there were events is known until the last one would have been dropped twice.
      call('ZADD', DUE, int(now + options.topics.keepMs), 'F' .. topic)
      return
    end
    local endsAt = tonumber(call('HGET', eventKey(oldest), 'at')) + options.topics.keepMs
    if endsAt > now and call('ZCARD', topicKey(topic)) <= options.topics.keepCount then
      call('ZADD', DUE, int(endsAt), 'T' .. topic)
      return
    end
    dropOldestEvent(topic)
  end
  call('ZADD', DUE, int(now), 'T' .. topic)
end

-- Of a topic that is no more only this is kept: whoever is behind that cursor may have missed something.
local function forget(topic)
  if call('ZCARD', topicKey(topic)) > 0 then
    return
  end
  local dropped = tonumber(call('HGET', TOPICS, topic) or 0)
  if dropped > tonumber(call('HGET', META, 'forgotten') or 0) then
    call('HSET', META, 'forgotten', int(dropped))
  end
  call('HDEL', TOPICS, topic)
end

local function publish(topic, from, payload, key)
  if key then
    local known = call('HGET', topicKey(topic) .. ':keys', key)
    if known then
      return tonumber(known), true
    end
  end
  local cursor = call('HINCRBY', META, 'cursor', 1)
  call('HSET', eventKey(cursor), 'topic', topic, 'from', from, 'payload', payload, 'at', int(now))
  if key then
    call('HSET', eventKey(cursor), 'key', key)
    call('HSET', topicKey(topic) .. ':keys', key, cursor)
  end
  call('ZADD', topicKey(topic), cursor, cursor)
  call('ZADD', EVENTS, cursor, cursor .. ' ' .. topic)
  call('HSETNX', TOPICS, topic, 0)
  call('ZADD', DUE, 'NX', int(now + options.topics.keepMs), 'T' .. topic)
  if call('ZCARD', topicKey(topic)) > options.topics.keepCount then
    retain(topic)
  end
  changed('t' .. topic)
  return cursor, false
end
