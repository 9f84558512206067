-- ARGV[7]: milliseconds from now
local leaseUntil = int(now + tonumber(ARGV[7]))
call('HSET', messageKey(held.id), 'until', leaseUntil)
call('ZADD', queueKey(held.queue, 'leased'), leaseUntil, held.id)
call('ZADD', DUE, leaseUntil, 'L' .. held.id)
return answer({ 'ok', leaseUntil })
