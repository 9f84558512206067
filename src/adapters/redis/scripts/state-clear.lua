-- ARGV[3]: scope. Some at a time: @returns how many, and how many are left
local count = 0
for _, key in ipairs(call('ZRANGE', keysKey(ARGV[3]), 0, 499)) do
  if find(ARGV[3], key) > 0 then
    count = count + 1
  end
  erase(ARGV[3], key)
end
return { 'ok', count, call('ZCARD', keysKey(ARGV[3])) }
