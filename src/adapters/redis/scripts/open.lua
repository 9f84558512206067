-- The store is made ours, or known again. ARGV[4]: an id for it, if it is new. @returns its format and id
call('HSETNX', META, 'format', '1')
call('HSETNX', META, 'store', ARGV[4])
for _, topic in ipairs(call('HKEYS', TOPICS)) do
  -- How long events are kept may have been set anew.
  call('ZADD', DUE, int(now), 'T' .. topic)
end
return answer({ 'ok', call('HGET', META, 'format'), call('HGET', META, 'store') })
