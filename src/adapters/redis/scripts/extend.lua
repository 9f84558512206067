-- ARGV[7]: milliseconds from now
local leaseUntil = int(now + tonumber(ARGV[7]))
-- First, since a script that has freed something is not refused when the memory is full.
call('ZREM', DUE, 'L' .. held.id)
call('HSET', messageKey(held.id), 'until', leaseUntil)
call('ZADD', queueKey(held.queue, 'leased'), leaseUntil, held.id)
call('ZADD', DUE, leaseUntil, 'L' .. held.id)
return answer({ 'ok', leaseUntil })
