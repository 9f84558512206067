-- ARGV[3]: scope, [4]: key, [5]: value as JSON, [6]: expected version or empty, [7]: milliseconds to live or empty
local scope, key = ARGV[3], ARGV[4]
local version = find(scope, key)
if ARGV[6] ~= '' and tonumber(ARGV[6]) ~= version then
  return { 'conflict', version }
end
-- One number for all keys, so that no version comes again after a deletion.
version = call('HINCRBY', META, 'version', 1)
local expires = ARGV[7] ~= '' and int(now + tonumber(ARGV[7])) or ''
call('HSET', valuesKey(scope), key, version .. ' ' .. int(now) .. ' ' .. expires .. ' ' .. ARGV[5])
call('ZADD', keysKey(scope), 0, key)
if expires == '' then
  call('ZREM', DUE, dueEntry(scope, key))
else
  call('ZADD', DUE, expires, dueEntry(scope, key))
end
return { 'ok', version, int(now), expires }
