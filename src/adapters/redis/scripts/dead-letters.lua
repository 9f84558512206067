-- ARGV[4]: queue, [5]: requeue or discard, [6]: how many to do at once, [7]: 1 for all of them, [8…]: else their ids
-- @returns how many, and how many are left
local queue, atOnce = ARGV[4], tonumber(ARGV[6])
local ids, left = {}, 0
if ARGV[7] == '1' then
  left = call('ZCARD', queueKey(queue, 'dead'))
  ids = call('ZRANGE', queueKey(queue, 'dead'), 0, atOnce - 1)
  left = left - #ids
else
  local isGiven = {}
  for at = 8, #ARGV do
    if not isGiven[ARGV[at]] and call('ZSCORE', queueKey(queue, 'dead'), ARGV[at]) then
      ids[#ids + 1] = ARGV[at]
    end
    isGiven[ARGV[at]] = true
  end
  table.sort(ids)
end

if ARGV[5] == 'requeue' then
  local limit = overLimit(queue, nil, #ids + left)
  if limit and #ids > 0 then
    return answer({ 'full', queue, int(limit) })
  end
  for _, id in ipairs(ids) do
    local message = load(id)
    call('ZREM', queueKey(queue, 'dead'), id)
    call('ZREM', DUE, 'D' .. id)
    call('HDEL', messageKey(id), 'cause', 'reason', 'died', 'expires')
    message.sent = int(sendingTime())
    call('HSET', messageKey(id), 'sent', message.sent, 'attempt', 0)
    remember(queue)
    count(queue, message.from, 1)
    expireAfter(message, tonumber(message.ttl or nil))
    toReady(message)
  end
else
  for _, id in ipairs(ids) do
    drop(load(id))
  end
end
return answer({ 'ok', #ids, left })
