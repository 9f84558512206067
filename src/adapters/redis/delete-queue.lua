-- ARGV[4]: queue. Some at a time: @returns whether something is left
local queue = ARGV[4]
deleting = queue
local left = 300
for _, where in ipairs({ 'r9', 'r8', 'r7', 'r6', 'r5', 'r4', 'r3', 'r2', 'r1', 'r0', 'delayed', 'leased' }) do
  if left > 0 then
    for _, id in ipairs(call('ZRANGE', queueKey(queue, where), 0, left - 1)) do
      die(load(id), 'deleted')
      left = left - 1
    end
  end
end
if counted(queue, '') > 0 then
  return answer({ 'ok', 1 })
end
if call('ZCARD', queueKey(queue, 'dead')) > 0 then
  call('HSET', QUEUES, queue, GONE)
else
  call('HDEL', QUEUES, queue)
end
changed('q' .. queue)
return answer({ 'ok', 0 })
