"""What is done in Redis as one step: scripts that see the marker and the rows of a partition at one instant.

A script is stopped by its first error and what it has written until then stays, so each must fail before it writes or
not at all. Redis checks memory at the first write only; rights, types and everything else at each. And ``unpack`` fails
above 8,000 values, the size of Lua's stack: hence the steps of 4,000.
"""

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """A script in Lua, which Redis knows by its hash once it has seen it."""

    text: str

    @property
    def sha(self) -> str:
        """Return the hash by which Redis knows it."""
        return hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


TAKE_OVER = Script("""
-- KEYS: layout, marker. ARGV: layout, owner, the marker of a partition never seen.
local layout = redis.call('GET', KEYS[1])
if layout and layout ~= ARGV[1] then return {'layout', layout} end
local form = string.match(ARGV[3], '^[^:]*')
local found = redis.call('GET', KEYS[2]) or ARGV[3]
local rest = string.match(found, '^' .. form .. ':[^:]*(:.*)$')
if not rest then return {'format', found} end
local marker = form .. ':' .. ARGV[2] .. rest
redis.call('SET', KEYS[2], marker)
redis.call('SET', KEYS[1], ARGV[1])
return {'marker', marker}
""")
"""Returns the layout or marker that stands in the way, or the marker as it is now."""

READ = Script("""
-- KEYS: marker, slices. ARGV: for each slice how many customers, and who.
local found, at = {redis.call('GET', KEYS[1]) or ''}, 1
for k = 2, #KEYS do
  local last = at + tonumber(ARGV[at])
  for i = at + 1, last, 4000 do
    local rows = redis.call('HMGET', KEYS[k], unpack(ARGV, i, math.min(i + 3999, last)))
    for j = 1, #rows do found[#found + 1] = rows[j] end
  end
  at = last + 1
end
return found
""")
"""Returns the marker, then the rows in the order of the arguments."""

NAMES = Script("""
-- KEYS: marker, slice.
return {redis.call('GET', KEYS[1]) or '', redis.call('HKEYS', KEYS[2])}
""")
"""Returns the marker and the customers of a slice."""

WRITE = Script("""
-- KEYS: marker, slices. ARGV: old marker, new marker; for each slice how many rows are kept and how many customers go,
-- customers and rows that are kept, customers that go.
local marker = redis.call('GET', KEYS[1]) or ''
if marker ~= ARGV[1] then return marker end
redis.call('SET', KEYS[1], ARGV[1])
for k = 2, #KEYS do redis.call('HDEL', KEYS[k], '') end
local at = 3
for k = 2, #KEYS do
  local kept, gone = at + 1 + 2 * tonumber(ARGV[at]), at + 1 + 2 * tonumber(ARGV[at]) + tonumber(ARGV[at + 1])
  for i = at + 2, kept, 4000 do
    redis.call('HSET', KEYS[k], unpack(ARGV, i, math.min(i + 3999, kept)))
  end
  for i = kept + 1, gone, 4000 do
    redis.call('HDEL', KEYS[k], unpack(ARGV, i, math.min(i + 3999, gone)))
  end
  at = gone + 1
end
redis.call('SET', KEYS[1], ARGV[2])
return ARGV[2]
""")
"""Returns the marker as it is now: the new one if it has been written, now or before.

The first writes change nothing (no id is empty): they prove that the user may use the commands, that each key is a
hash, and that there is memory, before anything is written.
"""
