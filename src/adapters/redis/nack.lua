-- ARGV[6]: milliseconds until the next attempt; empty: the script answers with what they follow from, and does nothing
-- ARGV[7]: 1 if there is to be no further attempt, ARGV[8]: why, with '=' before it, or empty
local why = ARGV[8] ~= '' and string.sub(ARGV[8], 2) or nil
local cause = ARGV[7] == '1' and 'rejected' or whyDead(held)
if cause then
  die(held, cause, why)
  return answer({ 'dead' })
end
local delay = tonumber(ARGV[6])
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
