-- ARGV[6]: milliseconds from now
local leaseUntil = int(now + tonumber(ARGV[6]))
call('HSET', messageKey(held.id), 'until', leaseUntil)
call('ZADD', queueKey(held.queue, 'leased'), leaseUntil, held.id)
call('ZADD', DUE, leaseUntil, 'L' .. held.id)
return answer({ 'ok', leaseUntil })
