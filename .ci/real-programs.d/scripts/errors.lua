-- Errors as programs have them by the thousand: through deep stacks, out of coroutines, past variables that are to be closed. ARGS: how many
-- times the loop at the end throws.
local rounds = tonumber(arg[1])

local function show(...)
  local t = table.pack(...)
  for i = 1, t.n do t[i] = tostring(t[i]) end
  print(table.concat(t, " "))
end

-- An object is the same one when it is caught, whatever it went through.
local function message(...) return (select(2, pcall(...))) end
local Failure = {}
Failure.__index = Failure
Failure.__tostring = function(f) return "Failure(" .. f.code .. ")" end
local function fail(code) error(setmetatable({ code = code }, Failure)) end
local thrown = setmetatable({ code = 7 }, Failure)
local ok, caught = pcall(function() return pcall(error, thrown) and error(thrown) or error(thrown) end)
show("same", ok, rawequal(caught, thrown), caught, getmetatable(caught) == Failure)
show("kinds", message(error), message(error, false), message(error, 1.5), type(message(error, print)))

-- Handlers: what they return is the error; one that fails fails for good.
show("handler", xpcall(fail, function(f) return f.code * 2 end, 21))
show("handler fails", xpcall(fail, function() fail(2) end, 1))
show("traceback", (select(2, xpcall(fail, function(f) return debug.traceback(tostring(f), 2) end, 3)):gsub("\n.*", "")))

-- Many frames of Lua, which are one frame of C; and many of C, one within the other.
local function down(n, f) if n == 0 then f(n) end return 1 + down(n - 1, f) end
for _, depth in ipairs { 1, 10, 1000, 20000, 150000 } do
  show("deep", depth, pcall(down, depth, function() fail(depth) end))
end
local function callbacks(n)
  if n == 0 then fail("bottom") end
  if n % 3 == 0 then return (("x"):gsub("x", function() return callbacks(n - 1) end)) end
  if n % 3 == 1 then table.sort({ 2, 1 }, function() return callbacks(n - 1) end) return "sorted" end
  return tostring(setmetatable({}, { __tostring = function() return callbacks(n - 1) end }))
end
show("callbacks", pcall(callbacks, 150))
local levels = 0
local function protected(n)
  levels = n
  local ok, e = pcall(protected, n + 1)
  if not ok then error(e, 0) end
  return n
end
local ok, e = pcall(protected, 1)
show("protected calls", ok, e, levels > 100)
for i = 1, 300 do assert(not pcall(callbacks, 60)) end

-- Out of coroutines, through others, and into those that go on.
local co = coroutine.create(function()
  local ok, e = pcall(function() coroutine.yield("yielded") fail("in a coroutine") end)
  local again = coroutine.yield(tostring(e))
  for i = 1, 3 do
    ok, e = pcall(function() coroutine.yield(i) fail(again + i) end)
    coroutine.yield(e.code)
  end
  error("the end", 0)
end)
local seen = {}
repeat
  local results = table.pack(coroutine.resume(co, 100))
  seen[#seen + 1] = tostring(results[1]) .. ":" .. tostring(results[2])
until not results[1]
show("coroutine", table.concat(seen, " "), coroutine.status(co))
local alive, reached = 0, 0
for i = 1, 2000 do
  local co = coroutine.create(function(a) if a % 3 == 0 then fail(a) end coroutine.yield(a) fail(-a) end)
  local ok, e = coroutine.resume(co, i)
  if ok then alive = alive + 1 ok, e = coroutine.resume(co) end
  reached = reached + e.code
end
show("coroutines", alive, reached)
local function wrapped(n)
  if n == 0 then fail("innermost") end
  return coroutine.wrap(wrapped)(n - 1)
end
show("wrapped", pcall(wrapped, 60))
show("not from outside", pcall(coroutine.yield, 1))

-- Variables that are to be closed, on the way of an error and of a coroutine's end.
local order = {}
local function closing(name)
  return setmetatable({}, { __close = function(_, e) order[#order + 1] = name .. "(" .. tostring(e) .. ")" end })
end
show("closed", pcall(function()
  local a <close> = closing("a")
  local b <close> = setmetatable({}, { __close = function(_, e) order[#order + 1] = tostring(e) fail("closing") end })
  for _, c in (function() local n = 0 return function() n = n + 1 return n, n end, nil, nil, closing("loop") end)() do
    if c == 3 then fail("body") end
  end
end))
local co = coroutine.create(function() local c <close> = closing("c") coroutine.yield() end)
coroutine.resume(co)
show("closed coroutine", coroutine.close(co), coroutine.status(co), table.concat(order, " "))

-- Strings, among them those that fail.
local text = {}
for i = 1, 2000 do text[i] = ("%04d:%s"):format(i, ("abc"):rep(i % 4)) end
text = table.concat(text, ",")
local words, digits = 0, 0
for number, word in text:gmatch("(%d+):(%a*)") do words = words + #word digits = digits + tonumber(number) end
show("text", #text, words, digits, text:find("1999:abcabcabc", 1, true), (text:gsub("%d", { ["0"] = "", ["1"] = "one" })):sub(1, 24), text:reverse():sub(1, 9))
show("patterns", message(string.find, "a", "[a"), message(string.gsub, "a", "a", "%2"), message(string.format, "%d", "x"))
show("matching", message(string.match, ("a"):rep(300000), (".-"):rep(250) .. "b"))
show("conversions", math.tointeger("8"), tonumber("0x1p4"), tonumber("1e1"), tonumber("z", 36), message(tonumber, "1", 99))
show("packed", message(string.unpack, "<i4", "abc"), string.unpack("<i2 >i2 z s1", string.pack("<i2 >i2 z s1", -2, 258, "zero", "counted")))

-- Compilation fails by the same means.
local refused = 0
local source = "local a <const> = 1; return function(...) local x = {...} return #x + a end"
for length = 0, #source do if not load(source:sub(1, length)) then refused = refused + 1 end end
show("sources", refused, #source, select(2, load("goto nowhere")), (select(2, load("return " .. ("("):rep(300))):gsub("\n.*", "")))

local sum, kept = 0, 0
for i = 1, rounds do
  local ok, e = pcall(error, i)
  sum = sum + e
  if i % 4 == 0 then ok, e = pcall(fail, i) kept = kept + e.code end
end
show("rounds", rounds, sum, kept)
