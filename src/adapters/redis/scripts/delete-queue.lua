-- ARGV[4]: queue, ARGV[5]: the id up to which its messages go, ARGV[6]: the id after which to begin; both empty at first:
-- what is sent meanwhile is another queue's. Some at a time: @returns the two for the next time, or an empty one at the end
local SOME = 200
local queue = ARGV[4]
local upTo = ARGV[5]
if upTo == '' then
  local latest = call('HMGET', META, 'clock', 'seq')
  upTo = latest[1] and string.format('%012x%010x', latest[1], latest[2]) or '0'
end
deleting = queue
local ids = call('ZRANGEBYLEX', queueKey(queue, 'ids'), ARGV[6] == '' and '-' or '(' .. ARGV[6], '[' .. upTo, 'LIMIT', 0, SOME)
for _, id in ipairs(ids) do
  local message = load(id)
  -- A dead letter before it may have had to make room.
  if message and message.state ~= 'dead' then
    die(message, 'deleted')
  end
end
if #ids == SOME then
  return answer({ 'ok', upTo, ids[SOME] })
end
if counted(queue, '') > 0 then
  call('HSET', QUEUES, queue, '{}')
elseif call('ZCARD', queueKey(queue, 'dead')) > 0 then
  call('HSET', QUEUES, queue, GONE)
else
  call('HDEL', QUEUES, queue)
end
-- After what needs no room: this may be called to make some.
if upTo ~= '0' then
  call('HSET', DELETED, queue, upTo)
  call('ZADD', DUE, int(now + KEYS_KEPT_MS), 'Q' .. queue)
end
changed('q' .. queue)
return answer({ 'ok', upTo, '' })
