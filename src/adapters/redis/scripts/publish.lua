-- ARGV[4]: topic, [5]: from, [6]: payload, [7]: key with '=' before it, or empty
local cursor, isKnown = publish(ARGV[4], ARGV[5], ARGV[6], ARGV[7] ~= '' and string.sub(ARGV[7], 2) or nil)
return answer({ 'ok', cursor, isKnown and 1 or 0 })
