-- ARGV[3]: scope, [4]: key, [5]: expected version or empty
local version = find(ARGV[3], ARGV[4])
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= version then
  return { 'conflict', version }
end
erase(ARGV[3], ARGV[4])
return { 'ok', version > 0 and 1 or 0 }
