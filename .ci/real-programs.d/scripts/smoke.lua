-- Lua in C throws with longjmp, which the build turns into WebAssembly exceptions: every pcall below is a try_table, every
-- error a throw, every yield across them a resumable unwinding of the interpreter's own loop.
local function show(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]) end
  print(table.concat(t, " "))
end

show(_VERSION, #arg, arg[1], 7 // 2, -7 // 2, -7 % 3, 7 / 2, 2^10, 10 // 0.0, math.maxinteger + 1 == math.mininteger, 3 | 4, ~0, 1 << 62)
show(pcall(error, { code = 1 }) , select("#", pcall(error)), pcall(function() local x; return x.y end))
show(select(2, pcall(function() return 1 + {} end)), select(2, pcall(function() return #5 end)), select(2, pcall(string.rep)))
show(pcall(error, "plain"), pcall(error, "no position", 0), pcall(function() error("here") end))
show(xpcall(function() error("in xpcall") end, function(m) return "handled: " .. m end))
show(pcall(string.format, "%d", 1.5), pcall(setmetatable, 1, {}), pcall(load("return 1 +") or error, "syntax"))
show(load("x ="))

local function nested(n) -- errors through many levels of protected calls
  if n == 0 then error("bottom", 0) end
  local ok, e = pcall(nested, n - 1)
  error(e .. n, 0)
end
show(pcall(nested, 20))

local function overflow() return 1 + overflow() end
local ok, e = pcall(overflow)
show(ok, (e:gsub("%s.*", "")))
show(pcall(string.rep, "x", -1), pcall(function() return ("x"):rep(1 << 40) end))

local thrown = 0
for i = 1, 20000 do
  local ok, e = pcall(error, i)
  thrown = thrown + e
end
show("thrown", thrown)

local producer = coroutine.wrap(function() for i = 1, 5 do coroutine.yield(i, i * i) end return "done" end)
show(producer(), producer()) show(producer(), producer(), producer(), producer()) show(pcall(producer))
local co = coroutine.create(function(a)
  local ok, e = pcall(function()
    local b = coroutine.yield(a + 1)
    local c = coroutine.yield(b + 1)
    error("after " .. c)
  end)
  return e
end)
show(coroutine.resume(co, 1)) show(coroutine.resume(co, 10)) show(coroutine.resume(co, "two yields")) show(coroutine.resume(co)) show(coroutine.status(co))

do
  local closed <close> = setmetatable({}, { __close = function(_, e) show("closed", e) end })
  show(pcall(function()
    local inner <close> = setmetatable({}, { __close = function(_, e) show("inner closed", e) end })
    error("thrown past a closing variable", 0)
  end))
end

local words = {}
for w in ("the cat sat on the mat and the rat sat too"):gmatch("%a+") do words[w] = (words[w] or 0) + 1 end
local keys = {}
for k in pairs(words) do keys[#keys + 1] = k end
table.sort(keys, function(a, b) return words[a] > words[b] or words[a] == words[b] and a < b end)
show(keys[1], words[keys[1]], keys[2], ("%5.2f|%-6s|%x|%q"):format(math.pi, "ab", 255, "a\n\0b"), ("key = value"):match("^(%w+)%s*=%s*(%w+)$"))
show(("abc"):byte(1, -1), utf8.char(9731, 120003), utf8.len("☃𝒳"), string.pack("<i4z", -2, "hi"):byte(1, -1))

local point = setmetatable({}, { __call = function(cls, x, y) return setmetatable({ x = x, y = y }, cls) end })
point.__index, point.__add = point, function(a, b) return point(a.x + b.x, a.y + b.y) end
point.__eq, point.__tostring = function(a, b) return a.x == b.x and a.y == b.y end, function(p) return "(" .. p.x .. ", " .. p.y .. ")" end
show(point(1, 2) + point(3, 4), point(1, 1) == point(1, 1), point(1, 1) ~= point(1, 2))

local garbage = setmetatable({}, { __mode = "v" })
for i = 1, 1000 do garbage[i] = { i } end
collectgarbage()
show("live", next(garbage))

local f = assert(io.open("/rw/lua.txt", "w"))
f:write("first\n", 2, "\n", 3.5, "\n") f:close()
for line in io.lines("/rw/lua.txt") do io.write("[", line, "]") end
print()
show(io.open("/rw/none")) show(os.remove("/rw/lua.txt"), os.getenv("COLOUR"), os.time({ year = 2000, month = 1, day = 1, hour = 12 }))

local function fib(n) return n < 2 and n or fib(n - 1) + fib(n - 2) end
show(fib(24))
error(setmetatable({}, { __tostring = function() return "uncaught, with a traceback" end }))
