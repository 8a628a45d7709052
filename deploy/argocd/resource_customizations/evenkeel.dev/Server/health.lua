-- The CRD is kstatus compatible: it has observedGeneration, and the conditions Ready, Reconciling and Stalled.
-- What passes by itself is Progressing: Degraded and Unknown make Argo CD give up a sync.
local status = obj.status
if status == nil or status.conditions == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the controller to see the object" }
end

local condition = {}
for _, c in ipairs(status.conditions) do
  condition[c.type] = c
end
local function holds(kind)
  return condition[kind] ~= nil and condition[kind].status == "True"
end
local function words(kind)
  local c = condition[kind]
  if c == nil then
    return "Waiting for the controller to say more"
  end
  return c.reason .. ": " .. c.message
end

-- Only a person can go on.
if holds("Stalled") then
  return { status = "Degraded", message = words("Stalled") }
end

-- Nothing is written to the cloud: on this object, or on its account. An account that git suspended is as git wishes, and so
-- is what it does not hold up: a wave that waited for them would keep the commit away that ends it.
local paused = obj.metadata.annotations ~= nil and obj.metadata.annotations["evenkeel.dev/paused"] or "false"
if holds("Paused") and not (condition.Paused.reason == "Suspended" and holds("Ready")) then
  return { status = "Suspended", message = words("Paused") }
end
if paused ~= "false" then
  return { status = "Suspended", message = "The annotation evenkeel.dev/paused is set" }
end

-- As declared, also when what is declared is a stopped server.
if holds("Ready") then
  return { status = "Healthy", message = words("Ready") }
end
return { status = "Progressing", message = words("Ready") }
