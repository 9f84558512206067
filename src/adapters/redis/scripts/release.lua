-- ARGV[4]: consumer. Some at a time: @returns how many, and how many are left
local ids = call('SRANDMEMBER', consumerKey(ARGV[4]), 300)
table.sort(ids)
for _, id in ipairs(ids) do
  takeBack(load(id))
end
return answer({ 'ok', #ids, call('SCARD', consumerKey(ARGV[4])) })
