-- The health of PackageBroker, Repository and AccessToken for Argo CD, which knows no kind but its own.
local health = { status = "Progressing", message = "waiting for the operator" }
if obj.metadata.deletionTimestamp ~= nil then
  health.message = "being deleted"
  return health
end
if obj.spec ~= nil and obj.spec.suspend == true then
  return { status = "Suspended", message = "spec.suspend is true" }
end
local status = obj.status or {}
if status.observedGeneration == nil or status.observedGeneration < (obj.metadata.generation or 0) then
  return health
end
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end
local ready = conditions.Ready
if ready == nil then
  return health
end
health.message = ready.message
if ready.status == "True" then
  health.status = "Healthy"
elseif conditions.Stalled ~= nil then
  health.status = "Degraded"
elseif conditions.Reconciling ~= nil and conditions.Reconciling.reason == "ProgressingWithRetry" then
  -- It is tried again by itself, but somebody may want to know.
  health.status = "Degraded"
end
return health
