-- ARGV[4]: queue, ARGV[5]: its settings as JSON, null for none
call('HSET', QUEUES, ARGV[4], ARGV[5])
changed('q' .. ARGV[4])
return answer({ 'ok' })
