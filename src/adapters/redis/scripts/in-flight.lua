-- ARGV[4…]: consumers
local counts = {}
for at = 4, #ARGV do
  counts[#counts + 1] = call('SCARD', consumerKey(ARGV[at]))
end
return answer({ 'ok', counts })
