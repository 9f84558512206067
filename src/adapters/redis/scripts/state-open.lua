-- ARGV[3]: an id for the store, if it is new. @returns its format and id
call('HSETNX', META, 'format', '1')
call('HSETNX', META, 'store', ARGV[3])
return { 'ok', call('HGET', META, 'format'), call('HGET', META, 'store') }
