-- ARGV[7]: milliseconds until the next attempt; empty: the script answers with what they follow from, and does nothing
-- ARGV[8]: 1 if there is to be no further attempt, ARGV[9]: why, with '=' before it, or empty
local why = ARGV[9] ~= '' and string.sub(ARGV[9], 2) or nil
local cause = ARGV[8] == '1' and 'rejected' or whyDead(held)
if cause then
  die(held, cause, why)
  return answer({ 'dead' })
end
local delay = tonumber(ARGV[7])
if not delay then
  return answer({ 'retry', call('HGET', QUEUES, held.queue), held.attempt })
end
leave(held)
if delay <= 0 then
  toReady(held)
  return answer({ 'ok', int(now) })
end
local due = int(now + delay)
call('HSET', messageKey(held.id), 'state', 'delayed')
call('ZADD', queueKey(held.queue, 'delayed'), due, held.id)
call('ZADD', DUE, due, 'W' .. held.id)
return answer({ 'ok', due })
